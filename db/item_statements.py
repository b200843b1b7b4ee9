"""The statements of the lease store, built once for each database: by far the most often executed ones.

Conditions and changes stand in the same UPDATE, so whatever two workers do at the same time, one of them wins.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    Float,
    Integer,
    Select,
    String,
    Update,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from db.schema import Batch, Item, Photo
from db.session import database_clock
from db.statements import json_rows, table_of

# Leases lost while alone, after which a photo is given up: it kills its worker.
MAX_STRIKES = 3

ITEM = table_of(Item).c
# The photo that an item is about, whether it keeps it or not.
OF_PHOTO = func.coalesce(ITEM.photo_id, ITEM.retag_photo_id)
# Written out, not bound: otherwise neither database could know that the partial index fits.
READY = literal_column("'ready'", String)
LEASED = literal_column("'leased'", String)


def ready(*, sqlite: bool) -> Select[*tuple[Any, ...]]:
    """Ids of what can be claimed now, in the order of their turn."""
    return (
        select(ITEM.id)
        .where(ITEM.state == READY, ITEM.not_before <= database_clock(sqlite=sqlite))
        .order_by(ITEM.priority, ITEM.position, ITEM.id)
    )


@cache
def next_suspect(*, sqlite: bool) -> Executable:
    """The first suspect of at most the priority `lowest`, when no other ready item comes before it."""
    other = table_of(Item).alias("other").c
    before = exists().where(
        other.state == READY,
        ~other.suspect,
        other.not_before <= database_clock(sqlite=sqlite),
        tuple_(other.priority, other.position, other.id) < tuple_(ITEM.priority, ITEM.position, ITEM.id),
    )
    return ready(sqlite=sqlite).where(ITEM.suspect, _urgent_enough(), ~before).limit(1)


@cache
def claim_many(*, sqlite: bool) -> Executable:
    """Up to `limit` items of at most the priority `lowest` that are no suspects."""
    some = ready(sqlite=sqlite).where(~ITEM.suspect, _urgent_enough())
    return _claim(some.limit(bindparam("limit", type_=Integer())), sqlite=sqlite)


@cache
def claim_one(*, sqlite: bool) -> Executable:
    """The item `item_id`, if it can still be claimed."""
    return _claim(ready(sqlite=sqlite).where(ITEM.id == bindparam("item_id")), sqlite=sqlite)


def _urgent_enough() -> ColumnElement[bool]:
    return ITEM.priority <= bindparam("lowest", type_=Integer())


def _claim(ready: Select[*tuple[Any, ...]], *, sqlite: bool) -> ReturningUpdate[*tuple[Any, ...]]:
    # The CTE is evaluated once: PostgreSQL may run a plain sub-query with a LIMIT again and lock more than asked for.
    picked = ready.with_for_update(skip_locked=True, key_share=True).cte("picked")
    photo, batch = table_of(Photo).c, table_of(Batch).c
    sha256 = select(photo.sha256).where(photo.id == OF_PHOTO).scalar_subquery()
    version_id = select(batch.retag_version_id).where(batch.id == ITEM.batch_id, ITEM.retag_photo_id.is_not(None))
    return (
        update(table_of(Item))
        # That they are ready is not asked again: they are locked, and PostgreSQL, while it has not counted the rows of a
        # new batch, would compare all that are ready with all that were picked (1.5 ms a photo with 4,000 ready).
        .where(ITEM.id.in_(select(picked.c.id)))
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
            OF_PHOTO,
            func.coalesce(sha256, ""),
            ITEM.source_path,
            ITEM.path,
            ITEM.suspect,
            ITEM.priority,
            version_id.scalar_subquery(),
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
def end(*, sqlite: bool) -> Executable:
    """Tagged, refused or failed, as each row of `rows` says, if `owner` holds the lease of its attempt."""
    new = _new(sqlite=sqlite)
    ended = {name: new.c[name] for name in ("state", "code", "detail", "model_version_id")}
    change = _change_held(new, sqlite=sqlite).values(ended)
    ended_now = change.values(
        lease_owner=None, lease_until=None, finished_at=bindparam("now", type_=ITEM.finished_at.type)
    )
    return ended_now.returning(ITEM.id, ITEM.batch_id)


@cache
def release(*, sqlite: bool) -> Executable:
    """Ready again after `delay_s`, behind the same fence."""
    later = database_clock(sqlite=sqlite) + bindparam("delay_s", type_=Float())
    back = {"state": "ready", "lease_owner": None, "lease_until": None, "not_before": later}
    return _change_held(_new(sqlite=sqlite), sqlite=sqlite).values(back).returning(ITEM.id)


def _change_held(new: CTE, *, sqlite: bool) -> Update:
    change = update(table_of(Item)).where(*_fence(new))
    if sqlite:
        return change
    # always in the order of the ids: two that change overlapping groups must not wait for each other
    wanted = select(ITEM.id).where(ITEM.id.in_(select(new.c.id))).order_by(ITEM.id)
    locked = wanted.with_for_update(key_share=True).cte("locked")
    return change.where(ITEM.id.in_(select(locked.c.id)))


@cache
def sweep(*, sqlite: bool) -> Executable:
    """Expired leases end; what was alone when it lost its lease gets a strike."""
    expired = (
        select(ITEM.id)
        .where(*_expired(sqlite=sqlite))
        .order_by(ITEM.id)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("expired")
    )
    worn_out = ITEM.suspect & (ITEM.strikes + 1 >= MAX_STRIKES)
    return (
        update(table_of(Item))
        .where(ITEM.id.in_(select(expired.c.id)), *_expired(sqlite=sqlite))
        .values(
            state=case((worn_out, "failed"), else_="ready"),
            code=case((worn_out, "WORKER_LOST"), else_=None),
            finished_at=case((worn_out, bindparam("now", type_=ITEM.finished_at.type)), else_=None),
            strikes=ITEM.strikes + case((ITEM.suspect, 1), else_=0),
            suspect=True,
            lease_owner=None,
            lease_until=None,
        )
        .returning(ITEM.id, ITEM.state)
    )


def _expired(*, sqlite: bool) -> tuple[ColumnElement[bool], ...]:
    return ITEM.state == LEASED, ITEM.lease_until < database_clock(sqlite=sqlite)
