"""The library: the photos a person may see, filtered, sorted, page by page from a cursor."""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import Session

from db.library_filter import SEES_ALL, LibraryFilter, bounds_of, owned_by, parts_of
from db.library_order import Cursor, Sort, beyond, sort_column
from db.library_plan import Plan, plan_of
from db.schema import Label, Photo, User

# Ids are few bytes: a group is 10 kB, and a library of a million takes 500 queries.
ID_GROUP = 2000


@dataclass(frozen=True, slots=True)
class PhotoTile:
    """A photo as the grid shows it.

    Attributes:
        shown: the shown label's name; None before tagging.
        shown_origin: "person" or "model".
        not_sure: the score is under the threshold, and no person has spoken.
        cursor: its place in the order of the page.
    """

    photo_id: int
    name: str
    state: str
    has_previews: bool
    width: int | None
    height: int | None
    dated_at: dt.datetime
    taken_at: dt.datetime | None
    shown_label_id: int | None
    shown: str | None
    shown_score: float | None
    shown_origin: str | None
    not_sure: bool
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class LibraryPage:
    """Some photos in their order.

    Attributes:
        more_after: there are photos behind the last one (not asked again on a page that was reached backwards).
        more_before: there are photos ahead of the first one (not asked again on a page that was reached forwards).
    """

    photos: list[PhotoTile]
    more_after: bool
    more_before: bool


def library_page(
    session: Session,
    user: User,
    chosen: LibraryFilter,
    sort: Sort,
    *,
    descending: bool,
    after: Cursor | None = None,
    before: Cursor | None = None,
    limit: int,
) -> LibraryPage:
    """The page that begins behind `after`, or ends just before `before`, or the first one.

    In the order of scores stand only photos that have one.

    Raises:
        NotFoundError: the batch of the filter does not exist, or is not theirs to see.
        ValueError: a cursor of another order.
    """
    backwards = before is not None and after is None
    direction = descending is not backwards
    plan = plan_of(session, parts_of(session, user, chosen), sort)
    cursor = _within(chosen, sort, before if backwards else after, descending=direction)
    rows = _rows(session, plan, sort, cursor, descending=direction, limit=limit + 1)
    photos = [_tile(row, sort) for row in rows[:limit]]
    more = len(rows) > limit
    if backwards:
        return LibraryPage(photos[::-1], more_after=True, more_before=more)
    return LibraryPage(photos, more_after=more, more_before=after is not None)


def iter_library(session: Session, user: User, chosen: LibraryFilter, sort: Sort, *, descending: bool) -> Iterator[int]:
    """The ids of all photos of the filter, in order, some thousand in memory at a time.

    Raises:
        NotFoundError: as `library_page`.
    """
    plan = plan_of(session, parts_of(session, user, chosen), sort)
    after: Cursor | None = None
    while True:
        rows = session.execute(_places(plan, sort, after, descending=descending, limit=ID_GROUP)).all()
        yield from (row.id for row in rows)
        if len(rows) < ID_GROUP:
            return
        after = Cursor(rows[-1].place, rows[-1].id)


def get_selection(session: Session, user: User, ids: Collection[int]) -> list[int]:
    """Those of `ids` that exist and that the person may see, in rising order."""
    found: list[int] = []
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), ID_GROUP):
        query = select(Photo.id).where(Photo.id.in_(wanted[start : start + ID_GROUP])).order_by(Photo.id)
        if user.role not in SEES_ALL:
            query = query.where(owned_by(user))
        found += session.scalars(query)
    return found


def _within(chosen: LibraryFilter, sort: Sort, cursor: Cursor | None, *, descending: bool) -> Cursor | None:
    """The cursor, unless the range of the filter begins behind it: of two such bounds SQLite goes by one."""
    low, high = bounds_of(chosen, sort)
    first = high if descending else low
    if cursor is None or first is None or type(cursor.value) is not type(first):
        return cursor
    return None if (cursor.value > first if descending else cursor.value < first) else cursor


def _places(plan: Plan, sort: Sort, after: Cursor | None, *, descending: bool, limit: int) -> Select[*tuple[Any, ...]]:
    """Id and place of the photos behind the cursor: all that is read of those that are skipped."""
    query = select(Photo.id, sort_column(sort).label("place")).select_from(Photo)
    if sort == "score":
        query = query.where(Photo.shown_score.is_not(None))
    if after is not None:
        # ahead of the filter, which has a wider bound of the same column: SQLite goes by the first
        query = query.where(beyond(sort, after, descending=descending))
    query = plan.apply(query)
    return _in_order(query, sort, descending=descending, sorts=plan.sorts).limit(limit)


def _rows(
    session: Session, plan: Plan, sort: Sort, after: Cursor | None, *, descending: bool, limit: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    places = _places(plan, sort, after, descending=descending, limit=limit).subquery()
    query = (
        select(
            Photo.id,
            Photo.name,
            Photo.state,
            Photo.has_previews,
            Photo.width,
            Photo.height,
            Photo.dated_at,
            Photo.taken_at,
            Photo.shown_label_id,
            Label.name.label("shown"),
            Photo.shown_score,
            Photo.shown_origin,
            Photo.not_sure,
            places.c.place,
        )
        .select_from(places)
        .join(Photo, Photo.id == places.c.id)
        .outerjoin(Label, Label.id == Photo.shown_label_id)
    )
    return session.execute(_in_order(query, sort, descending=descending)).all()


def _in_order(
    query: Select[*tuple[Any, ...]], sort: Sort, *, descending: bool, sorts: bool = False
) -> Select[*tuple[Any, ...]]:
    column = sort_column(sort)
    # itself, but no index is in this order
    first: ColumnElement[Any] = func.coalesce(column, column) if sorts else column.expression
    columns = [first] if sort == "newest" else [first, Photo.id]
    return query.order_by(*(column.desc() if descending else column for column in columns))


def _tile(row: Row[*tuple[Any, ...]], sort: Sort) -> PhotoTile:
    return PhotoTile(
        photo_id=row.id,
        name=row.name,
        state=row.state,
        has_previews=row.has_previews,
        width=row.width,
        height=row.height,
        dated_at=row.dated_at,
        taken_at=row.taken_at,
        shown_label_id=row.shown_label_id,
        shown=row.shown,
        shown_score=row.shown_score,
        shown_origin=row.shown_origin,
        not_sure=row.not_sure and row.shown_origin != "person",
        cursor=Cursor(row.id if sort == "newest" else row.place, row.id),
    )
