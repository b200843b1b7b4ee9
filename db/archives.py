"""Archives of a batch: leased, unpacked and refused like items. Every change is fenced by (id, attempt, owner)."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.orm import Session

from db.batches import MAX_DETAIL, fit_text, lock_items
from db.closing import close_finished_batches
from db.schema import OPEN_ITEM_STATES, Archive, Batch, Item
from db.session import db_now
from db.statements import count_changed

# A lease lost so often means that the archive kills its worker, whatever the cause.
MAX_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class ClaimedArchive:
    """An archive to unpack.

    Attributes:
        attempt: fences late writers; pass it back.
        skip_positions: entries before this one are items from an earlier attempt.
    """

    id: int
    batch_id: str
    number: int
    path: str
    source_path: str | None
    sha256: str | None
    attempt: int
    skip_positions: int


def claim_archive(session: Session, owner: str, lease_s: float) -> ClaimedArchive | None:
    """Leases the next archive, by its batch's priority and age; None when there is none."""
    first = (
        select(Archive.id)
        .join(Batch, Batch.id == Archive.batch_id)
        .where(Archive.state == "ready")
        .order_by(Batch.priority, Batch.created_at, Archive.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True, of=Archive)
        .cte("first")
    )
    claimed = session.scalars(
        update(Archive)
        .where(Archive.id.in_(select(first.c.id)))
        .values(state="leased", lease_owner=owner, lease_until=db_now(session) + lease_s, attempt=Archive.attempt + 1)
        .returning(Archive),
        execution_options={"synchronize_session": False, "populate_existing": True},
    ).one_or_none()
    if claimed is None:
        return None
    mine = Item.batch_id == claimed.batch_id, Item.archive_number == claimed.number
    # not their number: photos may be deleted while their archive is unpacked, and must not come again
    skip = select(func.coalesce(func.max(Item.position) + 1, 0)).where(*mine)
    return ClaimedArchive(
        id=claimed.id,
        batch_id=claimed.batch_id,
        number=claimed.number,
        path=claimed.path,
        source_path=claimed.source_path,
        sha256=claimed.sha256,
        attempt=claimed.attempt,
        skip_positions=session.scalars(skip).one(),
    )


def extend_archive_lease(session: Session, archive_id: int, attempt: int, owner: str, lease_s: float) -> bool:
    """Keeps the lease; False when it is lost or the batch was cancelled: stop unpacking."""
    held = (*_fence(archive_id, attempt, owner), Archive.lease_until >= db_now(session))
    return count_changed(session, update(Archive).where(*held).values(lease_until=db_now(session) + lease_s)) == 1


def release_archive(session: Session, archive_id: int, attempt: int, owner: str) -> bool:
    """Gives an archive back, e.g. at shutdown. What it has added so far stays; the attempt does not count."""
    fence = _fence(archive_id, attempt, owner)
    back = {"state": "ready", "lease_owner": None, "lease_until": None, "attempt": Archive.attempt - 1}
    return count_changed(session, update(Archive).where(*fence).values(back)) == 1


def finish_archive(session: Session, archive_id: int, attempt: int, owner: str) -> bool:
    """Says that all entries are items. False when the lease was lost."""
    batch_ids = _lock_batch(session, archive_id)
    ended = _end(session, _fence(archive_id, attempt, owner), state="unpacked")
    close_finished_batches(session, batch_ids)
    return ended


def refuse_archive(session: Session, archive_id: int, attempt: int, owner: str, code: str, detail: str = "") -> bool:
    """Refuses an archive as a whole, and takes back its items that are still open. False when the lease was lost."""
    batch_ids = _lock_batch(session, archive_id)
    ended = _end(
        session, _fence(archive_id, attempt, owner), state="refused", code=code, detail=fit_text(detail, MAX_DETAIL)
    )
    if ended:
        _delete_open_items(session, archive_id)
    close_finished_batches(session, batch_ids)
    return ended


def ready_archive_batches(session: Session) -> list[str]:
    """Batches with an archive that nobody unpacks, in the order of their turn."""
    query = (
        select(Batch.id)
        .where(Batch.id.in_(select(Archive.batch_id).where(Archive.state == "ready")))
        .order_by(Batch.priority, Batch.created_at)
    )
    return list(session.scalars(query))


def sweep_archives(session: Session) -> int:
    """Makes archives whose lease has run out ready again; refuses one that lost it `MAX_ATTEMPTS` times."""
    expired = (
        select(Archive.id)
        .where(Archive.state == "leased", Archive.lease_until < db_now(session))
        .with_for_update(skip_locked=True, key_share=True)
        .cte("expired")
    )
    worn_out = Archive.attempt >= MAX_ATTEMPTS
    change = (
        update(Archive)
        .where(Archive.id.in_(select(expired.c.id)), Archive.lease_until < db_now(session))
        .values(
            state=case((worn_out, "refused"), else_="ready"),
            code=case((worn_out, "WORKER_LOST"), else_=None),
            lease_owner=None,
            lease_until=None,
        )
        .returning(Archive.id)
        .execution_options(synchronize_session=False)
    )
    return len(session.scalars(change).all())


def _fence(archive_id: int, attempt: int, owner: str) -> tuple[ColumnElement[bool], ...]:
    return (
        Archive.id == archive_id,
        Archive.attempt == attempt,
        Archive.lease_owner == owner,
        Archive.state == "leased",
    )


def _end(session: Session, fence: tuple[ColumnElement[bool], ...], **values: str) -> bool:
    ended = update(Archive).where(*fence).values(lease_owner=None, lease_until=None, **values)
    return count_changed(session, ended) == 1


def _lock_batch(session: Session, archive_id: int) -> list[str]:
    """Locks the batch, so that of two archives which end at the same time the second sees the first. None if deleted."""
    query = (
        select(Batch.id)
        .join(Archive, Archive.batch_id == Batch.id)
        .where(Archive.id == archive_id)
        .with_for_update(key_share=True, of=Batch)
    )
    return list(session.scalars(query))


def _delete_open_items(session: Session, archive_id: int) -> None:
    archive = session.get_one(Archive, archive_id)
    added = (
        Item.batch_id == archive.batch_id,
        Item.archive_number == archive.number,
        Item.state.in_(OPEN_ITEM_STATES),
    )
    lock_items(session, *added)
    count_changed(session, delete(Item).where(*added))
