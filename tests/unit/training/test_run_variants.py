"""Runs that train on changed variants too: computed once, kept, computed again where they are lost, gone with the photo."""

import logging
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load
from sqlalchemy import func, select, update

from db.collecting import collect_garbage
from db.deleting import delete_photos_without_items
from db.errors import PhototagError
from db.feature_spaces import active_space, variant_space
from db.features import feature_addresses, read_features
from db.model_versions import active_version
from db.schema import FeatureShard, Item, ModelVersion, PhotoFeatures
from db.session import Database
from db.snapshots import labelled_now
from db.statements import count_changed
from db.subsets import subsets_of
from db.training_runs import cancel_run
from tests.tinted import Tinted, add_labelled, make_tinted
from tests.tinted_runs import claim, last_run
from training.feature_reading import read_all
from training.networks import Network, network_for_training
from training.run import train
from training.run_photos import gather_photos
from training.run_progress import RunProgress
from training.run_variants import beside_variants, gather_variants
from worker.artifact import PACKAGE_DIR, read_card
from worker.card import Card


@pytest.fixture
def world(sqlite_database: Database, data_dir: Path) -> Tinted:
    """60 labelled photos, without features."""
    return make_tinted(sqlite_database, data_dir)


def test_photos_to_train_on_have_variants_and_held_out_ones_have_none(database: Database, data_dir: Path) -> None:
    """Three each, in spaces of their own, which the report counts; the head is as good as without."""
    world = make_tinted(database, data_dir)

    train(world.place, claim(world, "gap-augmented"))

    training, held_out = subsets(world)
    assert held_out
    for number in (1, 2, 3):
        assert photos_with(world, number) == training
    report = last_run(world).report
    assert report is not None
    assert report["variants"] == {"a_photo": 3, "trained_on": 3 * len(training), "unchanged": 0}
    assert report["candidate"]["top1"] >= 0.9
    assert {len(epoch) for epoch in last_run(world).curves} == {5}
    network = network_of(world)
    with world.database.reading() as session:
        found = [read_features(session, world.blobs, space, [training[0]]) for space in spaces(network)]
    one = [features[training[0]].tobytes() for features in found]
    assert len(set(one)) == 4


def test_the_next_run_computes_nothing(world: Tinted) -> None:
    """What is computed lies in new files; a recipe that wants one variant more computes that one."""
    train(world.place, claim(world, "gap-augmented"))
    first, before = last_run(world), shards(world)

    train(world.place, claim(world, "gap-augmented"))

    second = last_run(world)
    assert (second.report, second.curves) == (first.report, first.curves)
    assert shards(world) == before
    train(world.place, claim(world, "gap-augmented", augmented=4))
    assert {key for key in shards(world) if key not in before} == shards_of(world, 4)


def test_lost_and_damaged_variants_are_computed_again(world: Tinted) -> None:
    """With the same figures to the last digit; what is whole is not computed."""
    train(world.place, claim(world, "gap-augmented"))
    first, before = last_run(world), shards(world)
    (lost,), (damaged,) = shards_of(world, 1), shards_of(world, 3)
    world.blobs.delete_object(lost)
    world.blobs.write_object(damaged, b"damaged")

    train(world.place, claim(world, "gap-augmented"))

    second = last_run(world)
    assert (second.report, second.curves) == (first.report, first.curves)
    assert before - shards(world) == set()
    assert len(shards(world)) == len(before) + 2
    collect_garbage(world.database, world.blobs, grace_s=0.0)
    assert before - shards(world) == {lost, damaged}


def test_a_photo_whose_bytes_are_gone_stands_in_for_its_variants(
    world: Tinted, caplog: pytest.LogCaptureFixture
) -> None:
    """Its features are there; the report says how many variants are the photo itself."""
    train(world.place, claim(world))
    training, _ = subsets(world)
    with world.database.reading() as session:
        sha256s = {row.photo_id: row.sha256 for row in labelled_now(session, network_of(world).space)}
    world.blobs.delete(sha256s[training[0]])

    with caplog.at_level(logging.WARNING):
        train(world.place, claim(world, "gap-augmented"))

    report = last_run(world).report
    assert report is not None
    assert report["variants"] == {"a_photo": 3, "trained_on": 3 * len(training), "unchanged": 3}
    assert f"Photo {training[0]} has no features, and its bytes are gone" in caplog.text


