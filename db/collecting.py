"""Deletes the bytes that table `garbage` names, some time after the rows that referred to them.

Accepting stores a photo's bytes before its row, so a look at the rows alone is not enough: bytes that were written
lately stay until the next look. That also holds without a lock, so no transaction is open while bytes go.
"""

import datetime as dt
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import Row, delete, select, tuple_, update
from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.features import erase_unreferenced_rows
from db.garbage import BYTES, SHARD
from db.schema import Archive, Garbage, Photo
from db.session import Database, utc_now
from db.statements import count_changed

# Longer than accepting may take from the bytes to their row: its transaction gives up after 30 s.
GRACE_S = 120.0
GROUP = 100


def collect_garbage(
    database: Database,
    blobs: Blobs,
    *,
    grace_s: float = GRACE_S,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Deletes all bytes that are due; returns how many entries are done with.

    Args:
        database: where the entries are.
        blobs: where the bytes are.
        grace_s: how long rows must be gone, and bytes untouched.
        stopping: asked between groups; what is left is for the next call.
    """
    done = 0
    before = utc_now() - dt.timedelta(seconds=grace_s)
    while not stopping():
        began = time.monotonic()
        with database.reading() as session:
            entries = _due(session, before)
            wanted = _wanted(session, [entry.key for entry in entries])
        if not entries:
            break
        gone = [entry for entry in entries if _is_done(database, blobs, entry, wanted, before.timestamp())]
        with database.transaction() as session:
            _settle(session, gone, [entry for entry in entries if entry not in gone])
        done += len(gone)
        time.sleep(min(1.0, time.monotonic() - began))  # at most half of the disk's time
    return done


def _due(session: Session, before: dt.datetime) -> Sequence[Row[*tuple[Any, ...]]]:
    due = Garbage.kind.in_(BYTES), Garbage.queued_at <= before
    entries = select(Garbage.id, Garbage.kind, Garbage.key, Garbage.queued_at).where(*due)
    return session.execute(entries.order_by(Garbage.id).limit(GROUP)).all()


def _wanted(session: Session, keys: Collection[str]) -> set[str]:
    """Those of the hashes that a row refers to: the same photo came again, or an archive is still to be unpacked."""
    photos = select(Photo.sha256).where(Photo.sha256.in_(keys))
    waiting = Archive.sha256.in_(keys), Archive.state.in_(("ready", "leased"))
    return {sha256 for sha256 in session.scalars(photos.union(select(Archive.sha256).where(*waiting))) if sha256}


def _is_done(
    database: Database, blobs: Blobs, entry: Row[*tuple[Any, ...]], wanted: Collection[str], before: float
) -> bool:
    if entry.kind == SHARD:
        with database.transaction() as session:
            erase_unreferenced_rows(session, blobs, entry.key)
        return True
    return entry.key in wanted or blobs.delete_photo_older(entry.key, before)


def _settle(session: Session, gone: Sequence[Row[*tuple[Any, ...]]], young: Sequence[Row[*tuple[Any, ...]]]) -> None:
    """Drops entries that are done with, and lets the others wait anew; one that was queued again meanwhile stays."""
    seen = [(entry.id, entry.queued_at) for entry in gone]
    count_changed(session, delete(Garbage).where(tuple_(Garbage.id, Garbage.queued_at).in_(seen)))
    later = Garbage.id.in_([entry.id for entry in young])
    count_changed(session, update(Garbage).where(later).values(queued_at=utc_now()))
