"""Tries the failed photos of a batch again."""

from sqlalchemy import insert, literal, select
from sqlalchemy.orm import Session

from db.batches import create_batch, lock_items, require_batch
from db.errors import ConflictError
from db.retags import retry_retag
from db.schema import OPEN_BATCH_STATES, Batch, Item
from db.statements import table_of


def retry_batch(session: Session, batch_id: str, owner_id: int) -> Batch:
    """A new batch with the failed photos of a closed one. Refused ones would be refused again. Twice is once.

    Of a re-tag: all that its version has not tagged yet.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch is still open, nothing of it failed, or it is a re-tag with a version that is no longer active.
    """
    batch = require_batch(session, batch_id, lock=True)
    if batch.state in OPEN_BATCH_STATES:
        msg = f"The batch is still open; wait for it or cancel it, then retry. Received: {batch_id}, {batch.state}"
        raise ConflictError(msg)
    if batch.retag_version_id is not None:
        return retry_retag(session, batch, owner_id)
    running = select(Batch).where(Batch.retry_of_id == batch_id, Batch.state.in_(OPEN_BATCH_STATES))
    earlier = session.scalars(running).first()
    if earlier is not None:
        return earlier
    new = create_batch(session, owner_id, batch.name, priority=batch.priority, state="running")
    new.retry_of_id = batch_id
    session.flush()
    if _copy_failed_items(session, batch_id, new) == 0:
        session.delete(new)
        session.flush()
        msg = f"No photo of this batch failed, so there is nothing to retry. Received: {batch_id}"
        raise ConflictError(msg)
    return new


def _copy_failed_items(session: Session, batch_id: str, new: Batch) -> int:
    kept = Item.archive_number, Item.position, Item.path, Item.source_path, Item.photo_id, Item.priority
    with_photo = Item.batch_id == batch_id, Item.state == "failed", Item.photo_id.is_not(None)
    lock_items(session, *with_photo)  # so that their photos are not deleted meanwhile
    failed = select(literal(new.id), literal("ready"), *kept).where(*with_photo)
    columns = ["batch_id", "state", *(column.key for column in kept)]
    copied = insert(table_of(Item)).from_select(columns, failed).returning(table_of(Item).c.id)
    return len(session.execute(copied).all())
