"""What a run keeps to: the exam is no part of what is learnt, files are what was trained, and nobody is overruled."""

import threading
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from db.activations import activate_version
from db.errors import ArtifactError
from db.labels import ensure_labels
from db.model_versions import active_version, get_version, register_version, version_label_ids
from db.reviews import Said, record_verdicts
from db.schema import HoldoutAnswer
from db.session import Database
from db.snapshots import labelled_now, snapshot_entries
from db.subsets import record_subsets, subsets_of
from db.training_views import get_run
from db.users import local_admin
from tests.stack import wait_until
from tests.tinted import TINTS, Tinted, make_tinted, tint_of
from tests.tinted_runs import claim, last_run
from training.candidate import publish
from training.feature_making import make_features
from training.fit import FittedHead
from training.head_fit import Fitted
from training.networks import Network, canary_features, network_for_training
from training.run import train
from worker.artifact import PACKAGE_DIR, Artifact, artifact_folder, read_artifact, read_card


def test_what_people_say_of_held_out_photos_changes_nothing_that_is_learnt(
    sqlite_database: Database, data_dir: Path
) -> None:
    """Nor of photos that look like photos of both: with all of those labels wrong the head is the same, bit by bit."""
    world = make_tinted(sqlite_database, data_dir)
    neither = [world.photo_ids[seed] for seed in range(3)]
    with world.database.transaction() as session:
        record_subsets(session, dict.fromkeys(neither, "neither"))
    train(world.place, claim(world))
    training, held_out = photos_in(world, "training"), photos_in(world, "holdout")
    assert len(training) + len(held_out) + len(neither) == len(world.photo_ids)
    assert snapshot_of_last_run(world) == {"training": training, "holdout": held_out}
    assert answered(world) == held_out

    mislabel(world, held_out | set(neither))
    train(world.place, claim(world))

    first, second = (artifact_of(world, name) for name in ("head-1", "head-2"))
    assert first.head["weights"].tobytes() == second.head["weights"].tobytes()
    assert first.head["bias"].tobytes() == second.head["bias"].tobytes()
    assert (first.card.temperature, first.card.threshold) == (second.card.temperature, second.card.threshold)
    assert first.card.trained_from["photos"] == {"training": len(training), "holdout": len(held_out)}
    report = last_run(world).report
    assert report is not None
    assert report["left_out"] == len(neither)
    assert report["candidate"]["top1"] <= 0.1, "the exam is taken by what people say now"


def test_the_order_in_which_features_lie_changes_nothing_that_is_learnt(
    sqlite_database: Database, data_dir: Path
) -> None:
    """The last photos come first, in other files: the head is the same, bit by bit, and so is the snapshot."""
    world = make_tinted(sqlite_database, data_dir)
    train(world.place, claim(world))
    ids, network = list(world.photo_ids.values()), network_of_tiny(world)
    before = order_of(world, network)

    for part in (ids[40:], ids[:40]):
        make_features(world.database, world.blobs, network, part, lambda _count: None)
    assert set(order_of(world, network)[:20]) == set(ids[40:]) != set(before[:20])
    train(world.place, claim(world))

    first, second = (artifact_of(world, name) for name in ("head-1", "head-2"))
    assert first.head["weights"].tobytes() == second.head["weights"].tobytes()
    assert first.card.trained_from == second.card.trained_from


def test_files_that_do_not_answer_as_what_was_trained_are_no_version(sqlite_database: Database, data_dir: Path) -> None:
    """They are read back and asked about the canary photos before a row names them."""
    world = make_tinted(sqlite_database, data_dir)
    train(world.place, claim(world))
    found = artifact_of(world, "head-1")
    network = network_of_tiny(world)
    canaries = canary_features(world.blobs, network)
    head = FittedHead(found.head["weights"], found.head["bias"])
    turned = FittedHead(head.weights[:, ::-1].copy(), head.bias)
    assert publish(data_dir, found.card, fitted(head), canaries, network).artifact

    with pytest.raises(ArtifactError, match="does not give the scores"):
        publish(data_dir, found.card, fitted(turned), canaries, network)


