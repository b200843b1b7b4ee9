"""`phototag train` from end to end, through real processes: class folders, a run, a version that tags new photos."""

import signal
from pathlib import Path

import pytest

from db.session import Database
from db.settings import DataSettings
from tests.integration.command_line import phototag, query, results, running
from tests.integration.processes import wait_until
from tests.tinted import TINTS, tint_of, tinted_photo, write_class_folders
from worker.first_version import ensure_versions
from worker.settings import WorkerSettings

# Starting services takes seconds alone and more beside other tests; a run loads scikit-learn.
pytestmark = pytest.mark.timeout(600)
PATIENCE_S = 240.0


def test_own_labels_become_a_model_that_tags(tmp_path: Path) -> None:
    """Import, train, activate, tag new photos: in three commands."""
    data_dir = tmp_path / "data"
    folders = write_class_folders(tmp_path / "classes", range(120))
    assert phototag("labels", "import", folders, "--data-dir", data_dir, timeout_s=PATIENCE_S).returncode == 0

    trained = phototag("train", "--activate", "auto", "--data-dir", data_dir, timeout_s=PATIENCE_S)

    assert trained.returncode == 0, trained.stderr
    assert "head-1 is better than the active version." in trained.stdout
    assert "head-1 is active: it tags from now on." in trained.stdout
    assert "epoch 1: loss" in trained.stderr
    new = tmp_path / "new"
    new.mkdir()
    for seed in range(200, 209):
        (new / f"{seed}.jpg").write_bytes(tinted_photo(seed, TINTS[tint_of(seed)]))
    out = tmp_path / "new.jsonl"
    tagged = phototag("tag", new, "--out", out, "--data-dir", data_dir, timeout_s=PATIENCE_S)
    assert tagged.returncode == 0, tagged.stderr
    said = {path: row["label_1"] for path, row in results(out).items()}
    assert {path: label for path, label in said.items() if label != tint_of(int(Path(path).stem))} == {}

    shown = phototag("models", "show", "head-1", "--data-dir", data_dir)
    assert "held-out photos" in shown.stdout, shown.stdout


def test_too_few_photos_are_said_before_anything_is_started(tmp_path: Path) -> None:
    """With what is missing; a recipe that there is not; a folder without data."""
    data_dir = tmp_path / "data"
    assert phototag("migrate", "--data-dir", data_dir).returncode == 0

    few = phototag("train", "--no-wait", "--data-dir", data_dir)
    unknown = phototag("train", "--recipe", "nosuch", "--data-dir", data_dir)
    nothing = phototag("train", "--data-dir", tmp_path / "none")
    mixed = phototag("train", "--epochs", "3", "--data-dir", data_dir)

    assert (few.returncode, "no label has so many" in few.stderr) == (1, True), few.stderr
    assert (unknown.returncode, "take one of: default, " in unknown.stderr) == (1, True), unknown.stderr
    assert (nothing.returncode, (tmp_path / "none").exists()) == (1, False)
    assert mixed.returncode == 2


def test_a_network_of_ones_own_is_trained_by_whoever_accepts_its_cost(tmp_path: Path) -> None:
    """Nobody can be asked here; with another network active it cannot be trained at all."""
    data_dir = tmp_path / "data"
    assert phototag("migrate", "--data-dir", data_dir).returncode == 0
    asked = ("train", "--recipe", "vgg16-finetune", "--no-wait", "--data-dir", data_dir)

    refused, accepted = phototag(*asked), phototag(*asked, "--yes")
    assert (refused.returncode, "Say so with --yes." in refused.stderr) == (2, True), refused.stderr
    assert "photos a second" in refused.stderr
    assert "no label has so many" in accepted.stderr, "what it costs is accepted; there is nothing to train on"

    activate_tiny(data_dir)
    other = phototag(*asked, "--yes")
    assert (other.returncode, "Received: tiny" in other.stderr) == (1, True), other.stderr


@pytest.mark.slow
def test_ctrl_c_cancels_and_two_runs_wait_for_each_other(tmp_path: Path) -> None:
    """A run that nobody waits for is done by whoever runs the services next; a killed worker's run goes on."""
    data_dir = tmp_path / "data"
    folders = write_class_folders(tmp_path / "classes", range(60))
    assert phototag("labels", "import", folders, "--data-dir", data_dir, timeout_s=PATIENCE_S).returncode == 0
    first = phototag("train", "--no-wait", "--json", "--data-dir", data_dir)
    assert first.returncode == 0, first.stderr
    assert "phototag up" in first.stderr

    with running("train", "--data-dir", data_dir) as second:
        wait_until(lambda: states(data_dir)[1:] != [], PATIENCE_S, "the second run waits")
        wait_until(lambda: states(data_dir)[0] in ("running", "done"), PATIENCE_S, "the first run works")
        assert states(data_dir).count("running") <= 1
        second.process.send_signal(signal.SIGINT)
        code = second.end(PATIENCE_S)

    assert (code, "run 2 is cancelled" in second.output) == (130, True), second.output
    assert states(data_dir)[1] == "cancelled"
    assert states(data_dir)[0] in ("queued", "done"), (
        "its worker was asked to end: it gave the run back, or had ended it"
    )
    third = phototag("train", "--data-dir", data_dir, timeout_s=PATIENCE_S)
    assert third.returncode == 0, third.stderr
    assert states(data_dir) == ["done", "cancelled", "done"]
    assert query(data_dir, "SELECT name FROM model_versions WHERE origin = 'trained' ORDER BY id") == [
        "head-1",
        "head-2",
    ]


def states(data_dir: Path) -> list[str]:
    """Of all runs, the oldest first."""
    return query(data_dir, "SELECT state FROM training_runs ORDER BY id")


def activate_tiny(data_dir: Path) -> None:
    """Makes the tiny version the active one, without any service."""
    settings = DataSettings(data_dir=data_dir)
    database = Database(settings.resolved_database_url)
    ensure_versions(database, WorkerSettings(backbone="tiny"), settings, lambda _done, _total: None)
    database.close()
