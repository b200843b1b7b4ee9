"""The lease store: items are claimed, worked on outside any transaction, and finished behind a fence.

Every claim raises `attempt`. Whoever finishes must still hold the lease of that very attempt, so a worker that was
thought dead writes nothing. Leases compare with the database's own clock only.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Select, String, case, func, literal, literal_column, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from db.archives import sweep_archives
from db.batches import MAX_DETAIL, close_finished_batches, fit_text, lock_items
from db.codes import FAILED
from db.predictions import Tagged, first_scores, show_known, write_predictions
from db.schema import Item, Photo
from db.session import db_now, utc_now
from db.statements import count_changed

# Leases lost while alone, after which a photo is given up: it kills its worker.
MAX_STRIKES = 3

# Written out, not bound: otherwise neither database could know that the partial index fits.
READY = literal_column("'ready'", String)
LEASED = literal_column("'leased'", String)


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """A leased item.

    Attributes:
        attempt: fences late finishers; pass it back.
        source_path: where to read the photo; None: from the blob store by `sha256`.
        suspect: a worker died while it held this item: work on it alone.
    """

    item_id: int
    batch_id: str
    attempt: int
    photo_id: int
    sha256: str
    source_path: str | None
    path: str
    suspect: bool
    priority: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A claimed item that is not tagged, with a code of `db.codes.REASONS`."""

    item_id: int
    attempt: int
    code: str
    detail: str = ""


Finished = Tagged | Refused


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep found: leases that ran out, photos given up for it, batches closed."""

    expired: int
    parked: int
    closed: int


def claim_items(
    session: Session, owner: str, limit: int, lease_s: float, *, suspects: bool = True
) -> list[ClaimedItem]:
    """Leases up to `limit` ready items, by priority, then position, which interleaves batches.

    A suspect whose turn has come is handed out alone, so that it cannot take neighbours down. Pass `suspects=False`
    while holding other items: then nothing is handed out when a suspect is next, so that the caller finishes what it
    holds instead of passing the suspect by for ever.
    """
    suspect_id = _next_suspect(session)
    if suspect_id is not None:
        if not suspects:
            return []
        alone = _claim(session, owner, lease_s, _ready(session).where(Item.id == suspect_id))
        if alone:  # else another worker was quicker
            return alone
    return _claim(session, owner, lease_s, _ready(session).where(~Item.suspect).limit(limit))


def finish_items(session: Session, owner: str, results: Sequence[Finished]) -> set[int]:
    """Writes what a worker found. Items whose lease it has lost are left as they are.

    Returns:
        Ids of the items that were written.
    """
    lock_items(session, Item.id.in_([result.item_id for result in results]))
    written: dict[int, str] = {}
    for outcome, group in _by_outcome(results).items():
        written |= _end_items(session, owner, group, outcome)
    tagged = [result for result in results if isinstance(result, Tagged) and result.item_id in written]
    if tagged:
        write_predictions(session, tagged)
    close_finished_batches(session, set(written.values()))
    return set(written)


def already_tagged(session: Session, photo_ids: Collection[int], model_version_id: int) -> dict[int, float]:
    """Those photos that this version has tagged before, with their first label's score."""
    return first_scores(session, photo_ids, model_version_id)


def finish_known(session: Session, owner: str, items: Sequence[ClaimedItem], model_version_id: int) -> set[int]:
    """Finishes claimed items whose photos this version has tagged before; returns the ids that were written."""
    lock_items(session, Item.id.in_([item.item_id for item in items]))
    group = [(item.item_id, item.attempt) for item in items]
    written = _end_items(session, owner, group, _Outcome("tagged", model_version_id=model_version_id))
    photo_ids = [item.photo_id for item in items if item.item_id in written]
    if photo_ids:
        show_known(session, photo_ids, model_version_id)
    close_finished_batches(session, set(written.values()))
    return set(written)


def release_items(session: Session, owner: str, items: Sequence[ClaimedItem], delay_s: float = 0) -> int:
    """Gives items back without a strike, to be claimed after `delay_s`; returns how many were still the owner's."""
    held = _fence(owner, [(item.item_id, item.attempt) for item in items])
    lock_items(session, *held)
    back = {"state": "ready", "lease_owner": None, "lease_until": None, "not_before": db_now(session) + delay_s}
    return count_changed(session, update(Item).where(*held).values(back))


def extend_leases(session: Session, owner: str, item_ids: Collection[int], lease_s: float) -> int:
    """Prolongs the owner's leases that have not run out; returns how many."""
    held = Item.id.in_(item_ids), Item.state == LEASED, Item.lease_owner == owner, Item.lease_until >= db_now(session)
    lock_items(session, *held)
    return count_changed(session, update(Item).where(*held).values(lease_until=db_now(session) + lease_s))


