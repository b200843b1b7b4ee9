"""The lease store: items are claimed, worked on outside any transaction, and finished behind a fence.

Every claim raises `attempt`. Whoever finishes must still hold the lease of that very attempt, so a worker that was
thought dead writes nothing. Leases compare with the database's own clock only.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    Float,
    Integer,
    Row,
    Select,
    String,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from db.archives import sweep_archives
from db.batches import MAX_DETAIL, close_emptied_batches, close_finished_batches, fit_text, lock_items
from db.codes import FAILED
from db.predictions import Tagged, first_scores, show_known, write_predictions
from db.schema import Item, Photo
from db.session import database_clock, db_now, is_sqlite, utc_now
from db.statements import IN_DATABASE_ONLY, as_json, count_changed, json_rows, table_of

# Leases lost while alone, after which a photo is given up: it kills its worker.
MAX_STRIKES = 3

# Written out, not bound: otherwise neither database could know that the partial index fits.
ITEM = table_of(Item).c
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
    sqlite = is_sqlite(session)
    suspect_id = session.execute(_next_suspect(sqlite=sqlite)).scalar_one_or_none()
    lease = {"owner": owner, "lease_s": lease_s}
    if suspect_id is not None:
        if not suspects:
            return []
        alone = session.execute(_claim_one(sqlite=sqlite), {"item_id": suspect_id, **lease}).all()
        if alone:  # else another worker was quicker
            return _in_turn(alone)
    return _in_turn(session.execute(_claim_many(sqlite=sqlite), {"limit": limit, **lease}).all())


def finish_items(session: Session, owner: str, results: Sequence[Finished]) -> set[int]:
    """Writes what a worker found. Items whose lease it has lost are left as they are.

    Returns:
        Ids of the items that were written.
    """
    written = _end_items(session, owner, [_ending(result) for result in results])
    tagged = [result for result in results if isinstance(result, Tagged) and result.item_id in written]
    if tagged:
        write_predictions(session, tagged)
    close_emptied_batches(session, set(written.values()))
    return set(written)


def already_tagged(session: Session, photo_ids: Collection[int], model_version_id: int) -> dict[int, float]:
    """Those photos that this version has tagged before, with their first label's score."""
    return first_scores(session, photo_ids, model_version_id)


def finish_known(session: Session, owner: str, items: Sequence[ClaimedItem], model_version_id: int) -> set[int]:
    """Finishes claimed items whose photos this version has tagged before; returns the ids that were written."""
    endings = [(item.item_id, item.attempt, "tagged", None, None, model_version_id) for item in items]
    written = _end_items(session, owner, endings)
    photo_ids = [item.photo_id for item in items if item.item_id in written]
    if photo_ids:
        show_known(session, photo_ids, model_version_id)
    close_emptied_batches(session, set(written.values()))
    return set(written)


def release_items(session: Session, owner: str, items: Sequence[ClaimedItem], delay_s: float = 0) -> int:
    """Gives items back without a strike, to be claimed after `delay_s`; returns how many were still the owner's."""
    held = as_json((item.item_id, item.attempt, None, None, None, None) for item in items)
    if not is_sqlite(session):
        session.execute(_lock_held(), {"owner": owner, **held}).all()
    return len(session.execute(_release(sqlite=is_sqlite(session)), {"owner": owner, "delay_s": delay_s, **held}).all())


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
    )
    states = session.scalars(change, execution_options=IN_DATABASE_ONLY).all()
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
    return session.execute(_ready(sqlite=is_sqlite(session)).limit(1)).first() is not None


def _in_turn(claimed: Sequence[Row[*tuple[Any, ...]]]) -> list[ClaimedItem]:
    return [ClaimedItem(*row[:-1]) for row in sorted(claimed, key=lambda row: (row.priority, row.position, row.id))]


def _ending(result: Finished) -> tuple[int, int, str, str | None, str | None, int | None]:
    """(item id, attempt, state, code, detail, model version id) of a result."""
    if isinstance(result, Tagged):
        return (result.item_id, result.attempt, "tagged", None, None, result.model_version_id)
    state = "failed" if result.code in FAILED else "refused"
    return (result.item_id, result.attempt, state, result.code, fit_text(result.detail, MAX_DETAIL) or None, None)


