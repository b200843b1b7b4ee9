"""The long search for a sequence of events that breaks the lease store."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from db.session import Database
from tests.lease_machine import LeaseMachine
from tests.store import without_disk_syncs

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]


def test_no_long_sequence_of_events_breaks_the_store(sqlite_database: Database) -> None:
    """Ten times as many sequences as the short search."""

    class Machine(LeaseMachine):
        database = without_disk_syncs(sqlite_database)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=600, stateful_step_count=40, deadline=None, suppress_health_check=(HealthCheck.too_slow,)
        ),
    )
