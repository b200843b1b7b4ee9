"""A run that trains block 5, killed or cancelled at each of its stages, with real processes and the seeded VGG16."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db.schema import FeatureShard, HoldoutAnswer
from db.session import Database
from db.subsets import record_subsets
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
from tests.integration.accepting import accept, states
from tests.integration.bench import Bench
from tests.integration.processes import wait_until
from tests.tinted import TINTS, Tinted, add_photos, empty_tinted, say_tints, tint_of, tinted_photo
from worker.settings import WorkerSettings

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(1200)]

# Of two labels; one photo of each is held out. To a network with random weights they look so alike that it would hold
# out all or none.
SEEDS = [seed for seed in range(18) if tint_of(seed) != "moss"]
HELD_OUT = SEEDS[-2:]
SETTINGS = {"PHOTOTAG_BACKBONE": "vgg16", "PHOTOTAG_OFFLINE": "1", "PHOTOTAG_CHUNK_SIZE": "4"}
SHORT = {"epochs": 1, "patience": 1, "batch_size": 4, "learning_rate": 1e-5}
ENDS_WITHIN_S = 5.0
NEW_FEATURES = "features of the new network"


@pytest.fixture
def world(sqlite_database: Database, data_dir: Path) -> Tinted:
    """A dozen labelled photos without features, and the starter version active."""
    world = empty_tinted(sqlite_database, data_dir, WorkerSettings(offline=True, decoders=1, chunk_size=4))
    add_photos(world, {seed: tinted_photo(seed, TINTS[tint_of(seed)]) for seed in SEEDS})
    say_tints(world, SEEDS)
    with world.database.transaction() as session:
        subsets = {seed: "holdout" if seed in HELD_OUT else "training" for seed in SEEDS}
        record_subsets(session, {world.photo_ids[seed]: subset for seed, subset in subsets.items()})
    return world


@pytest.mark.parametrize("moments", [("features", "frozen"), ("tuning", NEW_FEATURES), ("exam",)])
def test_a_run_begins_anew_after_its_worker_was_killed(world: Tinted, moments: tuple[str, ...]) -> None:
    """Worker and process are killed in a stage; a second time in another one; then one whole version is made."""
    run_id = ask_tuning(world)
    for moment in moments:
        with worker(world, **SETTINGS) as process:
            wait_for(world, run_id, moment)
            processes = [process.pid, *children_of(process.pid)]
            kill(*processes)
            process.wait()
            wait_until(lambda: are_gone(processes), ENDS_WITHIN_S, "all processes of the run are gone")  # noqa: B023
        check_whole(world)
        assert trained(world) == []

    with worker(world, **SETTINGS):
        wait_until(lambda: is_over(world, run_id), PATIENCE_S, "the run")

    run = run_of(world, run_id)
    assert (run.state, run.reason, run.attempt) == ("done", "", len(moments) + 1)
    assert trained(world) == ["head-1"]
    with world.database.reading() as session:
        assert len(session.scalars(select(HoldoutAnswer)).all()) == len(HELD_OUT)
    check_whole(world)
    check_collected(world)
    check_whole(world)


def test_a_run_whose_process_dies_three_times_fails_and_says_why(world: Tinted) -> None:
    """The worker lives on; features of networks that became no version are collected."""
    run_id = ask_tuning(world)
    with worker(world, **SETTINGS) as process:
        for attempt, moment in enumerate(("frozen", NEW_FEATURES, "tuning"), 1):
            wait_for(world, run_id, moment, attempt)
            kill(children_of(process.pid)[0])
        wait_until(lambda: is_over(world, run_id), PATIENCE_S, "the run")
        assert children_of(process.pid) == []

    run = run_of(world, run_id)
    assert run.state == "failed"
    assert "ended 3 times before it was done" in run.reason
    assert trained(world) == []
    check_whole(world)
    check_collected(world)


def test_runs_end_within_seconds_when_they_are_cancelled_and_the_next_one_begins(world: Tinted) -> None:
    """At each stage, with another run waiting; the last one is done, beside the tagging of other photos."""
    moments = ("frozen", "tuning", NEW_FEATURES, "exam")
    run_ids = [ask_tuning(world) for _ in moments]
    last = ask(world, "gap")
    with worker(world, **SETTINGS) as process:
        for run_id, after, moment in zip(run_ids, [*run_ids[1:], last], moments, strict=True):
            wait_for(world, run_id, moment)
            assert run_of(world, after).state == "queued"
            processes = children_of(process.pid)
            with world.database.transaction() as session:
                cancel_run(session, None, run_id)
            wait_until(lambda: are_gone(processes), ENDS_WITHIN_S, moment)  # noqa: B023
            check_whole(world)
        wait_until(lambda: is_over(world, last), PATIENCE_S, "the last run")

    assert [run_of(world, run_id).state for run_id in [*run_ids, last]] == ["cancelled"] * 4 + ["done"]
    assert trained(world) == ["head-1"]
    check_collected(world)
    check_whole(world)


def test_tagging_goes_on_while_block_5_is_trained(world: Tinted, tmp_path: Path) -> None:
    """Photos that come in the midst of it are tagged before it is over."""
    path = tmp_path / "new.jpg"
    path.write_bytes(tinted_photo(100, TINTS["rust"]))
    bench = Bench(world.database, world.place.data_dir, world.place.settings)
    run_id = ask_tuning(world, epochs=50, patience=50)
    with worker(world, **SETTINGS):
        wait_for(world, run_id, "tuning")
        new = accept(world.database, [path], priority=0)
        bench.tag()
        assert states(world.database, new) == {"tagged": 1}
        assert run_of(world, run_id).stage == "tuning"
        with world.database.transaction() as session:
            cancel_run(session, None, run_id)
    bench.close()


def ask_tuning(world: Tinted, **tuning: Any) -> int:
    """The id of a run that waits."""
    return ask(world, "vgg16-finetune", tuning=SHORT | tuning)


def spaces_of(world: Tinted) -> set[str]:
    """Where features lie."""
    with world.database.reading() as session:
        return set(session.scalars(select(FeatureShard.space)))


def wait_for(world: Tinted, run_id: int, moment: str, attempt: int | None = None) -> None:
    """Returns in the midst of a stage; of the new network's features some are kept by then.

    Raises:
        AssertionError: the run ended before it.
    """

    def has_come() -> bool:
        run = run_of(world, run_id)
        assert run.state in ("queued", "running"), f"{run.state} before {moment}: {run.reason}"
        stage, is_begun = (moment, True) if moment != NEW_FEATURES else ("features", len(spaces_of(world)) > 1)
        return run.stage == stage and is_begun and attempt in (None, run.attempt)

    wait_until(has_come, PATIENCE_S, moment)
