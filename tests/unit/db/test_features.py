"""Feature shards: what is written comes back bit for bit, or counts as missing."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from db.blobs import Blobs, open_blobs
from db.errors import FeaturesMissingError
from db.feature_codes import Features
from db.features import ShardFile, read_features, read_shard, record_shard, store_shard
from db.schema import FeatureShard, Photo
from db.session import Database
from db.settings import DataSettings
from tests.store import add_batch

SPACE, OTHER_SPACE = "a" * 64, "b" * 64


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


def test_features_come_back_as_they_were(database: Database, blobs: Blobs) -> None:
    """By photo, from several shards; photos without are left out."""
    ids = photos(database, 5)
    first, second = features(2, seed=1), features(2, seed=2)
    with database.transaction() as session:
        record_shard(session, SPACE, store_shard(blobs, SPACE, first), [ids[3], ids[0]])
        record_shard(session, SPACE, store_shard(blobs, SPACE, second), [ids[1], ids[2]])

        found = read_features(session, blobs, SPACE, ids)

    assert found.keys() == set(ids[:4])
    for photo_id, row in [(ids[3], first[0]), (ids[0], first[1]), (ids[1], second[0]), (ids[2], second[1])]:
        assert found[photo_id].dtype == np.float16
        np.testing.assert_array_equal(found[photo_id], row)


def test_features_of_another_backbone_are_others(database: Database, blobs: Blobs) -> None:
    """The address is part of the question."""
    ids = photos(database, 1)
    with database.transaction() as session:
        record_shard(session, SPACE, store_shard(blobs, SPACE, features(1)), ids)

        assert read_features(session, blobs, OTHER_SPACE, ids) == {}


def test_the_first_features_of_a_photo_stay(database: Database, blobs: Blobs) -> None:
    """Of two workers that computed them at the same time."""
    ids = photos(database, 2)
    first, second = features(1, seed=1), features(2, seed=2)
    with database.transaction() as session:
        record_shard(session, SPACE, store_shard(blobs, SPACE, first), ids[:1])
        record_shard(session, SPACE, store_shard(blobs, SPACE, second), ids)

        found = read_features(session, blobs, SPACE, ids)

    np.testing.assert_array_equal(found[ids[0]], first[0])
    np.testing.assert_array_equal(found[ids[1]], second[1])


@pytest.mark.parametrize("harm", ["gone", "cut off", "wrong rows"])
def test_a_damaged_shard_counts_as_none(
    database: Database, blobs: Blobs, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its photos are computed again; the others are found; a warning says what to do."""
    ids = photos(database, 3)
    with database.transaction() as session:
        shard = store_shard(blobs, SPACE, features(2))
        record_shard(session, SPACE, shard, ids[:2])
        record_shard(session, SPACE, store_shard(blobs, SPACE, features(1)), ids[2:])
        if harm == "gone":
            blobs.delete_object(shard.key)
        elif harm == "cut off":
            blobs.write_object(shard.key, blobs.read_object(shard.key)[:-9])
        else:
            session.execute(update(FeatureShard).where(FeatureShard.key == shard.key).values(rows=3))
        rows = session.scalars(select(FeatureShard.rows).where(FeatureShard.key == shard.key)).one()

        assert read_features(session, blobs, SPACE, ids).keys() == {ids[2]}

    assert "Restore it from a backup" in caplog.text
    with pytest.raises(FeaturesMissingError, match=shard.key):
        read_shard(blobs, ShardFile(shard.key, rows))


def test_features_are_float16_and_have_a_photo_each(database: Database, blobs: Blobs) -> None:
    """Anything else is a fault of the caller."""
    with pytest.raises(TypeError, match="float16"):
        store_shard(blobs, SPACE, np.zeros((1, 7, 7, 8), np.float32))  # pyright: ignore[reportArgumentType]
    with database.transaction() as session, pytest.raises(ValueError, match="as many photos"):
        record_shard(session, SPACE, ShardFile("features/a/b.safetensors", 2), [1])


def features(count: int, seed: int = 0) -> Features:
    return np.random.default_rng(seed).standard_normal((count, 7, 7, 8)).astype(np.float16)


def photos(database: Database, count: int) -> list[int]:
    add_batch(database, count)
    with database.reading() as session:
        return list(session.scalars(select(Photo.id).order_by(Photo.id)))
