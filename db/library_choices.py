"""What the filters of the library offer: the cameras and the formats of the photos that a person may see."""

from typing import Any, NamedTuple

from sqlalchemy import CTE, Integer, Select, exists, func, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.library_filter import SEES_ALL, in_own_batch
from db.library_plan import among
from db.schema import Camera, Item, Photo, User
from db.session import is_sqlite

# Photos of an owner that are looked up at once, 1 to 2 microseconds each. Where there are more, some photos of each
# camera are tried before, of all cameras so many: an owner of most of the library is seen to have nearly all.
FEW = 50_000
TRIED = 20_000
_indexes = {"camera_id": "ix_photos_camera_dated", "format": "ix_photos_format_dated"}


class CameraName(NamedTuple):
    """A camera that can be filtered by."""

    camera_id: int
    name: str


def list_cameras(session: Session, user: User) -> list[CameraName]:
    """The cameras of the photos the person may see, by name."""
    ids = _values(session, user, Photo.camera_id)
    query = select(Camera.id, Camera.name).where(Camera.id.in_(ids)).order_by(Camera.name)
    return [CameraName(*row) for row in session.execute(query)]


def list_formats(session: Session, user: User) -> list[str]:
    """The formats of the photos the person may see, by name."""
    return sorted(_values(session, user, Photo.format))


def _values(session: Session, user: User, column: InstrumentedAttribute[Any]) -> set[Any]:
    """The values of a column that begins an index, in the photos that the person may see."""
    if user.role in SEES_ALL:
        return set(session.scalars(_all_values(column)))
    owned = select(Item.photo_id).where(*in_own_batch(user))
    some = owned.limit(FEW + 1).subquery()
    if session.scalars(select(func.count()).select_from(some)).one() <= FEW:
        return set(session.scalars(_looked_up(session, user, column)))
    every = set(session.scalars(_all_values(column)))
    found = set(session.scalars(_tried(user, column, TRIED // max(1, len(every)))))
    if found < every:
        found.update(session.scalars(_looked_up(session, user, column).where(column.not_in(found))))
    return found


def _each_value(column: InstrumentedAttribute[Any]) -> CTE:
    """All values of the column and a null, from one to the next in the index: their photos are not read."""
    each = select(func.min(column).label("value")).cte("each", recursive=True)
    following = select(func.min(column)).where(column > each.c.value).scalar_subquery()
    return each.union_all(select(following).where(each.c.value.is_not(None)))


def _all_values(column: InstrumentedAttribute[Any]) -> Select[Any]:
    each = _each_value(column)
    return select(each.c.value).where(each.c.value.is_not(None))


def _tried(user: User, column: InstrumentedAttribute[Any], limit: int) -> Select[Any]:
    """The values of which one of the first photos is theirs."""
    each = _each_value(column)
    first = select(Photo.id).where(column == each.c.value).order_by(Photo.dated_at.desc()).limit(limit)
    some = first.with_hint(Photo, f"INDEXED BY {_indexes[column.key]}", "sqlite").correlate(each).subquery()
    theirs = exists().where(Item.photo_id == some.c.id, *in_own_batch(user))
    found = (
        select(literal_column("1", Integer)).select_from(some).where(theirs).limit(1).correlate(each).scalar_subquery()
    )
    return select(each.c.value).where(each.c.value.is_not(None), found.is_not(None))


def _looked_up(session: Session, user: User, column: InstrumentedAttribute[Any]) -> Select[Any]:
    """The values of all their photos, which are looked up one after the other."""
    query, own = select(column).distinct().where(column.is_not(None)), in_own_batch(user)
    if not is_sqlite(session):
        return query.where(among(select(Item.photo_id).where(*own), sqlite=False))
    # in the order in which they lie in their batches, and in the table itself: nothing is nearer
    return query.select_from(Item).where(Photo.id == Item.photo_id, *own).with_hint(Photo, "NOT INDEXED", "sqlite")
