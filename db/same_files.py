"""Files with the same bytes: one photo, which several files of a person are. Nothing here deletes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, Subquery, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.library_filter import SEES_ALL
from db.schema import Archive, Batch, Item, Photo, User

# What one page looks at: 30 ms on SQLite.
LOOKED_AT = 20_000
MOST_PLACES = 20


class FilePlace(NamedTuple):
    """A file whose bytes are a photo's."""

    batch_id: str
    batch: str
    path: str
    archive: str | None


@dataclass(frozen=True, slots=True)
class SameFile:
    """A photo of which a person sent several files with the same bytes.

    Attributes:
        places: the first 20.
        count: how many there are.
    """

    photo_id: int
    name: str
    size_bytes: int
    has_previews: bool
    places: list[FilePlace]
    count: int


class SameFilePage(NamedTuple):
    """Photos, and where the next page starts: pass it as `after`; None at the end."""

    photos: list[SameFile]
    after: int | None


def list_same_files(session: Session, user: User, *, after: int | None = None, limit: int = 50) -> SameFilePage:
    """A page of photos of which the person sent several files with the same bytes, the newest photo first.

    The same path sent again is the same file; what a watched folder no longer has is none. A page looks at a bounded
    part of the library: it may be empty and still have a next one.
    """
    some = select(Photo.id.label("photo_id"))
    if after is not None:
        some = some.where(Photo.id < after)
    looked_at = some.order_by(Photo.id.desc()).limit(LOOKED_AT).subquery()
    first, second = aliased(Item), aliased(Item)
    twice = exists().where(
        first.photo_id == looked_at.c.photo_id, second.photo_id == first.photo_id, second.id > first.id
    )
    candidates = select(looked_at.c.photo_id).where(twice).order_by(looked_at.c.photo_id.desc()).limit(limit)
    ids = list(session.scalars(candidates))
    next_page: int | None = ids[-1] if len(ids) == limit else end_of(session, looked_at, LOOKED_AT)
    return SameFilePage(_same_files(session, user, ids), next_page)


def may_see(user: User, photo_id: SQLColumnExpression[int]) -> list[ColumnElement[bool]]:
    """An owner has a place of the photo; others see all."""
    if user.role in SEES_ALL:
        return []
    return [exists().where(Item.photo_id == photo_id, Batch.id == Item.batch_id, Batch.owner_id == user.id)]


def end_of(session: Session, looked_at: Subquery, limit: int) -> int | None:
    """Where the next page starts when this one has seen all it may look at."""
    query = select(func.count(), func.min(looked_at.c.photo_id))
    count, last = session.execute(query.select_from(looked_at)).one()
    return last if count == limit else None


def _files(user: User, *columns: Any) -> Select[*tuple[Any, ...]]:
    """Items that are files of the person, as far as is known."""
    query = (
        select(*columns)
        .outerjoin(Archive, (Archive.batch_id == Item.batch_id) & (Archive.number == Item.archive_number))
        .where(Item.state == "tagged", Item.gone_at.is_(None))
    )
    if user.role in SEES_ALL:
        return query
    return query.join(Batch, Batch.id == Item.batch_id).where(Batch.owner_id == user.id)


def _file_key() -> ColumnElement[str]:
    """What tells one file from another: sent or tagged again it is the same one."""
    return func.coalesce(Item.source_path, func.coalesce(Archive.path + "/", "") + Item.path)


def places_of(user: User, photo_id: SQLColumnExpression[int]) -> ColumnElement[int]:
    """How many files of the person the photo `photo_id` of a query on photos is."""
    files = _files(user, func.count(_file_key().distinct())).where(Item.photo_id == photo_id)
    return files.select_from(Item).correlate(Photo).scalar_subquery()


def _same_files(session: Session, user: User, photo_ids: Sequence[int]) -> list[SameFile]:
    files = _files(user, Item.photo_id, func.min(Item.id).label("item_id")).select_from(Item)
    files = files.where(Item.photo_id.in_(photo_ids)).group_by(Item.photo_id, _file_key())
    each = files.subquery()
    numbered = select(
        each.c.item_id,
        func.row_number().over(partition_by=each.c.photo_id, order_by=each.c.item_id).label("number"),
        func.count().over(partition_by=each.c.photo_id).label("count"),
    ).subquery()
    query = (
        select(
            numbered.c["count"].label("files"),
            Photo.id.label("photo_id"),
            Photo.name,
            Photo.size_bytes,
            Photo.has_previews,
            Item.batch_id,
            Batch.name.label("batch"),
            func.coalesce(Item.source_path, Item.path).label("path"),
            Archive.path.label("archive"),
        )
        .join(Item, Item.id == numbered.c.item_id)
        .join(Batch, Batch.id == Item.batch_id)
        .join(Photo, Photo.id == Item.photo_id)
        .outerjoin(Archive, (Archive.batch_id == Item.batch_id) & (Archive.number == Item.archive_number))
        .where(numbered.c["count"] > 1, numbered.c.number <= MOST_PLACES)
        .order_by(Photo.id.desc(), numbered.c.number)
    )
    found: dict[int, SameFile] = {}
    for row in session.execute(query) if photo_ids else ():
        photo = SameFile(row.photo_id, row.name, row.size_bytes, row.has_previews, [], row.files)
        place = FilePlace(row.batch_id, row.batch, row.path, row.archive)
        found.setdefault(row.photo_id, photo).places.append(place)
    return list(found.values())
