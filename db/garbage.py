"""What is to go later: bytes that no row refers to any more, and batches that people no longer see.

An entry is written in the transaction that deletes the rows, so a process that dies behind it forgets nothing. Bytes
wait a little: someone may be sending the very same photo, whose row is not written yet.
"""

import datetime as dt
from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from db.schema import Batch, Garbage, Photo
from db.session import is_sqlite, utc_now
from db.statements import count_changed, insert_missing, insert_on, insert_or_update

# `turn` is no garbage: it says when a janitor last did something, so that many of them do it once.
PHOTO, ARCHIVE, SHARD, BATCH, SPACE, TURN = "photo", "archive", "shard", "batch", "space", "turn"
BYTES = (PHOTO, ARCHIVE, SHARD)

LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def queue_garbage(session: Session, kind: str, keys: Iterable[str]) -> None:
    """Says what is to go. An entry that exists begins to wait anew; that also waits for a collector which holds it."""
    rows = [{"kind": kind, "key": key, "queued_at": utc_now()} for key in sorted(set(keys))]
    statement = insert_on(Garbage, sqlite=is_sqlite(session))
    anew = {"queued_at": statement.excluded.queued_at}
    if rows:
        session.execute(statement.on_conflict_do_update(index_elements=["kind", "key"], set_=anew), rows)


def is_queued(session: Session, kind: str, key: str) -> bool:
    """Whether it was said that this is to go."""
    return session.scalar(select(exists().where(Garbage.kind == kind, Garbage.key == key))) is True


def queue_bytes_without_photo(session: Session, sha256s: Collection[str]) -> None:
    """Says that bytes are to go which were written for photos that do not exist: they were deleted meanwhile."""
    known = set(session.scalars(select(Photo.sha256).where(Photo.sha256.in_(sha256s))))
    queue_garbage(session, PHOTO, set(sha256s) - known)


def is_going() -> ColumnElement[bool]:
    """Of a query of batches: whether this one is being deleted. For people it is gone already."""
    return exists().where(Garbage.kind == BATCH, Garbage.key == Batch.id)


def batches_going(session: Session, untouched_s: float) -> list[str]:
    """Batches that are being deleted, and of which nobody has deleted anything for so long."""
    before = utc_now() - dt.timedelta(seconds=untouched_s)
    return list(session.scalars(select(Garbage.key).where(Garbage.kind == BATCH, Garbage.queued_at <= before)))


def take_turn(session: Session, what: str, every_s: float) -> bool:
    """Whether it is time to do `what`, and up to the caller: of all processes one, once in `every_s`."""
    now = utc_now()
    insert_missing(session, Garbage, [{"kind": TURN, "key": what, "queued_at": LONG_AGO}])
    is_due = Garbage.kind == TURN, Garbage.key == what, Garbage.queued_at <= now - dt.timedelta(seconds=every_s)
    return count_changed(session, update(Garbage).where(*is_due).values(queued_at=now)) == 1


def end_turn(session: Session, what: str) -> None:
    """Lets the next process take the turn at once."""
    set_turn(session, what, LONG_AGO)


def last_turn(session: Session, what: str) -> dt.datetime:
    """When `what` was last done; long ago if it never was."""
    query = select(Garbage.queued_at).where(Garbage.kind == TURN, Garbage.key == what)
    return session.scalars(query).one_or_none() or LONG_AGO


def set_turn(session: Session, what: str, at: dt.datetime) -> None:
    """Says when `what` was last done."""
    insert_or_update(session, Garbage, {"kind": TURN, "key": what, "queued_at": at}, key=["kind", "key"])
