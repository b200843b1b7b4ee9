"""Which worker processes are alive, by their heartbeats on the database's clock."""

from collections.abc import Collection

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.batches import lock_items
from db.schema import Archive, Item, Worker
from db.session import db_now
from db.statements import count_changed, insert_or_update

# A dead worker's row is of use to whoever asks what happened, for a while.
KEEP_S = 24 * 3600


def beat(
    session: Session, worker_id: str, queues: str, device: str, note: str = "", model_version_id: int | None = None
) -> None:
    """Says that a worker is alive, and what it does."""
    row = {
        "id": worker_id,
        "queues": queues[:80],
        "device": device[:80],
        "note": note[:400],
        "model_version_id": model_version_id,
        "heartbeat_at": db_now(session),
    }
    insert_or_update(session, Worker, row, key=["id"])
    count_changed(session, delete(Worker).where(Worker.heartbeat_at < db_now(session) - KEEP_S))


def forget(session: Session, worker_id: str) -> None:
    """Takes a worker that ends off the list."""
    count_changed(session, delete(Worker).where(Worker.id == worker_id))


def live_workers(session: Session, within_s: float = 15) -> list[Worker]:
    """Workers whose last heartbeat is at most `within_s` seconds ago."""
    alive = Worker.heartbeat_at >= db_now(session) - within_s
    return list(session.scalars(select(Worker).where(alive).order_by(Worker.id)))


def lease_owners(session: Session) -> set[str]:
    """Ids of the workers that hold leases, alive or not."""
    return {
        owner
        for row in (Item, Archive)
        for owner in session.scalars(select(row.lease_owner).where(row.state == "leased").distinct())
        if owner is not None
    }


def expire_leases_of(session: Session, owners: Collection[str]) -> int:
    """Ends the leases of workers known to be dead, so that the next sweep need not wait; returns how many."""
    lock_items(session, Item.state == "leased", Item.lease_owner.in_(owners))
    return sum(
        count_changed(
            session, update(row).where(row.state == "leased", row.lease_owner.in_(owners)).values(lease_until=0.0)
        )
        for row in (Item, Archive)
    )
