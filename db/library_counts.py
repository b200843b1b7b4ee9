"""How many photos of the library there are: of a filter, by label."""

from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.library_filter import LibraryFilter, parts_of
from db.library_plan import Plan, plan_of
from db.schema import Label, Photo, User

# Nothing stops a count early: all million entries of an index are the other way.
BUDGET = 1_000_000


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
    query = _plan(session, user, chosen).apply(select(func.count()).select_from(Photo))
    return session.scalars(query).one()


def label_counts(session: Session, user: User, chosen: LibraryFilter) -> list[LabelCount]:
    """What each label would show: under all of the filter but its label. Labels without photos are left out.

    Raises:
        NotFoundError: the batch of the filter does not exist, or is not theirs to see.
    """
    plan = _plan(session, user, replace(chosen, label_id=None))
    if plan.along == "ix_photos_newest":
        # nothing is few: in the order of labels: SQLite would sort a million rows for their groups
        plan = plan._replace(along="ix_photos_label_dated")
    shown = plan.apply(select(Photo.shown_label_id, func.count().label("photos")).select_from(Photo))
    counts = shown.where(Photo.shown_label_id.is_not(None)).group_by(Photo.shown_label_id).subquery()
    query = select(Label.id, Label.name, Label.parent_id, counts.c.photos).join(
        counts, counts.c.shown_label_id == Label.id
    )
    return [LabelCount(*row) for row in session.execute(query.order_by(Label.name_key))]


def _plan(session: Session, user: User, chosen: LibraryFilter) -> Plan:
    return plan_of(session, parts_of(session, user, chosen), "newest", budget=BUDGET, whole=True)
