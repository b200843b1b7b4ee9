"""Who takes runs: each is done by a process of its own, which ends when it should and is missed when it dies."""

import sys
import threading
import time
from collections.abc import Callable, Sequence

from db.session import Database
from db.training_runs import MAX_ATTEMPTS, ClaimedRun, cancel_run, start_run
from db.training_views import RunView, get_run
from db.users import local_admin
from tests.integration.processes import wait_until
from training.run_keeper import RunKeeper

PATIENCE_S = 60.0
# What the process of a run does here instead of training.
SLEEPS = "import time; time.sleep(600)"
DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
FAILS_IN_WORDS = """
import sys
from db.session import Database
from db.training_runs import fail_run, held_run
database = Database(sys.argv[1])
with database.transaction() as session:
    fail_run(session, held_run(session, int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]), "not enough photos")
"""


def test_a_run_is_done_by_a_process(database: Database) -> None:
    """What that says of the run is what counts."""
    run_id = ask(database)

    keeper(database, FAILS_IN_WORDS)()

    assert (view(database, run_id).state, view(database, run_id).reason) == ("failed", "not enough photos")


def test_a_run_that_is_cancelled_ends_within_a_second_or_two(database: Database) -> None:
    """Its process is killed."""
    run_id = ask(database)
    at_work = keeper(database, SLEEPS)
    thread = in_thread(at_work)
    wait_until(lambda: view(database, run_id).state == "running", PATIENCE_S, "the run works")
    assert at_work.is_at_work

    with database.transaction() as session:
        cancel_run(session, None, run_id)

    thread.join(PATIENCE_S)
    assert (thread.is_alive(), at_work.is_at_work, view(database, run_id).state) == (False, False, "cancelled")


def test_a_worker_that_is_asked_to_stop_gives_its_run_back(database: Database) -> None:
    """It is begun anew by the next one, and has not lost an attempt."""
    run_id = ask(database)
    asked = threading.Event()
    thread = in_thread(keeper(database, SLEEPS, asked.is_set))
    wait_until(lambda: view(database, run_id).state == "running", PATIENCE_S, "the run works")

    asked.set()
    thread.join(PATIENCE_S)

    assert (thread.is_alive(), view(database, run_id).state) == (False, "queued")
    keeper(database, FAILS_IN_WORDS, owner="next")()
    assert view(database, run_id).reason == "not enough photos"


def test_a_process_that_dies_is_started_again_and_at_last_given_up(database: Database) -> None:
    """In plain words."""
    run_id = ask(database)
    dying = keeper(database, DIES)

    for _ in range(MAX_ATTEMPTS):
        assert view(database, run_id).state == "queued"
        dying()

    assert view(database, run_id).state == "failed"
    assert f"ended {MAX_ATTEMPTS} times" in view(database, run_id).reason


def test_the_lease_is_kept_while_the_process_works(database: Database) -> None:
    """However long it takes; nobody else takes the run."""
    run_id = ask(database)
    asked = threading.Event()
    thread = in_thread(keeper(database, SLEEPS, asked.is_set, lease_s=2.0))
    wait_until(lambda: view(database, run_id).state == "running", PATIENCE_S, "the run works")

    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        keeper(database, FAILS_IN_WORDS, owner="other")()
        time.sleep(0.2)

    assert view(database, run_id).state == "running"
    asked.set()
    thread.join(PATIENCE_S)


def ask(database: Database) -> int:
    """The id of a run that waits."""
    with database.transaction() as session:
        return start_run(session, local_admin(session), {"name": "gap"}, "never").id


def keeper(
    database: Database,
    program: str,
    stopping: Callable[[], bool] = lambda: False,
    *,
    owner: str = "w",
    lease_s: float = 60.0,
) -> RunKeeper:
    """One whose runs are done by this program."""

    def command(run: ClaimedRun) -> Sequence[str]:
        return [sys.executable, "-c", program, database.url, str(run.id), str(run.attempt), run.owner]

    return RunKeeper(database, owner, command, stopping, lease_s=lease_s)


def in_thread(action: Callable[[], None]) -> threading.Thread:
    """Does it beside the test."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def view(database: Database, run_id: int) -> RunView:
    """The run as pages show it."""
    with database.reading() as session:
        return get_run(session, run_id).run
