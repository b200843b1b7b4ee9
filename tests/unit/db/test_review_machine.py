"""Any sequence of verdicts, undos and predictions leaves photos as a simple model says, on both databases."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from db.session import Database
from tests.review_machine import ReviewMachine
from tests.store import without_disk_syncs


def test_photos_show_what_counts_whatever_happened(database: Database) -> None:
    """Every column, after every step; a stroke that is taken back at once leaves no trace."""

    class Machine(ReviewMachine):
        pass

    Machine.database = without_disk_syncs(database) if database.is_sqlite else database
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=(HealthCheck.too_slow,),
            database=None,
        ),
    )
