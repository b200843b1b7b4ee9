"""Moves batches on when nothing of them is left to unpack or to tag."""

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Executable, bindparam, case, exists, func, or_, select, update
from sqlalchemy.orm import Session

from db.schema import OPEN_ITEM_STATES, Archive, Batch, Item
from db.session import is_sqlite, utc_now
from db.statements import as_json, json_rows, table_of

BATCH = table_of(Batch).c
ITEM = table_of(Item).c
ARCHIVE = table_of(Archive).c


def close_finished_batches(session: Session, batch_ids: Collection[str] | None = None) -> int:
    """Moves on every batch (of `batch_ids`) that has nothing left to unpack or to tag; returns how many were closed.

    A batch that another transaction is changing is left for the next call.
    """
    sqlite = is_sqlite(session)
    chosen = {"every": batch_ids is None, **as_json([batch_id] for batch_id in batch_ids or ())}
    session.execute(_run_unpacked(sqlite=sqlite), chosen)
    return len(session.execute(_close_done(sqlite=sqlite), {"now": utc_now(), **chosen}).all())


def close_emptied_batches(session: Session, batch_ids: Collection[str]) -> None:
    """As `close_finished_batches`, after each chunk: a look at the index first, which nearly always says no."""
    emptied = _without_open_items(sqlite=is_sqlite(session))
    done = session.execute(emptied, as_json([batch_id] for batch_id in batch_ids)).scalars().all()
    if done:
        close_finished_batches(session, done)


def end_bereft_batches(session: Session, batch_ids: Collection[str]) -> None:
    """After photos were deleted: a running batch that has lost its last item is cancelled, others as they stand."""
    has_items = exists().where(ITEM.batch_id == BATCH.id)
    bereft = _change(
        BATCH.state == "running",
        ~has_items,
        sqlite=is_sqlite(session),
        state="cancelled",
        finished_at=bindparam("now"),
    )
    session.execute(bereft, {"now": utc_now(), "every": False, **as_json([batch_id] for batch_id in batch_ids)})
    close_finished_batches(session, batch_ids)


@cache
def _without_open_items(*, sqlite: bool) -> Executable:
    new = json_rows(sqlite=sqlite, id=BATCH.id.type)
    # with a limit it is a look into the index; of a plain EXISTS PostgreSQL makes a join, which reads all open items
    is_open = ITEM.batch_id == new.c.id, ITEM.state.in_(OPEN_ITEM_STATES)
    return select(new.c.id).where(select(ITEM.id).where(*is_open).limit(1).scalar_subquery().is_(None))


@cache
def _run_unpacked(*, sqlite: bool) -> Executable:
    is_open = exists().where(ARCHIVE.batch_id == BATCH.id, ARCHIVE.state.in_(("ready", "leased")))
    return _change(BATCH.state == "unpacking", ~is_open, sqlite=sqlite, state="running")


@cache
def _close_done(*, sqlite: bool) -> Executable:
    has_items = exists().where(ITEM.batch_id == BATCH.id)
    return _change(
        BATCH.state == "running",
        ~_has_open_items(BATCH.id),
        sqlite=sqlite,
        state=case((has_items, "finished"), else_="refused"),
        code=case((has_items, None), else_=_why_empty()),
        finished_at=bindparam("now"),
    )


def _has_open_items(batch_id: ColumnElement[str]) -> ColumnElement[bool]:
    return exists().where(ITEM.batch_id == batch_id, ITEM.state.in_(OPEN_ITEM_STATES))


def _why_empty() -> ColumnElement[str]:
    """The first archive's code; ARCHIVE_EMPTY when all were read and held nothing."""
    first_code = (
        select(func.coalesce(ARCHIVE.code, "ARCHIVE_EMPTY"))
        .where(ARCHIVE.batch_id == BATCH.id)
        .order_by(ARCHIVE.code.is_(None), ARCHIVE.number)
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(first_code, "BATCH_EMPTY")


def _change(*conditions: ColumnElement[bool], sqlite: bool, **values: Any) -> Executable:
    """Changes the chosen batches that meet the conditions. One that is locked (cancelled, filled) is not waited for."""
    chosen = json_rows(sqlite=sqlite, id=BATCH.id.type)
    is_chosen = or_(bindparam("every", type_=Boolean()), BATCH.id.in_(select(chosen.c.id)))
    picked = (
        select(BATCH.id).where(is_chosen, *conditions).with_for_update(skip_locked=True, key_share=True).cte("picked")
    )
    return update(table_of(Batch)).where(BATCH.id.in_(select(picked.c.id))).values(**values).returning(BATCH.id)
