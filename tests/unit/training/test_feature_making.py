"""Features are computed for those who lack them, in place of lost ones, and read in the order that is asked for."""

import random
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from sqlalchemy import Row, func, select

from db.errors import ArtifactError, FeaturesMissingError
from db.schema import PhotoFeatures, PhotoHash
from db.session import Database
from db.snapshots import labelled_now
from tests.tinted import Tinted, make_tinted
from training.feature_making import make_features
from training.feature_reading import by_shard, read_all, read_means, scores_of
from training.networks import Network, canary_features, network_for_training
from worker.artifact import PACKAGE_DIR, read_card
from worker.card import BackboneCard
from worker.settings import WorkerSettings

PhotoRow = Row[*tuple[Any, ...]]


@pytest.fixture
def world(sqlite_database: Database, data_dir: Path) -> Tinted:
    """Labelled photos without features, more than one file of them."""
    return make_tinted(sqlite_database, data_dir, 70)


def test_what_is_missing_is_computed_and_kept(world: Tinted) -> None:
    """In files of 64, with the hashes by which near-duplicates are found; a photo whose bytes are gone is left out."""
    network, ids = network_of(world), list(world.photo_ids.values())
    gone = ids[3]
    with world.database.reading() as session:
        sha256 = {row.photo_id: row.sha256 for row in labelled_now(session, network.space)}[gone]
    world.blobs.delete(sha256)
    done: list[int] = []

    means = make_features(world.database, world.blobs, network, ids, done.append)

    assert means.keys() == set(ids) - {gone}
    assert means[ids[0]].shape == (8,)
    assert sum(done) == 70
    with world.database.reading() as session:
        rows = labelled_now(session, network.space)
        hashes = session.scalars(select(func.count()).select_from(PhotoHash)).one()
    assert (len({row.key for row in rows if row.key}), hashes) == (2, 69)
    again = read_means(world.blobs, by_shard(rows), lambda _count: None)
    assert {n: mean.tolist() for n, mean in again.items()} == {n: mean.tolist() for n, mean in means.items()}


def test_lost_ones_are_replaced_and_the_others_stay(world: Tinted) -> None:
    """A file that is gone, one that is damaged: both count as missing, and are read again afterwards."""
    network, ids = network_of(world), list(world.photo_ids.values())
    first = make_features(world.database, world.blobs, network, ids, lambda _count: None)
    key, other = sorted(world.blobs.list_keys("features"))
    world.blobs.delete_object(key)
    world.blobs.write_object(other, b"damaged")

    assert read_means(world.blobs, rows_of(world, network), lambda _count: None) == {}
    with pytest.raises(FeaturesMissingError, match="70 photos"):
        read_all(world.blobs, rows_of(world, network), network.feature_shape)
    make_features(world.database, world.blobs, network, ids, lambda _count: None)

    again = read_means(world.blobs, rows_of(world, network), lambda _count: None)
    assert {n: mean.tolist() for n, mean in again.items()} == {n: mean.tolist() for n, mean in first.items()}
    with world.database.reading() as session:
        assert session.scalars(select(func.count()).select_from(PhotoFeatures)).one() == 70


def test_features_are_read_in_the_order_that_is_asked_for(world: Tinted) -> None:
    """Whatever the order in which they lie."""
    network, ids = network_of(world), list(world.photo_ids.values())
    make_features(world.database, world.blobs, network, ids, lambda _count: None)
    rows = rows_of(world, network)
    random.Random(1).shuffle(rows)

    features = read_all(world.blobs, rows, network.feature_shape)
    photo_ids, scores = scores_of(world.blobs, by_shard(rows), lambda part: part[:, 0, 0, :2].astype(np.float32), 2)

    assert features.shape == (70, 7, 7, 8)
    of_photo = dict(zip(photo_ids, scores, strict=True))
    wanted = features[:, 0, 0, :2].astype(np.float32)
    assert np.array_equal(np.stack([of_photo[row.photo_id] for row in rows]), wanted)


def test_canary_photos_are_computed_once(world: Tinted) -> None:
    """A file of another shape is not taken for them."""
    network = network_of(world)
    first = canary_features(world.blobs, network)
    key = f"canaries/{network.space}.safetensors"
    kept = world.blobs.read_object(key)

    assert np.array_equal(canary_features(world.blobs, network), first)
    world.blobs.write_object(key, b"damaged")
    assert np.array_equal(canary_features(world.blobs, network), first)
    assert world.blobs.read_object(key) == kept


@pytest.mark.parametrize(
    ("weights", "message"), [("imagenet", "models fetch imagenet"), ("file", "Set PHOTOTAG_BACKBONE_WEIGHTS")]
)
def test_a_network_whose_weights_are_not_here_says_where_they_come_from(
    data_dir: Path, weights: Literal["imagenet", "file"], message: str
) -> None:
    """Before anything is computed: without them not even the space of its features is known."""
    card = read_card(PACKAGE_DIR / "tiny")
    backbone = BackboneCard(architecture="vgg16", weights=weights, weights_sha256=None, layer="block5_pool")

    with pytest.raises(ArtifactError, match=message):
        network_for_training(WorkerSettings(), data_dir, card.model_copy(update={"backbone": backbone}))


def network_of(world: Tinted) -> Network:
    """That of the tiny version."""
    return network_for_training(world.place.settings, world.place.data_dir, read_card(PACKAGE_DIR / "tiny"))


def rows_of(world: Tinted, network: Network) -> list[PhotoRow]:
    """The labelled photos."""
    with world.database.reading() as session:
        return list(labelled_now(session, network.space))