def test_a_better_candidate_is_not_activated_over_what_somebody_chose_meanwhile(
    sqlite_database: Database, data_dir: Path
) -> None:
    """It is compared with what was active when the run began; whether it is better than the other, nobody knows."""
    world = make_tinted(sqlite_database, data_dir, 120)
    run = claim(world, activate="auto")
    other = add_version(world, "another")
    thread = threading.Thread(target=train, args=(world.place, run))
    thread.start()
    wait_until(lambda: stage_of(world, run.id) == "features", "the run has looked which version is active")
    with world.database.transaction() as session:
        activate_version(session, other, expected_id=get_version(session, "tiny").id, user=None, reason="a person")
    thread.join()

    with world.database.reading() as session:
        active, details = active_version(session), get_run(session, run.id)
    assert active is not None
    assert (active.name, details.run.state, details.run.gate) == ("another", "done", "better")
    assert (details.run.base, details.run.version, details.run.outcome) == ("tiny", "head-1", None)


def photos_in(world: Tinted, subset: str) -> set[int]:
    """Photos of a subset."""
    with world.database.reading() as session:
        found = subsets_of(session, list(world.photo_ids.values()))
    return {photo_id for photo_id, one in found.items() if one == subset}


def snapshot_of_last_run(world: Tinted) -> dict[str, set[int]]:
    """What is frozen, by subset."""
    snapshot_id = last_run(world).snapshot_id
    assert snapshot_id is not None
    found: dict[str, set[int]] = {}
    with world.database.reading() as session:
        for entry in snapshot_entries(session, snapshot_id):
            found.setdefault(entry.subset, set()).add(entry.photo_id)
    return found


def answered(world: Tinted) -> set[int]:
    """Photos of the exam."""
    with world.database.reading() as session:
        return set(session.scalars(select(HoldoutAnswer.photo_id)))


def mislabel(world: Tinted, photo_ids: Collection[int]) -> None:
    """A person gives each of them the label of another tint."""
    seeds = {photo_id: seed for seed, photo_id in world.photo_ids.items()}
    with world.database.transaction() as session:
        labels = dict(zip(TINTS, ensure_labels(session, [[name] for name in TINTS]), strict=True))
        said = [Said(photo_id, "label", labels[tint_of(seeds[photo_id] + 1)]) for photo_id in sorted(photo_ids)]
        record_verdicts(session, local_admin(session), said, token="wrong", source="single")


def artifact_of(world: Tinted, name: str) -> Artifact:
    """The files of a version."""
    with world.database.reading() as session:
        return read_artifact(artifact_folder(world.place.data_dir, get_version(session, name).artifact))


def network_of_tiny(world: Tinted) -> Network:
    """The network that comes with phototag."""
    return network_for_training(world.place.settings, world.place.data_dir, read_card(PACKAGE_DIR / "tiny"))


def order_of(world: Tinted, network: Network) -> list[int]:
    """Photos as their features lie."""
    with world.database.reading() as session:
        return [photo.photo_id for photo in labelled_now(session, network.space)]


def fitted(head: FittedHead) -> Fitted:
    """A head of which nothing else is known."""
    nothing = np.zeros(0)
    return Fitted(head, 1.0, 1.0, [], 1, None, nothing, nothing.astype(bool), 0)


def add_version(world: Tinted, name: str) -> int:
    """A version like the tiny one."""
    with world.database.transaction() as session:
        tiny = get_version(session, "tiny")
        label_ids = version_label_ids(session, tiny.id)
        return register_version(session, name, "built-in", tiny.artifact, tiny.card, label_ids).id


def stage_of(world: Tinted, run_id: int) -> str:
    """What the run is at."""
    with world.database.reading() as session:
        return get_run(session, run_id).run.stage