def test_flatten_reads_all_values_of_variants(world: Tinted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in its photo's place, also where that is not the order of files; so many rows must fit into memory."""
    add_labelled(world, range(60, 75))
    train(world.place, claim(world, "flatten", augmented=2))
    network, run = network_of(world), claim(world)
    progress = RunProgress(world.database, run)
    photos = gather_photos(world.place, run, network, progress)
    features = read_all(world.blobs, photos.training, network.feature_shape)

    variants = gather_variants(world.place, network, photos, 2, progress)
    blocks = beside_variants(world.blobs, photos, variants, features)

    ids = [photo.photo_id for photo in photos.training]
    with world.database.reading() as session:
        found = [read_features(session, world.blobs, space, ids) for space in spaces(network)[:3]]
    assert np.array_equal(blocks, np.concatenate([[features[n] for n in ids] for features in found]))
    monkeypatch.setattr("training.run.MOST_FLATTENED", len(ids) * 2)
    with world.database.transaction() as session:
        cancel_run(session, None, run.id)
    with pytest.raises(PhototagError, match="variants counted"):
        train(world.place, claim(world, "flatten", augmented=2))


def test_a_photo_takes_its_variants_along(database: Database, data_dir: Path) -> None:
    """Deleting it erases its rows in the files; the others' stay."""
    world = make_tinted(database, data_dir, 30)
    train(world.place, claim(world, "gap-augmented"))
    training, _ = subsets(world)
    going, kept = training[0], training[1]
    rows = {number: row_of(world, number, going) for number in (1, 2, 3)}

    with world.database.transaction() as session:
        count_changed(session, update(Item).where(Item.photo_id == going).values(photo_id=None))
        assert delete_photos_without_items(session, [going]) == 1
    collect_garbage(world.database, world.blobs, grace_s=0.0)

    for number, (key, row) in rows.items():
        assert photos_with(world, number) == training[1:]
        assert row_of(world, number, kept)[0] == key
        array = load(world.blobs.read_object(key))["features"]
        assert np.isnan(array[row].astype(np.float32)).all()
        assert np.isnan(array[:, 0, 0, 0]).sum() == 1


def test_variants_are_not_what_photos_are_tagged_by(database: Database, data_dir: Path) -> None:
    """Where the active version's card does not tell its space, and no photo is looked for by a variant."""
    world = make_tinted(database, data_dir, 30)
    train(world.place, claim(world, "gap-augmented"))
    with world.database.transaction() as session:
        active = active_version(session)
        assert active is not None
        card = Card.model_validate(active.card)
        silent = card.backbone.model_copy(update={"weights_sha256": None})
        raw = card.model_copy(update={"backbone": silent}).model_dump(mode="json")
        count_changed(session, update(ModelVersion).where(ModelVersion.id == active.id).values(card=raw))

    with world.database.reading() as session:
        assert active_space(session) == network_of(world).space
        of_variants = PhotoFeatures.space != network_of(world).space
        assert set(session.scalars(select(func.length(PhotoFeatures.code)).where(of_variants))) == {0}


def network_of(world: Tinted) -> Network:
    """That of the tiny version."""
    return network_for_training(world.place.settings, world.place.data_dir, read_card(PACKAGE_DIR / "tiny"))


def spaces(network: Network) -> list[str]:
    """Of photos, then of their variants."""
    return [network.space, *(variant_space(network.space, number) for number in (1, 2, 3))]


def subsets(world: Tinted) -> tuple[list[int], list[int]]:
    """Photos to train on, and held-out ones."""
    with world.database.reading() as session:
        found = subsets_of(session, list(world.photo_ids.values()))
    return (
        sorted(photo_id for photo_id, subset in found.items() if subset == "training"),
        sorted(photo_id for photo_id, subset in found.items() if subset == "holdout"),
    )


def photos_with(world: Tinted, number: int) -> list[int]:
    """Those that have features of this variant."""
    space = variant_space(network_of(world).space, number)
    query = select(PhotoFeatures.photo_id).where(PhotoFeatures.space == space).order_by(PhotoFeatures.photo_id)
    with world.database.reading() as session:
        return list(session.scalars(query))


def row_of(world: Tinted, number: int, photo_id: int) -> tuple[str, int]:
    """File and row of a photo's variant."""
    with world.database.reading() as session:
        (found,) = feature_addresses(session, variant_space(network_of(world).space, number), [photo_id])
    return found.key, found.row


def shards(world: Tinted) -> set[str]:
    """Files that rows name."""
    with world.database.reading() as session:
        return set(session.scalars(select(FeatureShard.key)))


def shards_of(world: Tinted, number: int) -> set[str]:
    """Those of a variant."""
    space = variant_space(network_of(world).space, number)
    with world.database.reading() as session:
        return set(session.scalars(select(FeatureShard.key).where(FeatureShard.space == space)))
