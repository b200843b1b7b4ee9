"""A training worker, or the process of its run, killed at any stage: the run goes on and makes one whole version."""

import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from db.model_versions import list_versions
from db.schema import HoldoutAnswer, TrainingRun
from db.session import Database
from db.training_runs import cancel_run, start_run
from db.users import local_admin
from tests.integration.command_line import environment
from tests.integration.processes import ROOT, end, wait_until
from tests.tinted import Tinted, make_tinted
from training.recipe import load_recipe
from ui.programs import program
from worker.classifier import load_classifier

pytestmark = pytest.mark.timeout(600)
PATIENCE_S = 240.0
STAGES = ("features", "snapshot", "head", "exam")


@pytest.fixture
def world(sqlite_database: Database, data_dir: Path) -> Tinted:
    """Labelled photos without features: every stage has something to do."""
    return make_tinted(sqlite_database, data_dir, 45)


@pytest.mark.parametrize(
    "stage", [pytest.param("features"), *(pytest.param(s, marks=pytest.mark.faults) for s in STAGES[1:])]
)
def test_a_run_survives_the_death_of_its_worker(world: Tinted, stage: str) -> None:
    """Worker and process are killed as soon as the stage begins; the next worker ends the run."""
    run_id = ask(world)
    with worker(world) as first:
        wait_until(lambda: run_of(world, run_id).stage == stage or is_over(world, run_id), PATIENCE_S, stage)
        processes = [first.pid, *children_of(first.pid)]
        for pid in processes:
            kill(pid)
        first.wait()
        check_whole(world)

    with worker(world):
        wait_until(lambda: is_over(world, run_id), PATIENCE_S, "the run")

    assert run_of(world, run_id).state == "done"
    check_whole(world)
    assert trained(world) == ["head-1"]


def test_a_cancelled_run_leaves_nothing_and_the_next_one_works(world: Tinted) -> None:
    """Its process is gone within seconds, and no version, no answer is there."""
    run_id = ask(world)
    with worker(world) as process:
        wait_until(lambda: run_of(world, run_id).state == "running", PATIENCE_S, "the run works")
        with world.database.transaction() as session:
            cancel_run(session, None, run_id)
        wait_until(lambda: children_of(process.pid) == [], 10, "the process of the run is gone")
        check_whole(world)
        assert trained(world) == []

        again = ask(world)
        wait_until(lambda: is_over(world, again), PATIENCE_S, "the next run")
        assert run_of(world, again).state == "done"
    assert trained(world) == ["head-1"]


def ask(world: Tinted) -> int:
    """The id of a run that waits."""
    values = load_recipe("gap").model_dump(mode="json")
    with world.database.transaction() as session:
        return start_run(session, local_admin(session), values, "auto").id


@contextmanager
def worker(world: Tinted) -> Generator[subprocess.Popen[bytes]]:
    """A training worker."""
    data_dir = world.place.data_dir
    with (data_dir / "training.log").open("ab") as log:
        process = subprocess.Popen(
            program("ui", "worker", "--queues", "training", "--data-dir", str(data_dir)),
            cwd=ROOT, env=environment(), stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            end(process)


def run_of(world: Tinted, run_id: int) -> TrainingRun:
    """The row as it is now."""
    with world.database.reading() as session:
        return session.get_one(TrainingRun, run_id)


def is_over(world: Tinted, run_id: int) -> bool:
    """Whether it has ended, well or not."""
    return run_of(world, run_id).state not in ("queued", "running")


def trained(world: Tinted) -> list[str]:
    """Names of versions that runs have made."""
    with world.database.reading() as session:
        return [version.name for version in list_versions(session) if version.origin == "trained"]


def check_whole(world: Tinted) -> None:
    """Holds at any moment: each version loads, belongs to a run that is done, and answers are those of such runs."""
    with world.database.reading() as session:
        versions = [version for version in list_versions(session) if version.origin == "trained"]
        done = set(session.scalars(select(TrainingRun.version_id).where(TrainingRun.state == "done")))
        answered = set(session.scalars(select(HoldoutAnswer.run_id).distinct()))
        finished = set(session.scalars(select(TrainingRun.id).where(TrainingRun.state == "done")))
    assert {version.id for version in versions} == done
    assert answered <= finished
    for version in versions:
        load_classifier(world.place.settings, world.place.data_dir, version.artifact, version.card)


def children_of(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    children = [int(line) for line in listed.stdout.split()]
    return [*children, *(grandchild for child in children for grandchild in children_of(child))]


def kill(pid: int) -> None:
    """SIGKILL, to one that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
