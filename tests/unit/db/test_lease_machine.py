"""The lease store against random sequences of events. The long search is in tests/faults."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from db.session import Database
from tests.lease_machine import LeaseMachine
from tests.store import without_disk_syncs


@pytest.mark.timeout(400)
def test_no_sequence_of_events_breaks_the_store(sqlite_database: Database) -> None:
    """Submit, claim, finish late or twice, crash, sweep, cancel in any order: the invariants hold, and all work ends."""

    class Machine(LeaseMachine):
        database = without_disk_syncs(sqlite_database)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=(HealthCheck.too_slow,),
            database=None,
        ),
    )
