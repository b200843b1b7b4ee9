"""Features that no version reads: a run trained a network, kept what it makes of photos, and ended before its version.

Versions are never deleted, so the features of a version that was rejected or left stay: it can be activated again.
"""

import datetime as dt
from collections.abc import Callable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.feature_spaces import variant_space, version_spaces
from db.garbage import SHARD, SPACE, queue_garbage
from db.schema import FeatureCentre, FeatureShard, Garbage, PhotoFeatures
from db.session import Database, utc_now
from db.statements import count_changed, table_of
from db.training_runs import has_open_run

# A run may take a day from its features to its version.
AGE_S = 24 * 3600.0
# Shards of a transaction: 3,000 photos.
GROUP = 50
# As many as a recipe may ask for.
MOST_VARIANTS = 32


def forget_spare_spaces(
    database: Database, blobs: Blobs, *, older_than_s: float = AGE_S, stopping: Callable[[], bool] = lambda: False
) -> int:
    """Lets go of features in spaces that a run began and no version has; returns of how many spaces.

    Their files are queued for the collector. While a run is open nothing is done: the space may be its own.
    """
    before = utc_now() - dt.timedelta(seconds=older_than_s)
    with database.reading() as session:
        due = select(Garbage.key, Garbage.queued_at).where(Garbage.kind == SPACE, Garbage.queued_at <= before)
        entries = session.execute(due.order_by(Garbage.id)).all()
        if not entries or has_open_run(session):
            return 0
        wanted = version_spaces(session)
    forgotten = 0
    for space, queued_at in entries:
        if space not in wanted:
            if not _forget(database, blobs, space, stopping):
                break
            forgotten += 1
        with database.transaction() as session:
            seen = Garbage.kind == SPACE, Garbage.key == space, Garbage.queued_at == queued_at
            count_changed(session, delete(Garbage).where(*seen))
    return forgotten


def canaries_key(space: str) -> str:
    """Where the features of the canary photos lie."""
    return f"canaries/{space}.safetensors"


def _forget(database: Database, blobs: Blobs, space: str, stopping: Callable[[], bool]) -> bool:
    """Whether all of it is forgotten; False if it was to stop."""
    with database.reading() as session:
        spaces = [space, *(variant_space(space, number) for number in range(1, MOST_VARIANTS + 1))]
        shards = session.scalars(select(FeatureShard.id).where(FeatureShard.space.in_(spaces))).all()
    for start in range(0, len(shards), GROUP):
        if stopping():
            return False
        with database.transaction() as session:
            _forget_shards(session, shards[start : start + GROUP])
    blobs.delete_object(canaries_key(space))
    with database.transaction() as session:
        count_changed(session, delete(FeatureCentre).where(FeatureCentre.space == space))
    return True


def _forget_shards(session: Session, shard_ids: Sequence[int]) -> None:
    keys = session.scalars(select(FeatureShard.key).where(FeatureShard.id.in_(shard_ids))).all()
    features = table_of(PhotoFeatures)
    session.execute(delete(features).where(features.c.shard_id.in_(shard_ids)))
    queue_garbage(session, SHARD, keys)
