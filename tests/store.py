"""Rows for tests of the store, made by the store's own functions."""

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from db.batches import NewItem, add_items, create_batch, seal_batch
from db.facts import PhotoFacts
from db.items import ClaimedItem, Finished
from db.labels import ensure_labels
from db.model_versions import activate, register_version, version_label_ids
from db.predictions import Tagged
from db.schema import Item, Prediction
from db.session import Database
from db.users import local_admin

LABELS = ("cat", "dog", "car", "tree", "cup")
FACTS = PhotoFacts("JPEG", 640, 480)
THRESHOLD = 0.5


def sha256_of(number: int) -> str:
    """The hash of photo `number`."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def new_items(numbers: Iterable[int]) -> list[NewItem]:
    """One photo for each number, at that position."""
    return [NewItem(number, f"{number}.jpg", sha256_of(number), 1000 + number) for number in numbers]


def add_version(session: Session, name: str = "first", *, active: bool = True) -> int:
    """The id of a version with five labels."""
    ids = ensure_labels(session, [[label] for label in LABELS])
    version = register_version(session, name, "built-in", f"package:{name}", {"threshold": THRESHOLD}, ids)
    if active:
        activate(session, version.id, None, "test")
    return version.id


def fill_batch(session: Session, numbers: Iterable[int] | int = 3, *, priority: int = 5, sealed: bool = True) -> str:
    """The id of a batch of photos."""
    batch_id = create_batch(session, local_admin(session).id, "holiday", priority=priority).id
    add_items(session, batch_id, new_items(range(numbers) if isinstance(numbers, int) else numbers))
    if sealed:
        seal_batch(session, batch_id)
    return batch_id


def add_batch(database: Database, numbers: Iterable[int] | int = 3, *, priority: int = 5, sealed: bool = True) -> str:
    """As `fill_batch`, in a transaction of its own."""
    with database.transaction() as session:
        return fill_batch(session, numbers, priority=priority, sealed=sealed)


def top_of(photo_id: int, label_ids: Sequence[int], score: float = 0.9) -> list[tuple[int, float]]:
    """Five labels whose order depends on the photo alone: what a network would find again."""
    start = photo_id % len(label_ids)
    return [(label_ids[(start + rank) % len(label_ids)], score / (rank + 1)) for rank in range(len(label_ids))]


def tag_all(session: Session, items: Sequence[ClaimedItem], version_id: int, *, score: float = 0.9) -> list[Finished]:
    """Results that a worker would hand to `finish_items`."""
    label_ids = version_label_ids(session, version_id) if items else []
    return [
        Tagged(
            item.item_id,
            item.attempt,
            item.photo_id,
            version_id,
            FACTS,
            top_of(item.photo_id, label_ids, score),
            not_sure=score < THRESHOLD,
        )
        for item in items
    ]


def states_of(session: Session, batch_id: str | None = None) -> dict[str, int]:
    """How many items are in each state."""
    query = select(Item.state, func.count()).group_by(Item.state)
    if batch_id is not None:
        query = query.where(Item.batch_id == batch_id)
    return {row[0]: row[1] for row in session.execute(query)}


def prediction_count(session: Session) -> int:
    """How many predictions there are."""
    return session.scalars(select(func.count()).select_from(Prediction)).one()


def pass_time(session: Session, seconds: float) -> None:
    """Lets the database's clock run: leases and waits end so much earlier."""
    shift = {"s": seconds}
    session.execute(text("UPDATE items SET lease_until = lease_until - :s, not_before = not_before - :s"), shift)
    session.execute(text("UPDATE archives SET lease_until = lease_until - :s"), shift)


def without_disk_syncs(database: Database) -> Database:
    """The same SQLite database, several times faster: for tests in which no machine loses power."""

    @event.listens_for(database.engine, "connect")
    def relax(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    database.engine.dispose()
    return database


def run_together(works: Iterable[Callable[[], None]]) -> None:
    """Runs each in a thread of its own and waits for all; what goes wrong in one is theirs to note."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
