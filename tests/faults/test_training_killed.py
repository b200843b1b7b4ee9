"""A training worker, or the process of its run, killed at any stage: the run goes on and makes one whole version."""

from pathlib import Path

import pytest

from db.session import Database
from db.training_runs import cancel_run
from tests.faults.training_worker import (
    PATIENCE_S,
    are_gone,
    ask,
    check_collected,
    check_whole,
    children_of,
    is_over,
    kill,
    run_of,
    trained,
    worker,
)
from tests.integration.processes import wait_until
from tests.tinted import Tinted, make_tinted

pytestmark = pytest.mark.timeout(600)
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
        kill(first.pid, *children_of(first.pid))
        first.wait()
        check_whole(world)

    with worker(world):
        wait_until(lambda: is_over(world, run_id), PATIENCE_S, "the run")

    assert run_of(world, run_id).state == "done"
    check_whole(world)
    check_collected(world)
    assert trained(world) == ["head-1"]


@pytest.mark.faults
def test_a_cancelled_run_leaves_nothing_and_the_next_one_works(world: Tinted) -> None:
    """Its processes are gone within seconds, and no version, no answer is there."""
    run_id = ask(world)
    with worker(world) as process:
        wait_until(lambda: run_of(world, run_id).state == "running", PATIENCE_S, "the run works")
        processes = children_of(process.pid)
        with world.database.transaction() as session:
            cancel_run(session, None, run_id)
        wait_until(lambda: are_gone(processes) and children_of(process.pid) == [], 10, "the run's processes are gone")
        check_whole(world)
        assert trained(world) == []

        again = ask(world)
        wait_until(lambda: is_over(world, again), PATIENCE_S, "the next run")
        assert run_of(world, again).state == "done"
    assert trained(world) == ["head-1"]
