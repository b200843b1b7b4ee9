"""Items whose photos the active version has tagged before end while they are accepted: no worker has to start."""

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from db.batches import lock_items
from db.predictions import show_known
from db.schema import ActiveVersion, Item, Photo, Prediction
from db.session import is_sqlite, utc_now
from db.statements import IN_DATABASE_ONLY


def finish_known_items(session: Session, batch_id: str, first: int, last: int) -> int:
    """Finishes the ready items of a batch whose photos the active version has tagged; returns how many.

    Args:
        session: of a write transaction.
        batch_id: the batch; its items from archives are left to the workers.
        first: position of the first item to look at.
        last: position of the last one.
    """
    version_id = session.scalar(select(ActiveVersion.model_version_id))
    if version_id is None:
        return 0
    tagged_before = exists().where(
        Prediction.photo_id == Item.photo_id, Prediction.model_version_id == version_id, Prediction.rank == 1
    )
    known = (
        Item.batch_id == batch_id,
        Item.archive_number == 0,
        Item.position.between(first, last),
        Item.state == "ready",
        tagged_before,
    )
    lock_items(session, *known)
    ending = {"state": "tagged", "model_version_id": version_id, "finished_at": utc_now()}
    change = update(Item).where(*known).values(ending).returning(Item.photo_id)
    if not is_sqlite(session):
        # Whoever accepts photos holds them already, though others may change them: to wait for those could go round in
        # a ring. Photos that somebody is changing are left to the workers.
        photos = select(Photo.id).where(Photo.id.in_(select(Item.photo_id).where(*known))).order_by(Photo.id)
        free = photos.with_for_update(key_share=True, skip_locked=True).cte("free")
        change = change.where(Item.photo_id.in_(select(free.c.id)))
    photo_ids = session.scalars(change, execution_options=IN_DATABASE_ONLY).all()
    if photo_ids:
        show_known(session, [photo_id for photo_id in photo_ids if photo_id is not None], version_id)
    return len(photo_ids)
