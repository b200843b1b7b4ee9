"""Where photos can be read from again: for downloads, and to tag them once more."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from db.batches import create_batch, seal_batch
from db.errors import LimitExceededError, NotFoundError
from db.known import finish_known_items
from db.photos import hold_photos
from db.priorities import priority_of
from db.schema import Batch, Item, Photo, User
from db.statements import table_of

GROUP = 2000
# One transaction: SQLite's other writers wait two seconds for it.
MAX_TAGGED_AGAIN = 100_000


class Place(NamedTuple):
    """A place of a photo whose bytes can probably be read.

    Attributes:
        source_path: where the file lies; None: the bytes are in the blob store.
    """

    photo_id: int
    name: str
    path: str
    sha256: str
    size_bytes: int
    source_path: str | None


def best_places(session: Session, photo_ids: Sequence[int], owner_id: int | None) -> Iterator[Place]:
    """One place for each photo, in the order of their ids: our own copy first, then what was not seen to go.

    Args:
        session: for queries.
        photo_ids: the photos; those without a place are left out.
        owner_id: whose batches; None: everybody's.
    """
    best = func.row_number().over(
        partition_by=Item.photo_id,
        order_by=(Item.source_path.is_not(None), Item.gone_at.is_not(None), Item.id.desc()),
    )
    ordered = sorted(set(photo_ids))
    for start in range(0, len(ordered), GROUP):
        ranked = select(Item.photo_id, Item.path, Item.source_path, best.label("rank")).where(
            Item.photo_id.in_(ordered[start : start + GROUP])
        )
        if owner_id is not None:
            ranked = ranked.join(Batch, Batch.id == Item.batch_id).where(Batch.owner_id == owner_id)
        places = ranked.subquery()
        query = (
            select(places.c.photo_id, Photo.name, places.c.path, Photo.sha256, Photo.size_bytes, places.c.source_path)
            .join(Photo, Photo.id == places.c.photo_id)
            .where(places.c.rank == 1)
            .order_by(places.c.photo_id)
        )
        yield from (Place(*row) for row in session.execute(query))


def tag_again(session: Session, user: User, photo_ids: Sequence[int]) -> Batch:
    """A new batch of photos that are there already. What the active version has tagged before ends at once.

    Raises:
        NotFoundError: none of them is this person's to tag.
        LimitExceededError: more than 100,000.
    """
    if len(photo_ids) > MAX_TAGGED_AGAIN:
        msg = f"At most {MAX_TAGGED_AGAIN:,} photos can be tagged again at once; choose fewer. Received: {len(photo_ids):,}"
        raise LimitExceededError(msg)
    present = hold_photos(session, photo_ids)
    places = list(best_places(session, present, None if user.role == "admin" else user.id))
    if not places:
        msg = "None of these photos can be read again; choose others. They may have been deleted."
        raise NotFoundError(msg)
    count = len(places)
    name = f"{places[0].name}, again" if count == 1 else f"{count:,} photos, again"
    priority = priority_of(count)
    batch = create_batch(session, user.id, name, priority=priority)
    rows = [
        {
            "batch_id": batch.id,
            "archive_number": 0,
            "position": position,
            "path": place.path,
            "source_path": place.source_path,
            "photo_id": place.photo_id,
            "state": "ready",
            "priority": priority,
        }
        for position, place in enumerate(places)
    ]
    session.execute(insert(table_of(Item)), rows)
    finish_known_items(session, batch.id, 0, count - 1)
    seal_batch(session, batch.id)
    return batch
