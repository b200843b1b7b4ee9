"""Two machines with folders of their own share a database and an object store: what one trains, the other loads."""

from dataclasses import replace
from pathlib import Path

import pytest

from db.activations import activate_version
from db.blobs import Blobs, artifact_key
from db.errors import ArtifactError
from db.model_versions import active_version, get_version
from db.orphans import delete_orphan_bytes
from db.remote_store import RemoteStore
from db.session import Database
from tests.tinted import Tinted, add_labelled, empty_tinted
from tests.tinted_runs import claim
from training.run import train
from worker.active import ActiveClassifier
from worker.artifact import artifact_folder, read_artifact
from worker.shared_artifacts import ensure_artifact

PHOTOS = 45


def test_a_version_that_another_machine_has_trained_is_fetched_and_loaded(database: Database, tmp_path: Path) -> None:
    """Once, with all its files; a training here is compared with it."""
    first = machine(database, tmp_path / "first")
    add_labelled(first, range(PHOTOS))
    artifact = trained_and_active(first)
    second = machine(database, tmp_path / "second", first.blobs)

    active = follow(second)

    assert (active.note, active.is_current) == ("", True)
    ours, theirs = (artifact_folder(one.place.data_dir, artifact) for one in (first, second))
    assert {file.name: file.read_bytes() for file in theirs.iterdir()} == {
        file.name: file.read_bytes() for file in ours.iterdir()
    }
    assert {file.stat().st_mode & 0o777 for file in theirs.iterdir()} == {0o444}
    third = machine(database, tmp_path / "third", first.blobs)
    assert train(third.place, claim(third)) == "head-2"
    assert {path.name for path in (tmp_path / "third" / "models").iterdir()} >= {artifact}


def test_files_that_are_missing_or_damaged_are_refused_and_leave_nothing(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """The worker says so, and keeps the version it has."""
    first = machine(sqlite_database, tmp_path / "first")
    add_labelled(first, range(PHOTOS))
    artifact = trained_and_active(first)
    second = machine(sqlite_database, tmp_path / "second", first.blobs)
    whole = first.blobs.read_object(artifact_key(artifact, "head.safetensors"))

    first.blobs.write_object(artifact_key(artifact, "head.safetensors"), whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "does not have the SHA-256" in follow(second).note
    first.blobs.delete_object(artifact_key(artifact, "head.safetensors"))
    assert "neither on this machine nor in the blob store" in follow(second).note
    first.blobs.write_object(artifact_key(artifact, "card.json"), b"{}")
    with pytest.raises(ArtifactError, match="is damaged"):
        ensure_artifact(second.blobs, second.place.data_dir, artifact)

    assert list((tmp_path / "second" / "models").iterdir()) == []


def test_shared_files_stay_as_long_as_a_version_names_them(sqlite_database: Database, tmp_path: Path) -> None:
    """What a run left that was killed before its row goes."""
    first = machine(sqlite_database, tmp_path / "first")
    add_labelled(first, range(PHOTOS))
    artifact = trained_and_active(first)
    left = artifact_key("0" * 64, "card.json")
    first.blobs.write_object(left, b"{}")

    assert delete_orphan_bytes(sqlite_database, first.blobs) == 0, "it is young"
    assert delete_orphan_bytes(sqlite_database, first.blobs, older_than_s=-60) >= 1

    assert set(first.blobs.list_keys("artifacts")) == {
        artifact_key(artifact, name) for name in ("card.json", "head.safetensors")
    }


def test_a_local_folder_is_not_filled_twice(sqlite_database: Database, data_dir: Path) -> None:
    """Where one machine has all there is, its files are in `models` alone."""
    world = empty_tinted(sqlite_database, data_dir)
    add_labelled(world, range(PHOTOS))

    artifact = trained_and_active(world)

    assert read_artifact(artifact_folder(data_dir, artifact)).card.name == "head-1"
    assert not (data_dir / "artifacts").exists()
    ensure_artifact(world.blobs, data_dir / "elsewhere", artifact)
    assert not (data_dir / "elsewhere").exists()


def machine(database: Database, data_dir: Path, blobs: Blobs | None = None) -> Tinted:
    """A machine with a folder of its own; the first one makes the object store."""
    data_dir.mkdir(exist_ok=True)
    world = empty_tinted(database, data_dir)
    blobs = blobs or Blobs(RemoteStore("memory:///"), data_dir / "staging")
    return replace(world, place=replace(world.place, blobs=blobs))


def trained_and_active(world: Tinted) -> str:
    """Trains head-1 and activates it; returns its artifact."""
    train(world.place, claim(world))
    with world.database.transaction() as session:
        version, before = get_version(session, "head-1"), active_version(session)
        assert before is not None
        activate_version(session, version.id, expected_id=before.id, user=None, reason="test")
        return version.artifact


def follow(world: Tinted) -> ActiveClassifier:
    """What a worker on that machine holds after a look at the active version."""
    active = ActiveClassifier(world.database, world.place.settings, world.place.data_dir, world.blobs)
    active.follow()
    return active
