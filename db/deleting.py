"""Deleting: rows go here, their bytes a little later (`db.collecting`). A person's own files are never touched.

A photo belongs to whoever has an item of it, and goes with its last item.

A batch goes in two parts. `begin_deleting` takes it out of everybody's sight, and cancels it, in one transaction. Then
`delete_some` takes its rows, some hundreds a transaction, so that nobody waits long for the database. Whoever is killed
in between leaves the batch's entry in table `garbage`, and a janitor goes on.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.orm import Session

from db.batches import cancel_batch
from db.closing import end_bereft_batches
from db.garbage import ARCHIVE, BATCH, PHOTO, SHARD, queue_garbage
from db.near_duplicates import lock_groups
from db.schema import Archive, Batch, FeatureShard, Garbage, Item, Photo, PhotoFeatures, User
from db.session import Database
from db.statements import IN_DATABASE_ONLY, count_changed

# Items that go in one transaction: it holds SQLite's only write lock for about 100 ms (100,000 photos, busy machine).
GROUP_ITEMS = 200

HAS_ITEMS = exists().where(Item.photo_id == Photo.id)


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted.

    Attributes:
        items: places of photos in batches.
        photos: photos that went with their last item.
        kept: photos that stay, because other batches have them.
        batch_ids: batches that exist and whose counts are others now.
    """

    items: int = 0
    photos: int = 0
    kept: int = 0
    batch_ids: frozenset[str] = frozenset()

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(
            self.items + other.items,
            self.photos + other.photos,
            self.kept + other.kept,
            self.batch_ids | other.batch_ids,
        )


def delete_photos(session: Session, user: User, photo_ids: Collection[int]) -> Deleted:
    """Takes photos (some hundreds at most) out of this person's batches; an admin: out of all.

    An item that a worker holds goes as well: what it hands in later is not written. An open batch that has nothing left
    to do is closed.
    """
    theirs = [Item.photo_id.in_(photo_ids)]
    if user.role != "admin":
        theirs.append(Item.batch_id.in_(select(Batch.id).where(Batch.owner_id == user.id)))
    item_ids = _lock_items(session, *theirs)
    going = delete(Item).where(Item.id.in_(item_ids)).returning(Item.photo_id, Item.batch_id)
    gone = session.execute(going, execution_options=IN_DATABASE_ONLY).all()
    left = {row.photo_id for row in gone}
    photos = delete_photos_without_items(session, left)
    batch_ids = frozenset(row.batch_id for row in gone)
    end_bereft_batches(session, batch_ids)
    return Deleted(len(gone), photos, len(left) - photos, batch_ids)


def begin_deleting(session: Session, batch_id: str) -> None:
    """Cancels a batch and takes it out of everybody's sight; `delete_some` does the rest. The same files sent again are a new batch.

    Raises:
        NotFoundError: there is no such batch.
    """
    cancel_batch(session, batch_id)
    count_changed(session, update(Batch).where(Batch.id == batch_id).values(idem_key=None, source_key=None))
    queue_garbage(session, BATCH, [batch_id])


def delete_some(session: Session, batch_id: str, limit: int = GROUP_ITEMS) -> Deleted | None:
    """Deletes the next items of a batch that is being deleted, with their photos; None when all of it is gone."""
    # in the order of an index: by id, each of many calls would sort all that is left
    some = select(Item.id).where(Item.batch_id == batch_id).order_by(Item.archive_number, Item.position).limit(limit)
    item_ids = session.scalars(some).all()
    if not item_ids:
        _delete_batch_row(session, batch_id)
        return None
    going = delete(Item).where(Item.id.in_(_lock_items(session, Item.id.in_(item_ids)))).returning(Item.photo_id)
    gone = session.scalars(going, execution_options=IN_DATABASE_ONLY).all()
    left = {photo_id for photo_id in gone if photo_id is not None}
    photos = delete_photos_without_items(session, left)
    queue_garbage(session, BATCH, [batch_id])  # says that somebody is at it
    return Deleted(len(gone), photos, _kept_by_others(session, left, batch_id))


def delete_batch(database: Database, batch_id: str, stopping: Callable[[], bool] = lambda: False) -> Deleted:
    """Deletes all that is left of a batch that is being deleted, in many short transactions, unless asked to stop."""
    total = Deleted()
    while not stopping():
        began = time.monotonic()
        with database.transaction() as session:
            some = delete_some(session, batch_id)
        if some is None:
            break
        total += some
        time.sleep(min(1.0, time.monotonic() - began))  # others get at least half of the database's time
    return total


def delete_photos_without_items(session: Session, photo_ids: Collection[int]) -> int:
    """Deletes those of the photos that no batch has, with all that is known of them; returns how many.

    What else refers to a photo goes with its row, by the tables' references.
    """
    going = _held_without_items(session, photo_ids)
    if not going:
        return 0
    lock_groups(session)
    sha256s = session.scalars(select(Photo.sha256).where(Photo.id.in_(going))).all()
    shards = select(FeatureShard.key).where(
        FeatureShard.id.in_(select(PhotoFeatures.shard_id).where(PhotoFeatures.photo_id.in_(going)))
    )
    queue_garbage(session, PHOTO, sha256s)
    queue_garbage(session, SHARD, session.scalars(shards))
    return count_changed(session, delete(Photo).where(Photo.id.in_(going)))


def _lock_items(session: Session, *conditions: ColumnElement[bool]) -> Sequence[int]:
    """Locks items in the order of their ids, for deletion; these and no others are deleted.

    One that is accepted meanwhile stays: somebody may hold it who waits for one of these.
    """
    return session.scalars(select(Item.id).where(*conditions).order_by(Item.id).with_for_update()).all()


def _held_without_items(session: Session, photo_ids: Collection[int]) -> Sequence[int]:
    """Photos without items; nobody can give them one until this transaction ends.

    The first look spares those that others are working on; only a look after the lock is sure.
    """
    free = select(Photo.id).where(Photo.id.in_(photo_ids), ~HAS_ITEMS).order_by(Photo.id)
    first = session.scalars(free).all()
    session.execute(select(Photo.id).where(Photo.id.in_(first)).order_by(Photo.id).with_for_update()).all()
    return session.scalars(free.where(Photo.id.in_(first))).all()


def _kept_by_others(session: Session, photo_ids: Collection[int], batch_id: str) -> int:
    """How many of the photos other batches have, and this one no longer."""
    others = select(Item.photo_id).where(Item.photo_id.in_(photo_ids)).distinct()
    still_here = select(Item.photo_id).where(Item.photo_id.in_(photo_ids), Item.batch_id == batch_id)
    return len(session.scalars(others.where(Item.photo_id.not_in(still_here))).all())


def _delete_batch_row(session: Session, batch_id: str) -> None:
    session.execute(select(Batch.id).where(Batch.id == batch_id).with_for_update()).all()
    archives = select(Archive.sha256).where(Archive.batch_id == batch_id, Archive.sha256.is_not(None))
    queue_garbage(session, ARCHIVE, filter(None, session.scalars(archives)))
    count_changed(session, update(Batch).where(Batch.retry_of_id == batch_id).values(retry_of_id=None))
    count_changed(session, delete(Batch).where(Batch.id == batch_id))
    count_changed(session, delete(Garbage).where(Garbage.kind == BATCH, Garbage.key == batch_id))
