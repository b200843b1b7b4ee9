"""What a person submits: made, filled, sealed, closed, cancelled.

Locks are always taken in the order batch, archives, items, photos, so that PostgreSQL meets no deadlock.
"""

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal, select, tuple_, update
from sqlalchemy.orm import Session

from db.closing import close_finished_batches
from db.codes import FAILED
from db.errors import ConflictError, NotFoundError
from db.garbage import is_going
from db.photos import NewPhoto, ensure_photos
from db.schema import OPEN_BATCH_STATES, OPEN_ITEM_STATES, Archive, Batch, Item, User
from db.session import is_sqlite, utc_now
from db.statements import count_changed, insert_missing

# Nothing that is easily misread; the first is a letter, so that an id is never taken for a number or an option.
ID_LETTERS = "abcdefghjkmnpqrstvwxyz"
ID_CHARACTERS = ID_LETTERS + "23456789"
ID_LENGTH = 12

MAX_NAME = 255
MAX_PATH = 1024
MAX_DETAIL = 200
MAX_KEY = 64


@dataclass(frozen=True, slots=True)
class NewItem:
    """A file that was found or received for a batch.

    Attributes:
        position: order in the folder, archive or upload; with `archive_number` unique in the batch.
        refused: a code of `db.codes.REASONS` when it is refused before tagging; then `sha256` may be None.
    """

    position: int
    path: str
    sha256: str | None = None
    size_bytes: int | None = None
    source_path: str | None = None
    archive_number: int = 0
    refused: str | None = None
    detail: str | None = None


class BatchPlace(NamedTuple):
    """Where a batch stands in the list."""

    created_at: dt.datetime
    batch_id: str


def new_batch_id() -> str:
    """A random id for the batch's address (12 characters, 58 bits)."""
    rest = (secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH - 1))
    return secrets.choice(ID_LETTERS) + "".join(rest)


def create_batch(
    session: Session,
    owner_id: int,
    name: str,
    *,
    priority: int,
    state: str = "receiving",
    idem_key: str | None = None,
    source_key: str | None = None,
) -> Batch:
    """A new batch; with an `idem_key` that this owner has used before, the batch made then."""
    if idem_key is not None and len(idem_key) > MAX_KEY:
        idem_key = hashlib.sha256(idem_key.encode()).hexdigest()
    batch_id = new_batch_id()
    row = {
        "id": batch_id,
        "owner_id": owner_id,
        "name": fit_text(name, MAX_NAME),
        "state": state,
        "priority": priority,
        "idem_key": idem_key,
        "source_key": source_key,
        "created_at": utc_now(),
    }
    insert_missing(session, Batch, [row])
    same = Batch.id == batch_id if idem_key is None else (Batch.owner_id == owner_id) & (Batch.idem_key == idem_key)
    return session.scalars(select(Batch).where(same)).one()