def _end_items(
    session: Session, owner: str, endings: Sequence[tuple[int, int, str, str | None, str | None, int | None]]
) -> dict[int, str]:
    """Ends leased items; returns the batch of each that was still the owner's."""
    held = {"owner": owner, **as_json(endings)}
    if not is_sqlite(session):
        session.execute(_lock_held(), held).all()
    ended = session.execute(_end(sqlite=is_sqlite(session)), {"now": utc_now(), **held})
    return {row.id: row.batch_id for row in ended}


# Statements, built once for each database.


def _ready(*, sqlite: bool) -> Select[*tuple[Any, ...]]:
    """Ids of what can be claimed now, in the order of their turn."""
    return (
        select(ITEM.id)
        .where(ITEM.state == READY, ITEM.not_before <= database_clock(sqlite=sqlite))
        .order_by(ITEM.priority, ITEM.position, ITEM.id)
    )


@cache
def _next_suspect(*, sqlite: bool) -> Executable:
    """The first suspect, when no other ready item comes before it."""
    other = table_of(Item).alias("other").c
    before = exists().where(
        other.state == READY,
        ~other.suspect,
        other.not_before <= database_clock(sqlite=sqlite),
        tuple_(other.priority, other.position, other.id) < tuple_(ITEM.priority, ITEM.position, ITEM.id),
    )
    return _ready(sqlite=sqlite).where(ITEM.suspect, ~before).limit(1)


@cache
def _claim_many(*, sqlite: bool) -> Executable:
    return _claim(_ready(sqlite=sqlite).where(~ITEM.suspect).limit(bindparam("limit", type_=Integer())), sqlite=sqlite)


@cache
def _claim_one(*, sqlite: bool) -> Executable:
    return _claim(_ready(sqlite=sqlite).where(ITEM.id == bindparam("item_id")), sqlite=sqlite)


def _claim(ready: Select[*tuple[Any, ...]], *, sqlite: bool) -> Executable:
    # The CTE is evaluated once: PostgreSQL may run a plain sub-query with a LIMIT again and lock more than asked for.
    picked = ready.with_for_update(skip_locked=True, key_share=True).cte("picked")
    photo = table_of(Photo).c
    return (
        update(table_of(Item))
        .where(ITEM.id.in_(select(picked.c.id)), ITEM.state == READY)
        .values(
            state="leased",
            lease_owner=bindparam("owner"),
            lease_until=database_clock(sqlite=sqlite) + bindparam("lease_s", type_=Float()),
            attempt=ITEM.attempt + 1,
        )
        .returning(
            ITEM.id,
            ITEM.batch_id,
            ITEM.attempt,
            ITEM.photo_id,
            select(photo.sha256).where(photo.id == ITEM.photo_id).scalar_subquery(),
            ITEM.source_path,
            ITEM.path,
            ITEM.suspect,
            ITEM.priority,
            ITEM.position,
        )
    )


def _new(*, sqlite: bool) -> CTE:
    names = ("id", "attempt", "state", "code", "detail", "model_version_id")
    return json_rows(sqlite=sqlite, **{name: ITEM[name].type for name in names})


def _fence(new: CTE) -> tuple[ColumnElement[bool], ...]:
    """Only the holder of the lease of this very attempt passes."""
    return (
        ITEM.id == new.c.id,
        ITEM.attempt == new.c.attempt,
        ITEM.state == LEASED,
        ITEM.lease_owner == bindparam("owner"),
    )


@cache
def _lock_held() -> Executable:
    """Always in the order of the ids: two that change overlapping groups must not wait for each other."""
    held = select(ITEM.id).where(*_fence(_new(sqlite=False))).order_by(ITEM.id)
    return held.with_for_update(key_share=True, of=table_of(Item))


@cache
def _end(*, sqlite: bool) -> Executable:
    new = _new(sqlite=sqlite)
    ended = {name: new.c[name] for name in ("state", "code", "detail", "model_version_id")}
    return (
        update(table_of(Item))
        .where(*_fence(new))
        .values(ended | {"lease_owner": None, "lease_until": None, "finished_at": bindparam("now")})
        .returning(ITEM.id, ITEM.batch_id)
    )


@cache
def _release(*, sqlite: bool) -> Executable:
    later = database_clock(sqlite=sqlite) + bindparam("delay_s", type_=Float())
    return (
        update(table_of(Item))
        .where(*_fence(_new(sqlite=sqlite)))
        .values(state="ready", lease_owner=None, lease_until=None, not_before=later)
        .returning(ITEM.id)
    )


def _expired(session: Session) -> tuple[ColumnElement[bool], ...]:
    return Item.state == LEASED, Item.lease_until < db_now(session)