def sweep(session: Session) -> SweepReport:
    """Makes items whose lease has run out ready again, as suspects. Safe from any process at any time.

    Only a lease lost while alone is a strike: an outage or a neighbour may have cost the others. With `MAX_STRIKES`
    the item is parked as WORKER_LOST.
    """
    expired = (
        select(Item.id)
        .where(*_expired(session))
        .order_by(Item.id)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("expired")
    )
    worn_out = Item.suspect & (Item.strikes + 1 >= MAX_STRIKES)
    change = (
        update(Item)
        .where(Item.id.in_(select(expired.c.id)), *_expired(session))
        .values(
            state=case((worn_out, "failed"), else_="ready"),
            code=case((worn_out, "WORKER_LOST"), else_=None),
            finished_at=case((worn_out, utc_now()), else_=None),
            strikes=Item.strikes + case((Item.suspect, 1), else_=0),
            suspect=True,
            lease_owner=None,
            lease_until=None,
        )
        .returning(Item.state)
        .execution_options(synchronize_session=False)
    )
    states = list(session.scalars(change))
    sweep_archives(session)
    return SweepReport(len(states), states.count("failed"), close_finished_batches(session))


def open_item_count(session: Session) -> int:
    """How many items of all batches wait or are being worked on."""
    return sum(
        session.scalars(select(func.count()).select_from(Item).where(Item.state == state)).one()
        for state in (READY, LEASED)
    )


def has_ready_items(session: Session) -> bool:
    """Whether something can be claimed now."""
    return session.scalars(_ready(session).limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How items end: the same for most of a chunk, so that one statement ends them together."""

    state: str
    code: str | None = None
    detail: str | None = None
    model_version_id: int | None = None


def _ready(session: Session) -> Select[int]:
    """Ids of what can be claimed now, in the order of their turn."""
    return (
        select(Item.id)
        .where(Item.state == READY, Item.not_before <= db_now(session))
        .order_by(Item.priority, Item.position, Item.id)
    )


def _next_suspect(session: Session) -> int | None:
    """The first suspect, when no other ready item comes before it."""
    other = aliased(Item)
    before = select(literal(1)).where(
        other.state == READY,
        ~other.suspect,
        other.not_before <= db_now(session),
        tuple_(other.priority, other.position, other.id) < tuple_(Item.priority, Item.position, Item.id),
    )
    return session.scalars(_ready(session).where(Item.suspect, ~before.exists()).limit(1)).first()


def _claim(session: Session, owner: str, lease_s: float, ready: Select[int]) -> list[ClaimedItem]:
    # The CTE is evaluated once: PostgreSQL may run a plain sub-query with a LIMIT again and lock more than asked for.
    picked = ready.with_for_update(skip_locked=True, key_share=True).cte("picked")
    lease = {"state": "leased", "lease_owner": owner, "lease_until": db_now(session) + lease_s}
    ids = session.scalars(
        update(Item)
        .where(Item.id.in_(select(picked.c.id)), Item.state == READY)
        .values(**lease, attempt=Item.attempt + 1)
        .returning(Item.id)
        .execution_options(synchronize_session=False)
    ).all()
    return _claimed(session, ids)


def _claimed(session: Session, ids: Collection[int]) -> list[ClaimedItem]:
    if not ids:
        return []
    query = (
        select(
            Item.id,
            Item.batch_id,
            Item.attempt,
            Photo.id,
            Photo.sha256,
            Item.source_path,
            Item.path,
            Item.suspect,
            Item.priority,
        )
        .join(Photo, Photo.id == Item.photo_id)
        .where(Item.id.in_(ids))
        .order_by(Item.priority, Item.position, Item.id)
    )
    return [ClaimedItem(*row) for row in session.execute(query)]


def _by_outcome(results: Iterable[Finished]) -> dict[_Outcome, list[tuple[int, int]]]:
    groups: dict[_Outcome, list[tuple[int, int]]] = defaultdict(list)
    for result in results:
        if isinstance(result, Tagged):
            outcome = _Outcome("tagged", model_version_id=result.model_version_id)
        else:
            state = "failed" if result.code in FAILED else "refused"
            outcome = _Outcome(state, result.code, fit_text(result.detail, MAX_DETAIL) or None)
        groups[outcome].append((result.item_id, result.attempt))
    return groups


def _end_items(session: Session, owner: str, group: Sequence[tuple[int, int]], outcome: _Outcome) -> dict[int, str]:
    """Ends leased items; returns the batch of each that was still the owner's."""
    if not group:
        return {}
    change = (
        update(Item)
        .where(*_fence(owner, group))
        .values(**asdict(outcome), lease_owner=None, lease_until=None, finished_at=utc_now())
        .returning(Item.id, Item.batch_id)
        .execution_options(synchronize_session=False)
    )
    return {row.id: row.batch_id for row in session.execute(change)}


def _fence(owner: str, group: Sequence[tuple[int, int]]) -> tuple[ColumnElement[bool], ...]:
    """Only the holder of the lease of this very attempt passes. `group`: (item id, attempt)."""
    return (
        Item.id.in_([item_id for item_id, _ in group]),  # for the index; the next line alone would read every row
        tuple_(Item.id, Item.attempt).in_(group),
        Item.state == "leased",
        Item.lease_owner == owner,
    )


def _expired(session: Session) -> tuple[ColumnElement[bool], ...]:
    return Item.state == LEASED, Item.lease_until < db_now(session)
