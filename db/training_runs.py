"""Training runs: asked for, claimed under a lease, and finished behind a fence. One works at a time, the others wait.

Every claim raises `attempt`. Whoever writes must hold the lease of that very attempt: a worker that was thought dead, or
whose run was cancelled, writes nothing.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, exists, func, select, update
from sqlalchemy.orm import Session

from db.audit import record_audit
from db.errors import ConflictError, NotFoundError, PhototagError, RunLostError
from db.schema import TrainingRun, User
from db.session import db_now, is_sqlite, utc_now
from db.statements import IN_DATABASE_ONLY, count_changed
from db.training_schema import OPEN_RUN_STATES

ACTIVATE = ("auto", "never")
# A worker that ends so often at the same run will end again: most often it has too little memory.
MAX_ATTEMPTS = 3
MAX_REASON = 2000
# Any fixed number: whoever claims waits for others that do, or two would see that nothing works and both begin.
ADVISORY_LOCK = 7_206_142_033

QUEUED, RUNNING = OPEN_RUN_STATES


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that this worker is at.

    Attributes:
        recipe: all its values.
        activate: auto or never.
        attempt: fences late writers.
        owner: the worker that holds the lease.
    """

    id: int
    recipe: dict[str, Any]
    activate: str
    user_id: int | None
    attempt: int
    owner: str


def start_run(
    session: Session, user: User | None, recipe: dict[str, Any], activate: str, idem_key: str | None = None
) -> TrainingRun:
    """Asks for a training; with an `idem_key` that this person has used before, gives the run asked for then.

    It begins when those before it have ended.

    Args:
        session: of a write transaction.
        user: who asks; None for the command line.
        recipe: all its values, with its `name`.
        activate: auto: the candidate becomes the active version if it is better; never: a person decides.
        idem_key: at most 64 characters; without a person it counts for nothing.

    Raises:
        PhototagError: `activate` is neither.
    """
    if activate not in ACTIVATE:
        msg = f"A candidate is activated {' or '.join(ACTIVATE)}. Choose one of the two. Received: {activate!r}"
        raise PhototagError(msg)
    if user is not None and idem_key is not None and (earlier := _run_of_key(session, user.id, idem_key)) is not None:
        return earlier
    run = TrainingRun(
        state=QUEUED,
        recipe=recipe,
        activate=activate,
        user_id=user.id if user is not None else None,
        idem_key=idem_key,
        created_at=utc_now(),
        curves=[],
    )
    session.add(run)
    session.flush()
    record_audit(session, user, "training.start", f"run {run.id}", {"recipe": recipe.get("name"), "activate": activate})
    return run


def has_open_run(session: Session) -> bool:
    """Whether a run waits or works. A look at an index that holds nothing else."""
    is_open = TrainingRun.state.in_(OPEN_RUN_STATES)
    return session.scalars(select(TrainingRun.id).where(is_open).limit(1)).first() is not None


def held_run(session: Session, run_id: int, attempt: int, owner: str) -> ClaimedRun | None:
    """The run as it was claimed; None when it was cancelled, or is another worker's by now."""
    claimed = ClaimedRun(run_id, {}, "", None, attempt, owner)
    columns = TrainingRun.recipe, TrainingRun.activate, TrainingRun.user_id
    row = session.execute(select(*columns).where(*_held(claimed))).one_or_none()
    return ClaimedRun(run_id, row.recipe, row.activate, row.user_id, attempt, owner) if row is not None else None


def hold_run(session: Session, run: ClaimedRun) -> None:
    """Keeps the run this worker's until the transaction ends: what is written in it is written by one alone.

    Raises:
        RunLostError: it was cancelled, or another worker has it.
    """
    if session.scalars(select(TrainingRun.id).where(*_held(run)).with_for_update()).one_or_none() is None:
        raise _lost(run)


