"""How a page of the library is read: through the few photos of one part of the filter, or along an index in its order.

Neither is right for all: along the order of dates a page of a camera that was sold ten years ago is a million photos
away, and the photos of a camera that took half of them are too many to look up. So the photos of each part are counted,
as far as is cheap. What is few enough is gathered; else the index of the order is followed, and carries all that
filters look at, so that skipping a million photos reads nothing else.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, any_, func, literal_column, select
from sqlalchemy.orm import Session

from db.library_filter import Part
from db.library_order import Sort
from db.schema import Photo
from db.session import is_sqlite

# What a page may read before it follows the index of its order instead, counted in entries of an index. There a million
# are skipped at worst, 0.15 to 0.25 microseconds each.
BUDGET = 300_000
# What a photo costs, in such entries: where an index has all that is looked at, to sort it (0.5 to 0.8 microseconds);
# else to look it up, some 3 microseconds, less where its neighbours come next.
COVERED = 3
LOOK_UP_NEAR = 3
LOOK_UP = 12
_orders: dict[Sort, str] = {
    "date": "ix_photos_dated",
    "score": "ix_photos_score",
    "name": "ix_photos_name",
    "newest": "ix_photos_newest",
}


class Plan(NamedTuple):
    """What to read of `photos`.

    Attributes:
        holds: all conditions.
        along: the index to follow, for SQLite, which plans without statistics; PostgreSQL has them and chooses by itself.
        sorts: whether PostgreSQL is to find the photos and to sort them. It takes them for spread evenly over the order,
            and would follow that to the other end.
    """

    holds: list[ColumnElement[bool]]
    along: str | None
    sorts: bool = False

    def apply(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """The query, which selects from `photos`, with what the plan says."""
        hint = f"INDEXED BY {self.along}" if self.along else "NOT INDEXED"
        return query.where(*self.holds).with_hint(Photo, hint, "sqlite")


def plan_of(session: Session, parts: list[Part], sort: Sort, *, budget: int | None = None, whole: bool = False) -> Plan:
    """The plan for a page in this order; reads a count for each part of the filter that stops where it is too large.

    Args:
        session: the plan is for its database.
        parts: what photos must meet.
        sort: the order.
        budget: instead of `BUDGET`.
        whole: all photos are wanted, not a page of them.
    """
    sqlite = is_sqlite(session)
    best, least = None, (BUDGET if budget is None else budget) + 1
    for part in parts:
        # of all photos nothing is worse than to look for a word in each
        weight = LOOK_UP_NEAR if whole and part.in_name is not None else _weight(part, sort)
        if part.ids is None or weight >= least:
            continue
        count = bounded_count(session, part.ids, least // weight + 1)
        if count * weight < least:
            best, least = part, count * weight
    if best is None or best.ids is None:
        if whole:
            return Plan(list(_probes(parts, has_names=True)), _orders[sort])
        # some parts have an order of their own, in which nothing is to be skipped
        direct = next((part.ordered[sort] for part in parts if sort in part.ordered), None)
        return Plan(list(_probes(parts, has_names=direct is None)), direct or _orders[sort])
    if best.covering and _weight(best, sort) == COVERED:
        return Plan([part.holds for part in parts], best.covering, sorts=not sqlite)
    others = [part.holds for part in parts if part is not best]
    return Plan([among(best.ids, sqlite=sqlite), *others], None, sorts=not sqlite)


def bounded_count(session: Session, ids: Select[Any], limit: int) -> int:
    """How many `ids` there are, counted no further than `limit`."""
    some = ids.with_only_columns(literal_column("1", Integer), maintain_column_froms=True).limit(limit).subquery()
    return session.scalars(select(func.count()).select_from(some)).one()


def _probes(parts: list[Part], *, has_names: bool) -> Iterator[ColumnElement[bool]]:
    for part in parts:
        if part.in_name is not None and has_names:
            yield part.in_name  # the index of the order tells: most are skipped without a look elsewhere
        yield part.holds if part.probe is None else part.probe


def _weight(part: Part, sort: Sort) -> int:
    if part.covering and sort != "name":
        return COVERED
    return LOOK_UP_NEAR if part.is_near else LOOK_UP


def among(ids: Select[Any], *, sqlite: bool) -> ColumnElement[bool]:
    """The condition that makes both databases look photos up by their ids, one after the other, whatever their number."""
    if sqlite:
        return Photo.id.in_(ids)
    # a list whose length the planner does not know: it would read the whole table for some thousand of a million photos
    return Photo.id == any_(func.array(ids.scalar_subquery()))
