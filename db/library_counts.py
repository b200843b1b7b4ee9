"""How many photos of the library there are: of a filter, by label."""

from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from db.library_filter import LibraryFilter, Part, not_tagged, parts_of
from db.library_plan import Plan, bounded_count, plan_of
from db.schema import Label, Photo, User

# Nothing stops a count early: all million entries of an index are the other way.
BUDGET = 1_000_000
# Up to so many photos that are not tagged are counted by themselves, and taken from the count of all: an index tells
# that one without a look at each photo's state, in half the time.
FEW = 100_000


class LabelCount(NamedTuple):
    """A label and how many photos show it, those of the labels below it not counted."""

    label_id: int
    name: str
    parent_id: int | None
    photos: int


def count_photos(session: Session, user: User, chosen: LibraryFilter) -> int:
    """How many photos a filter finds.

    Raises:
        NotFoundError: the batch of the filter does not exist, or is not theirs to see.
    """
    parts = parts_of(session, user, replace(chosen, state=None))
    if chosen.not_sure is False and len(parts) == 1:
        # the others are fewer, and have an index
        either, doubtful = (replace(chosen, not_sure=value) for value in (None, True))
        return count_photos(session, user, either) - count_photos(session, user, doubtful)
    if chosen.state != "tagged" or not _is_told_by_index(parts) or not _most_are_tagged(session):
        return _count(session, parts_of(session, user, chosen))
    all_ids = next((part.ids for part in parts if part.ids is not None), select(Photo.id))
    every = session.scalars(select(func.count()).select_from(all_ids.subquery())).one()
    return every - _count(session, [not_tagged(), *parts])


def label_counts(session: Session, user: User, chosen: LibraryFilter) -> list[LabelCount]:
    """What each label would show: under all of the filter but its label. Labels without photos are left out.

    Raises:
        NotFoundError: the batch of the filter does not exist, or is not theirs to see.
    """
    chosen = replace(chosen, label_id=None)
    parts = parts_of(session, user, replace(chosen, state=None))
    if chosen.state != "tagged" or parts or not _most_are_tagged(session):
        found = _by_label(session, parts_of(session, user, chosen)).subquery()
    else:
        every, less = _by_label(session, []).subquery(), _by_label(session, [not_tagged()]).subquery()
        photos = every.c.photos - func.coalesce(less.c.photos, 0)
        both = select(every.c.shown_label_id, photos.label("photos")).where(photos > 0)
        found = both.outerjoin_from(every, less, less.c.shown_label_id == every.c.shown_label_id).subquery()
    query = select(Label.id, Label.name, Label.parent_id, found.c.photos).join(
        found, found.c.shown_label_id == Label.id
    )
    return [LabelCount(*row) for row in session.execute(query.order_by(Label.name_key))]


def _is_told_by_index(parts: list[Part]) -> bool:
    return not parts or (len(parts) == 1 and bool(parts[0].covering or parts[0].ordered))


def _most_are_tagged(session: Session) -> bool:
    ids = not_tagged().ids
    return ids is not None and bounded_count(session, ids, FEW + 1) <= FEW


def _count(session: Session, parts: list[Part]) -> int:
    return session.scalars(_plan(session, parts).apply(select(func.count()).select_from(Photo))).one()


def _by_label(session: Session, parts: list[Part]) -> Select[Any]:
    plan = _plan(session, parts)
    if plan.along == "ix_photos_newest" and all(part.in_name is None for part in parts):
        # nothing is few: in the order of labels: SQLite would sort a million rows for their groups
        plan = plan._replace(along="ix_photos_label_dated")
    shown = plan.apply(select(Photo.shown_label_id, func.count().label("photos")).select_from(Photo))
    return shown.where(Photo.shown_label_id.is_not(None)).group_by(Photo.shown_label_id)


def _plan(session: Session, parts: list[Part]) -> Plan:
    return plan_of(session, parts, "newest", budget=BUDGET, whole=True)