def claim_run(session: Session, owner: str, lease_s: float) -> ClaimedRun | None:
    """Leases the oldest run that waits; None when there is none, or when another run works."""
    if not is_sqlite(session):
        session.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))
    others = exists().where(TrainingRun.state == RUNNING).correlate(None)
    query = select(TrainingRun.id).where(TrainingRun.state == QUEUED, ~others).order_by(TrainingRun.id).limit(1)
    run_id = session.scalars(query).one_or_none()
    if run_id is None:
        return None
    change = {
        "state": RUNNING,
        "lease_owner": owner,
        "lease_until": db_now(session) + lease_s,
        "attempt": TrainingRun.attempt + 1,
        "started_at": func.coalesce(TrainingRun.started_at, utc_now()),
        **_NOTHING_DONE,
    }
    claimed = session.scalars(
        update(TrainingRun)
        .where(TrainingRun.id == run_id, TrainingRun.state == QUEUED)  # it may have been cancelled just now
        .values(change)
        .returning(TrainingRun),
        execution_options={**IN_DATABASE_ONLY, "populate_existing": True},
    ).one_or_none()
    if claimed is None:
        return None
    return ClaimedRun(claimed.id, claimed.recipe, claimed.activate, claimed.user_id, claimed.attempt, owner)


def extend_run(session: Session, run: ClaimedRun, lease_s: float) -> bool:
    """Keeps the lease; False when it is lost or the run was cancelled: stop."""
    held = update(TrainingRun).where(*_held(run), TrainingRun.lease_until >= db_now(session))
    return count_changed(session, held.values(lease_until=db_now(session) + lease_s)) == 1


def report_progress(
    session: Session, run: ClaimedRun, stage: str, done: int, total: int, curves: list[dict[str, Any]] | None = None
) -> bool:
    """Says how far a run is; `curves` None leaves them. False when it is lost or was cancelled: stop."""
    values: dict[str, Any] = {"stage": stage, "done": done, "total": total}
    if curves is not None:
        values["curves"] = curves
    return count_changed(session, update(TrainingRun).where(*_held(run)).values(values)) == 1


def finish_run(session: Session, run: ClaimedRun, **found: Any) -> None:
    """Ends a run that made a candidate. Call it first in the transaction that writes the candidate's rows.

    Args:
        session: of a write transaction.
        run: as it was claimed.
        found: columns of `TrainingRun`: snapshot_id, base_version_id, version_id, report, gate, gate_words, outcome.

    Raises:
        RunLostError: it was cancelled, or another worker has it. Nothing of the transaction may stay.
    """
    _end(session, run, state="done", reason="", **found)


def name_version(session: Session, run_id: int, version_id: int) -> None:
    """Says which version a finished run has made: its row is written behind the fence."""
    count_changed(session, update(TrainingRun).where(TrainingRun.id == run_id).values(version_id=version_id))


def fail_run(session: Session, run: ClaimedRun, reason: str) -> None:
    """Ends a run that cannot make a candidate; `reason` in plain words, with what to do.

    Raises:
        RunLostError: it was cancelled, or another worker has it.
    """
    _end(session, run, state="failed", reason=reason[:MAX_REASON])


def release_run(session: Session, run: ClaimedRun) -> bool:
    """Gives a run back, e.g. at shutdown: the next worker begins it anew, and the attempt does not count."""
    back = {"state": QUEUED, "attempt": TrainingRun.attempt - 1, **_NO_LEASE, **_NOTHING_DONE}
    return count_changed(session, update(TrainingRun).where(*_held(run)).values(back)) == 1


def cancel_run(session: Session, user: User | None, run_id: int) -> None:
    """Cancels a run that waits or works, at once; its worker notices within a second and leaves nothing.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: it has ended.
    """
    is_open = TrainingRun.id == run_id, TrainingRun.state.in_(OPEN_RUN_STATES)
    change = {"state": "cancelled", "finished_at": utc_now(), **_NO_LEASE}
    if not count_changed(session, update(TrainingRun).where(*is_open).values(change)):
        state = _state_of(session, run_id)
        msg = f"Run {run_id} has ended, so there is nothing to cancel. Received: a run that is {state}"
        raise ConflictError(msg)
    record_audit(session, user, "training.cancel", f"run {run_id}")