def find_resumable(session: Session, owner_id: int, source_key: str) -> Batch | None:
    """The newest open batch of these sources, whose submission was interrupted."""
    query = (
        select(Batch)
        .where(Batch.owner_id == owner_id, Batch.source_key == source_key, Batch.state.in_(OPEN_BATCH_STATES))
        .order_by(Batch.created_at.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def next_position(session: Session, batch_id: str) -> int:
    """The position after that of the last item that is not from an archive."""
    after_last = func.coalesce(func.max(Item.position) + 1, 0)
    return session.scalars(select(after_last).where(Item.batch_id == batch_id, Item.archive_number == 0)).one()


def add_items(session: Session, batch_id: str, items: Sequence[NewItem]) -> None:
    """Adds a group of files (a few hundred at a time). Those that the batch has already are left as they are.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch is closed, e.g. it was cancelled.
    """
    batch = lock_open_batch(session, batch_id)
    photos = [
        NewPhoto(item.sha256, item.size_bytes or 0, fit_text(item.path, MAX_PATH))
        for item in items
        if item.sha256 is not None
    ]
    photo_ids = ensure_photos(session, photos)
    ordered = sorted(items, key=lambda item: (item.archive_number, item.position))
    insert_missing(session, Item, [_item_row(batch, item, photo_ids) for item in ordered])


def add_archive(
    session: Session,
    batch_id: str,
    number: int,
    path: str,
    *,
    source_path: str | None = None,
    sha256: str | None = None,
) -> None:
    """Adds an archive that is to be unpacked. A repeat of a number is ignored.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch is closed.
    """
    lock_open_batch(session, batch_id)
    row = {
        "batch_id": batch_id,
        "number": number,
        "path": fit_text(path, MAX_PATH),
        "source_path": source_path,
        "sha256": sha256,
        "state": "ready",
        "created_at": utc_now(),
    }
    insert_missing(session, Archive, [row])


def seal_batch(session: Session, batch_id: str) -> None:
    """Says that all files are received. The batch goes on to unpacking, running, finished or refused (it is empty)."""
    received = Batch.id == batch_id, Batch.state == "receiving"
    count_changed(session, update(Batch).where(*received).values(state="unpacking"))
    close_finished_batches(session, [batch_id])


def cancel_batch(session: Session, batch_id: str) -> int:
    """Cancels a batch; once committed, no prediction of it is written. A closed batch stays as it is.

    Returns:
        How many items were still open.

    Raises:
        NotFoundError: there is no such batch.
    """
    now = utc_now()
    is_open = Batch.id == batch_id, Batch.state.in_(OPEN_BATCH_STATES)
    if not count_changed(session, update(Batch).where(*is_open).values(state="cancelled", finished_at=now)):
        require_batch(session, batch_id)
        return 0
    no_lease = {"state": "cancelled", "lease_owner": None, "lease_until": None}
    open_archives = Archive.batch_id == batch_id, Archive.state.in_(("ready", "leased"))
    count_changed(session, update(Archive).where(*open_archives).values(no_lease))
    open_items = Item.batch_id == batch_id, Item.state.in_(OPEN_ITEM_STATES)
    lock_items(session, *open_items)
    return count_changed(session, update(Item).where(*open_items).values(no_lease | {"finished_at": now}))


def get_batch(session: Session, batch_id: str, user: User) -> Batch:
    """The batch, if this person may see it: an admin sees all, an owner their own, but no re-tag of everybody's photos.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    batch = require_batch(session, batch_id)
    if user.role != "admin" and (batch.owner_id != user.id or batch.retag_version_id is not None):
        raise _no_such_batch(batch_id)
    return batch


def list_batches(
    session: Session, user: User, limit: int, before: str | None = None, *, after: BatchPlace | None = None
) -> list[Batch]:
    """The batches this person may see, newest first.

    Args:
        session: for queries.
        user: who looks.
        limit: at most so many.
        before: only those that follow this id in the list.
        after: as `before`, by a place that stays one when the batch is deleted.
    """
    query = select(Batch).where(~is_going()).order_by(Batch.created_at.desc(), Batch.id.desc()).limit(limit)
    if user.role != "admin":
        query = query.where(Batch.owner_id == user.id, Batch.retag_version_id.is_(None))
    if before is not None:
        last = get_batch(session, before, user)
        after = BatchPlace(last.created_at, last.id)
    if after is not None:
        there = tuple_(literal(after.created_at, Batch.created_at.type), literal(after.batch_id))
        query = query.where(tuple_(Batch.created_at, Batch.id) < there)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def lock_open_batch(session: Session, batch_id: str) -> Batch:
    """The batch, which stays open until this transaction ends.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: it is closed.
    """
    batch = require_batch(session, batch_id, lock=True)
    if batch.state not in OPEN_BATCH_STATES:
        msg = f"The batch is closed; submit further files as a new one. Received: {batch_id}, {batch.state}"
        raise ConflictError(msg)
    return batch


def require_batch(session: Session, batch_id: str, *, lock: bool = False) -> Batch:
    """The batch, whoever asks; with `lock` nobody else changes it until this transaction ends.

    Raises:
        NotFoundError: there is none.
    """
    present = Batch.id == batch_id, ~is_going()
    query = select(Batch).where(*present).execution_options(populate_existing=True)
    if lock:
        query = query.with_for_update(key_share=True)
    batch = session.scalars(query).one_or_none()
    if batch is None:
        raise _no_such_batch(batch_id)
    return batch


def lock_items(session: Session, *conditions: ColumnElement[bool]) -> None:
    """Locks rows in the order of their ids: two that change overlapping groups must not wait for each other."""
    if not is_sqlite(session):  # there, one writer has the whole database
        session.execute(select(Item.id).where(*conditions).order_by(Item.id).with_for_update(key_share=True)).all()


def fit_text(text: str, length: int) -> str:
    """Text that both databases take: no zero characters, no halves of characters, at most `length` long."""
    return text.encode(errors="replace").decode().replace("\0", "")[:length]


def _item_row(batch: Batch, item: NewItem, photo_ids: dict[str, int]) -> dict[str, Any]:
    state = "ready" if item.refused is None else "failed" if item.refused in FAILED else "refused"
    return {
        "batch_id": batch.id,
        "archive_number": item.archive_number,
        "position": item.position,
        "path": fit_text(item.path, MAX_PATH),
        "source_path": item.source_path,
        "photo_id": photo_ids[item.sha256] if item.sha256 is not None else None,
        "state": state,
        "code": item.refused,
        "detail": fit_text(item.detail, MAX_DETAIL) if item.detail else None,
        "priority": batch.priority,
        "finished_at": None if state == "ready" else utc_now(),
    }


def _no_such_batch(batch_id: str) -> NotFoundError:
    return NotFoundError(f"There is no batch of this id; `phototag batches list` shows them. Received: {batch_id!r}")
