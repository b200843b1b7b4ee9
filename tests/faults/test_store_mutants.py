"""Faults planted in the lease store: the state machine must find each, else it would not find ours."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import CTE, Executable, Select, bindparam, false, func, select, true, update
from sqlalchemy.orm import Session

from db import closing, predictions
from db import item_statements as statements
from db.schema import Batch, Item
from db.session import Database, database_clock, utc_now
from db.statements import count_changed
from tests.lease_machine import LeaseMachine
from tests.store import without_disk_syncs

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

CACHED = (
    statements.next_suspect,
    statements.claim_many,
    statements.claim_one,
    statements.end,
    statements.release,
    statements.sweep,
    predictions._photos_statement,
    closing._without_open_items,
    closing._close_done,
)

Plant = Callable[[pytest.MonkeyPatch], None]


def fence_without_attempt(patch: pytest.MonkeyPatch) -> None:
    """A worker that claims an item again finishes it with what it knew before."""

    def fence(new: CTE) -> tuple[object, ...]:
        item = statements.ITEM
        return (item.id == new.c.id, item.state == "leased", item.lease_owner == bindparam("owner"))

    patch.setattr(statements, "_fence", fence)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Whoever knows the id may finish."""

    def fence(new: CTE) -> tuple[object, ...]:
        # the owner is compared with itself, so that the statement keeps its parameters
        return (statements.ITEM.id == new.c.id, bindparam("owner") == bindparam("owner"))

    patch.setattr(statements, "_fence", fence)


def attempt_not_raised(patch: pytest.MonkeyPatch) -> None:
    """All claims look the same."""
    claim = statements._claim

    def claim_again(ready: Select[int], *, sqlite: bool) -> Executable:
        return claim(ready, sqlite=sqlite).values(attempt=statements.ITEM.attempt)

    patch.setattr(statements, "_claim", claim_again)


def suspect_not_alone(patch: pytest.MonkeyPatch) -> None:
    """Suspects are claimed like others."""

    def claim_many(*, sqlite: bool) -> Executable:
        return statements._claim(statements.ready(sqlite=sqlite).limit(bindparam("limit")), sqlite=sqlite)

    patch.setattr(statements, "next_suspect", lambda **_: select(statements.ITEM.id).where(false()))
    patch.setattr(statements, "claim_many", claim_many)


def sweep_without_state(patch: pytest.MonkeyPatch) -> None:
    """The sweep looks at the time alone."""
    patch.setattr(
        statements,
        "_expired",
        lambda *, sqlite: (func.coalesce(statements.ITEM.lease_until, 0.0) < database_clock(sqlite=sqlite),),
    )


def sweep_without_time(patch: pytest.MonkeyPatch) -> None:
    """The sweep takes running leases."""
    patch.setattr(statements, "_expired", lambda **_: (statements.ITEM.state == "leased",))


def claim_of_any_state(patch: pytest.MonkeyPatch) -> None:
    """The claim looks at the order alone, and takes what others hold."""

    def ready(*, sqlite: bool) -> object:
        return (
            select(statements.ITEM.id)
            .where(statements.ITEM.state.in_(("ready", "leased")))
            .order_by(statements.ITEM.id)
        )

    patch.setattr(statements, "ready", ready)
    patch.setattr(statements, "READY", statements.ITEM.state)


def no_strikes(patch: pytest.MonkeyPatch) -> None:
    """A photo that kills its worker is tried for ever."""
    patch.setattr(statements, "MAX_STRIKES", 1_000)


def cancel_spares_leases(patch: pytest.MonkeyPatch) -> None:
    """Only what is ready is cancelled."""

    def cancel(session: Session, batch_id: str) -> int:
        count_changed(session, update(Batch).where(Batch.id == batch_id).values(state="cancelled"))
        ready = Item.batch_id == batch_id, Item.state == "ready"
        return count_changed(session, update(Item).where(*ready).values(state="cancelled", finished_at=utc_now()))

    patch.setattr("tests.lease_machine.cancel_batch", cancel)


def person_overwritten(patch: pytest.MonkeyPatch) -> None:
    """The shown label is always the model's."""
    patch.setattr(predictions, "no_person_has_spoken", true)


def batch_closed_too_early(patch: pytest.MonkeyPatch) -> None:
    """A batch is closed with its first finished item."""
    patch.setattr(closing, "_has_open_items", lambda _batch_id: false())


@pytest.mark.parametrize(
    "plant",
    [
        no_fence,
        fence_without_attempt,
        attempt_not_raised,
        suspect_not_alone,
        sweep_without_state,
        sweep_without_time,
        claim_of_any_state,
        no_strikes,
        cancel_spares_leases,
        person_overwritten,
        batch_closed_too_early,
    ],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_fault_is_found(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    """The machine fails with each of them."""

    class Machine(LeaseMachine):
        database = without_disk_syncs(sqlite_database)

    plant(monkeypatch)
    _forget_statements()
    try:
        with pytest.raises(AssertionError):
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=1500,
                    stateful_step_count=40,
                    deadline=None,
                    derandomize=True,
                    phases=[Phase.generate],
                    suppress_health_check=(HealthCheck.too_slow,),
                ),
            )
    finally:
        monkeypatch.undo()
        _forget_statements()


def _forget_statements() -> None:
    """Statements are built once; a fault is planted in what builds them."""
    for statement in CACHED:
        statement.cache_clear()
