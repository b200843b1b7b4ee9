"""A training run in this process: features where they are missing, a frozen snapshot, an exam, a version."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.activations import activate_version
from db.errors import PhototagError, RunLostError
from db.label_changes import merge_labels
from db.labels import ensure_labels
from db.model_versions import active_version, get_version, list_versions, version_label_ids
from db.schema import HoldoutAnswer, PhotoFeatures, SnapshotPhoto, TrainingRun
from db.session import Database
from db.subsets import subsets_of
from db.training_runs import cancel_run
from db.training_views import get_run, run_of_version
from db.users import local_admin
from tests.tinted import TINTS, Tinted, add_labelled, make_tinted
from tests.tinted_runs import claim, last_run
from training.run import train
from worker.artifact import artifact_folder, read_artifact
from worker.classifier import load_classifier


@pytest.fixture
def world(sqlite_database: Database, data_dir: Path) -> Tinted:
    """60 labelled photos of three kinds, without features: too few for the gate to be sure."""
    return make_tinted(sqlite_database, data_dir)


def test_a_run_makes_a_version_that_knows_the_labels(database: Database, data_dir: Path) -> None:
    """Features, subsets, snapshot, answers, report, card; the candidate is better, and a person decides."""
    world = make_tinted(database, data_dir, 120)
    run = claim(world)

    name = train(world.place, run)

    assert name == "head-1"
    with world.database.reading() as session:
        version = get_version(session, name)
        details = get_run(session, run.id)
        active = active_version(session)
        subsets = subsets_of(session, list(world.photo_ids.values()))
        frozen = session.execute(select(SnapshotPhoto.photo_id, SnapshotPhoto.subset)).all()
        answers = session.scalars(select(HoldoutAnswer)).all()
        features = session.scalars(select(func.count()).select_from(PhotoFeatures)).one()
    assert active is not None
    assert (active.name, details.run.state, details.run.gate, details.run.outcome) == ("tiny", "done", "better", None)
    assert (details.run.base, details.run.version) == ("tiny", "head-1")
    assert (len(subsets), len(frozen), features) == (120, 120, 120)
    held_out = [photo_id for photo_id, subset in subsets.items() if subset == "holdout"]
    assert sorted(one.photo_id for one in answers) == sorted(held_out)
    assert details.report is not None
    assert details.report["candidate"]["top1"] >= 0.9
    assert details.report["base"]["top1"] == 0.0
    assert [epoch["number"] for epoch in details.curves] == list(range(1, len(details.curves) + 1))
    card = version.card
    assert [path[-1] for path in card["labels"]] == sorted(TINTS)
    assert card["trained_from"]["snapshot"] == details.run.snapshot
    assert (card["recipe"]["name"], card["backbone"]["architecture"]) == ("gap", "tiny")
    assert run_of_version_id(world, version.id) == run.id
    loaded = load_classifier(world.place.settings, world.place.data_dir, version.artifact, card)
    assert loaded.threshold == card["threshold"]


def test_the_same_photos_give_the_same_version_wherever_their_features_lie(world: Tinted) -> None:
    """All shards deleted, one damaged: computed again, with the same figures to the last digit."""
    train(world.place, claim(world))
    first = last_run(world)
    keys = list(world.blobs.list_keys("features"))
    for key in keys[1:]:
        world.blobs.delete_object(key)
    world.blobs.write_object(keys[0], b"damaged")

    train(world.place, claim(world))

    second = last_run(world)
    assert (second.report, second.curves, second.snapshot_id) == (first.report, first.curves, first.snapshot_id)
    assert weights_of(world, "head-1") == weights_of(world, "head-2")
    train(world.place, claim(world))
    assert last_run(world).report == first.report, "and what was computed again is read"


def test_auto_activates_a_better_candidate_and_no_other(sqlite_database: Database, data_dir: Path) -> None:
    """The second one knows nothing more than the first."""
    world = make_tinted(sqlite_database, data_dir, 120)
    train(world.place, claim(world, activate="auto"))
    assert (active_name(world), last_run(world).outcome) == ("head-1", "activated")

    train(world.place, claim(world, activate="auto"))

    run = last_run(world)
    assert (active_name(world), run.outcome, run.gate) == ("head-1", None, "not_better")
    with world.database.reading() as session:
        assert get_run(session, run.id).run.base == "head-1"


def test_a_merged_label_is_the_one_it_stands_for(world: Tinted) -> None:
    """For the candidate, and for the version that learnt both."""
    train(world.place, claim(world))
    with world.database.transaction() as session:
        version = get_version(session, "head-1")
        tiny = active_version(session)
        assert tiny is not None
        activate_version(session, version.id, expected_id=tiny.id, user=None, reason="a person decides")
        assert session.scalars(select(TrainingRun.outcome)).all() == ["activated"]
        moss, sea = ensure_labels(session, [["moss"], ["sea"]])
        merge_labels(session, local_admin(session), [moss], sea)

    train(world.place, claim(world))

    run = last_run(world)
    with world.database.reading() as session:
        version = get_version(session, "head-2")
        said = session.scalars(select(HoldoutAnswer.base_label_id).where(HoldoutAnswer.run_id == run.id)).all()
        labels = version_label_ids(session, version.id)
    assert (len(labels), moss in labels) == (2, False)
    assert moss not in said
    assert run.report is not None
    assert run.report["base"]["top1"] >= 0.9


def test_subsets_stay_when_more_is_labelled(world: Tinted) -> None:
    """Old photos keep theirs; new ones get one."""
    train(world.place, claim(world))
    with world.database.reading() as session:
        before = subsets_of(session, list(world.photo_ids.values()))

    add_labelled(world, range(60, 75))
    train(world.place, claim(world))

    with world.database.reading() as session:
        after = subsets_of(session, list(world.photo_ids.values()))
    assert before.items() <= after.items()
    assert len(after) == 75


def test_a_run_that_was_cancelled_leaves_nothing(world: Tinted) -> None:
    """It ends at its next word, and no version is there."""
    run = claim(world)
    with world.database.transaction() as session:
        cancel_run(session, None, run.id)

    with pytest.raises(RunLostError):
        train(world.place, run)

    with world.database.reading() as session:
        assert [version.origin for version in list_versions(session)] == ["built-in"] * 2


def test_too_little_is_said_in_words(sqlite_database: Database, data_dir: Path) -> None:
    """One label has nothing to tell apart."""
    world = make_tinted(sqlite_database, data_dir, 1)

    with pytest.raises(PhototagError, match="at least 2 labels"):
        train(world.place, claim(world))


def test_flatten_is_trained_from_all_values(world: Tinted) -> None:
    """Read shard by shard into their places."""
    train(world.place, claim(world, "flatten"))

    run = last_run(world)
    assert run.report is not None
    assert run.report["candidate"]["top1"] >= 0.9
    assert read_artifact(artifact_of(world, "head-1")).card.head == "flatten"


def active_name(world: Tinted) -> str | None:
    """The name of the version that tags."""
    with world.database.reading() as session:
        active = active_version(session)
    return active.name if active else None


def artifact_of(world: Tinted, name: str) -> Path:
    """The folder of a version."""
    with world.database.reading() as session:
        return artifact_folder(world.place.data_dir, get_version(session, name).artifact)


def weights_of(world: Tinted, name: str) -> bytes:
    """What a version has learnt."""
    return read_artifact(artifact_of(world, name)).head["weights"].tobytes()


def run_of_version_id(world: Tinted, version_id: int) -> int | None:
    """The run that made a version."""
    with world.database.reading() as session:
        found = run_of_version(session, version_id)
    return found.run.id if found else None
