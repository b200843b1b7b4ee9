"""Makes the codes of features that were kept before there were codes, shard by shard, out of their files."""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.errors import FeaturesMissingError
from db.feature_centres import centre_of, ensure_centre
from db.feature_codes import NO_CODE, Floats, code_vectors, make_codes
from db.features import ShardFile, read_shard
from db.schema import FeatureShard, PhotoFeatures
from db.session import Database
from db.statements import IN_DATABASE_ONLY, table_of

log = logging.getLogger(__name__)

# Of one call: about 10 s on a disk, half of them pauses.
SHARDS_A_CALL = 500
# Photos that make a centre, where the space has so many.
SAMPLE = 64
# The NaN of rows of deleted photos is widened to 98,304, more than float16 has: the root of what it has is less.
ERASED = 256.0


def make_missing_codes(database: Database, blobs: Blobs, *, stopping: Callable[[], bool] = lambda: False) -> int:
    """Makes the codes of up to 500 shards; returns of how many. What is left is for the next call.

    A space with fewer than eight photos gets no codes yet.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
    """
    with database.reading() as session:
        shards = _without_codes(session)
    done = 0
    for space, of_space in groupby(shards, key=lambda shard: shard.space):
        waiting = list(of_space)
        centre = _centre(database, blobs, space, waiting)
        for shard in waiting:
            if stopping():
                return done
            began = time.monotonic()
            vectors = _vectors_of(blobs, shard)
            if vectors is not None and centre is None:
                continue
            codes = [NO_CODE] * shard.rows if vectors is None or centre is None else make_codes(vectors, centre)
            with database.transaction() as session:
                _write(session, shard.id, codes)
            done += 1
            time.sleep(min(1.0, time.monotonic() - began))  # at most half of the disk's time
    return done


def _without_codes(session: Session) -> Sequence[FeatureShard]:
    without = select(PhotoFeatures.shard_id).where(PhotoFeatures.code.is_(None)).distinct().limit(SHARDS_A_CALL)
    query = select(FeatureShard).where(FeatureShard.id.in_(without))
    return session.scalars(query.order_by(FeatureShard.space, FeatureShard.id)).all()


def _centre(database: Database, blobs: Blobs, space: str, waiting: Sequence[FeatureShard]) -> Floats | None:
    """Of the space; made of the photos that wait, if it has none."""
    with database.reading() as session:
        centre = centre_of(session, space)
    if centre is not None:
        return centre
    sample = np.zeros((0, 1), np.float32)
    for shard in waiting:
        vectors = _vectors_of(blobs, shard) if len(sample) < SAMPLE else None
        if vectors is not None:
            present = vectors[vectors.max(axis=1) < ERASED]
            sample = np.concatenate([sample, present]) if len(sample) else present
    with database.transaction() as session:
        return ensure_centre(session, space, sample)


def _vectors_of(blobs: Blobs, shard: FeatureShard) -> Floats | None:
    try:
        return code_vectors(read_shard(blobs, ShardFile(shard.key, shard.rows)))
    except FeaturesMissingError as error:
        log.warning("%s", error)
        return None


def _write(session: Session, shard_id: int, codes: Sequence[bytes]) -> None:
    """All of a shard in one transaction, in the order of photos: `db.code_index` takes it for ready then."""
    of_shard = PhotoFeatures.shard_id == shard_id, PhotoFeatures.code.is_(None)
    query = select(PhotoFeatures.photo_id, PhotoFeatures.row).where(*of_shard).order_by(PhotoFeatures.photo_id)
    rows: list[dict[str, Any]] = [{"of": row.photo_id, "code": codes[row.row]} for row in session.execute(query)]
    features = table_of(PhotoFeatures).c
    statement = update(table_of(PhotoFeatures)).where(
        features.photo_id == bindparam("of"), features.shard_id == shard_id, features.code.is_(None)
    )
    if rows:
        session.execute(statement.values(code=bindparam("code")), rows, execution_options=IN_DATABASE_ONLY)
