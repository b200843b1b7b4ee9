"""The training worker as a process: it is seen, finds what looks wrong, does runs, and ends at once."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from db.blobs import open_blobs
from db.garbage import LONG_AGO
from db.schema import Garbage, Worker
from db.session import Database
from db.settings import DataSettings
from db.subsets import subsets_of
from db.training_runs import start_run
from db.training_views import RunDetails, RunView, get_run
from db.users import local_admin
from tests.integration.command_line import PATIENCE_S, environment
from tests.integration.processes import ROOT, end, wait_until
from tests.labelled import World, hints, make_world, say
from tests.tinted import make_tinted
from training.looking import TURN
from training.recipe import load_recipe
from ui.programs import program
from ui.recipes import recipe_values
from ui.train_words import comparison_lines

pytestmark = pytest.mark.timeout(300)

# Two, and the rest for a machine that does other things.
BEGINS_WITHIN_S = 6.0


@pytest.fixture
def process(sqlite_database: Database, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`phototag worker --queues training`; its output goes to the data directory."""
    with (data_dir / "training.log").open("ab") as log:
        started = subprocess.Popen(
            program("ui", "worker", "--queues", "training", "--data-dir", str(data_dir)),
            cwd=ROOT, env=environment(PHOTOTAG_DOUBTS_EVERY_S="0.2"), stdout=log, stderr=log,
        )  # fmt: skip
    yield started
    end(started)


@pytest.mark.slow
def test_it_finds_labels_that_look_wrong_and_ends_when_asked(
    sqlite_database: Database, data_dir: Path, process: subprocess.Popen[bytes]
) -> None:
    """One photo of 100 has a wrong label; nothing heavy is loaded before somebody labels, and never a network."""
    wait_until(lambda: queues_of(sqlite_database) == ["training"], PATIENCE_S, "a training worker")
    assert {"sklearn", "pandas", "tensorflow"} & loaded_by(process.pid) == set()
    world = make_world(sqlite_database, open_blobs(DataSettings(data_dir=data_dir)), 100)
    odd = world.photo_ids[42]

    label_all(world, odd)

    wait_until(lambda: hints(world).keys() == {odd}, PATIENCE_S, "a hint")
    assert {"tensorflow", "keras"} & loaded_by(process.pid) == set()
    assert ends_within(process, 5)
    assert queues_of(sqlite_database) == []


@pytest.mark.slow
def test_it_ends_in_the_middle_of_a_search(
    sqlite_database: Database, data_dir: Path, process: subprocess.Popen[bytes]
) -> None:
    """A fit that takes long is not waited for, and another worker may begin at once."""
    wait_until(lambda: queues_of(sqlite_database) == ["training"], PATIENCE_S, "a training worker")
    world = make_world(
        sqlite_database, open_blobs(DataSettings(data_dir=data_dir)), 6000, channels=512, noise=4.0, shard=500
    )

    label_all(world, world.photo_ids[42])
    wait_until(lambda: "sklearn" in loaded_by(process.pid), PATIENCE_S, "a search")
    time.sleep(1.0)

    assert has_turn(sqlite_database)
    assert ends_within(process, 5)
    assert (has_turn(sqlite_database), queues_of(sqlite_database), hints(world)) == (False, [], {})


@pytest.mark.slow
def test_a_run_trains_on_changed_variants(
    sqlite_database: Database, data_dir: Path, process: subprocess.Popen[bytes]
) -> None:
    """By a recipe as a person chooses it, in a process of its own; the second run reads what the first has kept."""
    world = make_tinted(sqlite_database, data_dir, 45)

    first = run_to_its_end(sqlite_database, "gap-augmented")
    kept = set(world.blobs.list_keys("variants"))
    second = run_to_its_end(sqlite_database, "gap-augmented")

    assert (first.run.state, second.run.state) == ("done", "done")
    assert process.poll() is None
    with sqlite_database.reading() as session:
        subsets = list(subsets_of(session, list(world.photo_ids.values())).values())
    trained_on = 3 * subsets.count("training")
    assert 0 < trained_on < 3 * 45
    for details in (first, second):
        assert details.report is not None
        assert details.report["variants"] == {"a_photo": 3, "trained_on": trained_on, "unchanged": 0}
        assert f"  {trained_on} changed variants were trained on, 3 of each photo." in comparison_lines(details)
    assert len(kept) == 3
    assert set(world.blobs.list_keys("variants")) == kept


def run_to_its_end(database: Database, recipe: str) -> RunDetails:
    """A run that the worker has done, well or not."""
    with database.transaction() as session:
        run_id = start_run(session, local_admin(session), recipe_values(recipe), "never").id

    def has_ended() -> bool:
        with database.reading() as session:
            return not get_run(session, run_id).run.is_open

    wait_until(has_ended, 240.0, "the run")
    with database.reading() as session:
        return get_run(session, run_id)


def test_a_training_begins_within_seconds_and_says_why_it_cannot_be_done(
    sqlite_database: Database, process: subprocess.Popen[bytes]
) -> None:
    """The worker looks every second, without a broker; a run that fails ends its own process and not the worker."""
    wait_until(lambda: queues_of(sqlite_database) == ["training"], PATIENCE_S, "a training worker")
    with sqlite_database.transaction() as session:
        run_id = start_run(session, None, load_recipe("gap").model_dump(mode="json"), "never").id

    wait_until(lambda: not run_of(sqlite_database, run_id).is_open, PATIENCE_S, "the run has ended")

    run = run_of(sqlite_database, run_id)
    assert run.started_at is not None
    assert (run.started_at - run.created_at).total_seconds() < BEGINS_WITHIN_S
    assert (run.state, "Run `phototag up` once" in run.reason) == ("failed", True)
    assert process.poll() is None
    assert ends_within(process, 5)


def run_of(database: Database, run_id: int) -> RunView:
    """The run as it is now."""
    with database.reading() as session:
        return get_run(session, run_id).run


def label_all(world: World, odd: int) -> None:
    """Each photo gets the label of its kind, but for one."""
    say(world, {photo_id: world.fitting(photo_id, int(photo_id == odd)) for photo_id in world.photo_ids})


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ends by itself, as it should, that soon after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    return process.wait(seconds) == 0


def queues_of(database: Database) -> list[str]:
    """Queues of the workers on the list."""
    with database.reading() as session:
        return list(session.scalars(select(Worker.queues)))


def has_turn(database: Database) -> bool:
    """Whether somebody searches."""
    with database.reading() as session:
        at = session.scalars(select(Garbage.queued_at).where(Garbage.key == TURN)).one_or_none()
    return at is not None and at > LONG_AGO


def loaded_by(pid: int) -> set[str]:
    """Packages of which a process has loaded compiled parts."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return {part for line in maps.splitlines() if "site-packages" in line for part in line.split("/")}