def reject_candidate(session: Session, user: User | None, run_id: int) -> None:
    """Says that a run's candidate is not wanted. Its version stays in the list, and may be activated there.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: it has no candidate that is still open.
    """
    is_open = TrainingRun.id == run_id, TrainingRun.state == "done", TrainingRun.outcome.is_(None)
    if not count_changed(session, update(TrainingRun).where(*is_open).values(outcome="rejected")):
        state = _state_of(session, run_id)
        msg = f"Run {run_id} has no candidate that waits for a decision. Received: a run that is {state}"
        raise ConflictError(msg)
    record_audit(session, user, "training.reject", f"run {run_id}")


def mark_activated(session: Session, version_id: int) -> None:
    """Says of the run that made this version that its candidate was taken."""
    made = TrainingRun.version_id == version_id, TrainingRun.state == "done"
    count_changed(session, update(TrainingRun).where(*made).values(outcome="activated"))


def sweep_runs(session: Session) -> int:
    """Lets runs whose lease has run out begin anew; those that lost it `MAX_ATTEMPTS` times fail. Returns how many."""
    worn_out = TrainingRun.attempt >= MAX_ATTEMPTS
    reason = (
        f"Its worker ended {MAX_ATTEMPTS} times before it was done, most often for want of memory. Look at the log of"
        " the training worker, then train again, with the recipe gap if it was another one."
    )
    change = {
        "state": case((worn_out, "failed"), else_=QUEUED),
        "reason": case((worn_out, reason), else_=""),
        "finished_at": case((worn_out, utc_now()), else_=None),
        **_NO_LEASE,
    }
    expired = TrainingRun.state == RUNNING, TrainingRun.lease_until < db_now(session)
    return count_changed(session, update(TrainingRun).where(*expired).values(change))


def run_owners(session: Session) -> set[str]:
    """The workers that hold a run, alive or not."""
    query = select(TrainingRun.lease_owner).where(TrainingRun.state == RUNNING)
    return {owner for owner in session.scalars(query) if owner is not None}


def expire_runs_of(session: Session, owners: set[str]) -> int:
    """Ends the leases of workers known to be dead, so that the next sweep need not wait; returns how many."""
    theirs = TrainingRun.state == RUNNING, TrainingRun.lease_owner.in_(owners)
    return count_changed(session, update(TrainingRun).where(*theirs).values(lease_until=0.0))


_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
_NOTHING_DONE: dict[str, Any] = {"stage": "", "done": 0, "total": 0, "curves": []}


def _run_of_key(session: Session, user_id: int, idem_key: str) -> TrainingRun | None:
    """The run; nobody else asks for one in this person's name until the transaction ends."""
    session.execute(select(User.id).where(User.id == user_id).with_for_update())
    mine = TrainingRun.user_id == user_id, TrainingRun.idem_key == idem_key
    return session.scalars(select(TrainingRun).where(*mine)).one_or_none()


def _held(run: ClaimedRun) -> tuple[ColumnElement[bool], ...]:
    return (
        TrainingRun.id == run.id,
        TrainingRun.attempt == run.attempt,
        TrainingRun.lease_owner == run.owner,
        TrainingRun.state == RUNNING,
    )


def _end(session: Session, run: ClaimedRun, **values: Any) -> None:
    ended = update(TrainingRun).where(*_held(run)).values(finished_at=utc_now(), **_NO_LEASE, **values)
    if not count_changed(session, ended):
        raise _lost(run)


def _lost(run: ClaimedRun) -> RunLostError:
    msg = f"Run {run.id} was cancelled or is another worker's by now, so nothing of it is kept. Start it again."
    return RunLostError(msg)


def _state_of(session: Session, run_id: int) -> str:
    state = session.scalars(select(TrainingRun.state).where(TrainingRun.id == run_id)).one_or_none()
    if state is None:
        msg = f"There is no such training run; `phototag train` starts one. Received: {run_id}"
        raise NotFoundError(msg)
    return state
