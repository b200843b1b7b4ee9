"""Features of a network that became no version are let go of; those of versions stay."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.blobs import Blobs, open_blobs
from db.collecting import collect_garbage
from db.feature_spaces import feature_space
from db.features import record_shard, store_shard
from db.garbage import SPACE, queue_garbage
from db.model_versions import register_version
from db.schema import FeatureCentre, FeatureShard, Garbage, PhotoFeatures
from db.session import Database, utc_now
from db.settings import DataSettings
from db.spare_spaces import canaries_key, forget_spare_spaces
from db.training_runs import cancel_run, start_run
from tests.library_rows import add_photos

PHOTOS = 12
WEIGHTS = "d" * 64
KEPT = feature_space(WEIGHTS, "block5_pool", "v1")
SPARE = "e" * 64


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


def test_features_of_a_network_that_became_no_version_go(database: Database, blobs: Blobs) -> None:
    """Rows first, files by the collector, and what else was kept of the space; all that a version reads stays."""
    ids = features_in_both(database, blobs)

    assert forget_spare_spaces(database, blobs) == 0, "it is young"
    assert forget_spare_spaces(database, blobs, older_than_s=0) == 1
    collect_garbage(database, blobs, grace_s=0)

    with database.reading() as session:
        assert photos_by_space(session) == {KEPT: len(ids)}
        assert set(session.scalars(select(FeatureShard.space))) == {KEPT}
        assert set(session.scalars(select(FeatureCentre.space))) == {KEPT}
        assert session.scalars(select(Garbage.key).where(Garbage.kind == SPACE)).all() == []
    assert {key.split("/")[1] for key in blobs.list_keys("features")} == {KEPT[:16]}
    assert list(blobs.list_keys("canaries")) == [canaries_key(KEPT)]
    assert forget_spare_spaces(database, blobs, older_than_s=0) == 0


def test_nothing_goes_while_a_run_is_open(database: Database, blobs: Blobs) -> None:
    """The space may be its own."""
    ids = features_in_both(database, blobs)
    with database.transaction() as session:
        run_id = start_run(session, None, {"name": "vgg16-finetune"}, "never").id

    assert forget_spare_spaces(database, blobs, older_than_s=0) == 0

    with database.transaction() as session:
        assert photos_by_space(session) == {KEPT: len(ids), SPARE: len(ids)}
        cancel_run(session, None, run_id)
    assert forget_spare_spaces(database, blobs, older_than_s=0) == 1


def features_in_both(database: Database, blobs: Blobs) -> list[int]:
    """The same photos have features of a version's network and of one that nobody has; both were begun by runs."""
    features = np.random.RandomState(0).uniform(1, 9, (PHOTOS, 2, 2, 16)).astype(np.float16)
    card = {
        "backbone": {"weights_sha256": WEIGHTS, "layer": "block5_pool"},
        "decode_version": "v1",
    }
    with database.transaction() as session:
        ids = add_photos(session, [{} for _ in range(PHOTOS)])
        register_version(session, "head-1", "trained", "f" * 64, card, [])
        for space in (KEPT, SPARE):
            for start in range(0, PHOTOS, PHOTOS // 2):
                part = slice(start, start + PHOTOS // 2)
                record_shard(session, space, store_shard(blobs, space, features[part]), ids[part])
            session.add(FeatureCentre(space=space, centre=b"0000", created_at=utc_now()))
            blobs.write_object(canaries_key(space), b"canaries")
        queue_garbage(session, SPACE, [KEPT, SPARE])
    return ids


def photos_by_space(session: Session) -> dict[str, int]:
    """How many photos have features, by space."""
    counted = select(PhotoFeatures.space, func.count()).group_by(PhotoFeatures.space)
    return {row[0]: row[1] for row in session.execute(counted)}
