"""Where the queues of review look for photos: the library's filter, and what is on nobody's screen."""

import datetime as dt
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, literal_column, select, text, true
from sqlalchemy.orm import Session, aliased

from db.library_filter import LibraryFilter, Part, parts_of
from db.library_plan import among, bounded_count
from db.schema import Item, Photo, Review, ReviewAction, ReviewLease, User
from db.session import db_now, is_sqlite, utc_now
from db.statements import table_of

# Up to so many photos of a filter are gathered; else the queue is followed until enough of them came by. Photos of one
# batch lie close to each other, and are looked up in half the time.
FEW_PHOTOS = 30_000
FEW_NEAR = 60_000
# Where all of a queue is read, and each of its photos would have to be looked up elsewhere: in the batch, by its words.
FEW_OF_ALL = 300_000
SKIPPED_FOR = dt.timedelta(hours=24)


class Scope(NamedTuple):
    """Which photos are looked for.

    Attributes:
        few: the few photos of one part of the filter, to begin with; None: there are many of each.
        holds: what else they must meet.
        probes: all that photos must meet, to be looked up photo by photo.
    """

    few: ColumnElement[bool] | None
    holds: list[ColumnElement[bool]]
    probes: list[ColumnElement[bool]]

    @property
    def gathers(self) -> bool:
        """Whether photos are gathered; else a queue is followed in its order."""
        return self.few is not None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Of a row of photos, the way that is best for most queries."""
        return self.probes if self.few is None else [self.few, *self.holds]

    def within(self, query: Select[Any], index: str) -> Select[Any]:
        """The query, which selects from `photos`, within this scope; else along the index, for SQLite."""
        hint = "NOT INDEXED" if self.gathers else f"INDEXED BY {index}"
        return query.where(*self.conditions).with_hint(Photo, hint, "sqlite")


def scope_of(session: Session, user: User, chosen: LibraryFilter, *, free: bool = True, whole: bool = False) -> Scope:
    """The photos of a filter.

    Args:
        session: the scope is for its database.
        user: a reviewer or an admin.
        chosen: the filter.
        free: only those that are on nobody's screen and that this person did not skip lately.
        whole: all photos of a queue are read, not the first ones.

    Raises:
        NotFoundError: the batch does not exist.
    """
    # the queues' indexes hold tagged photos only, and tell no state
    parts = parts_of(session, user, replace(chosen, state=None) if chosen.state == "tagged" else chosen)
    best = _fewest(session, parts, whole=whole)
    others = _free(session, user) if free else []
    few = among(best.ids, sqlite=is_sqlite(session)) if best is not None and best.ids is not None else None
    return Scope(
        few,
        [*(part.holds for part in parts if part is not best), *others],
        [*(part.holds if whole else _probe(part, chosen) for part in parts), *others],
    )


@contextmanager
def in_order(session: Session, scope: Scope) -> Generator[None]:
    """Lets PostgreSQL follow the index of a queue, as SQLite is told to.

    It takes conditions for independent of each other, expects a handful of photos where a hundred thousand are, and
    would collect and sort all of them for the first one.
    """
    if scope.gathers or is_sqlite(session):
        yield
        return
    session.execute(text("SET LOCAL enable_sort TO off"))
    yield
    session.execute(text("SET LOCAL enable_sort TO on"))


def _probe(part: Part, chosen: LibraryFilter) -> ColumnElement[bool]:
    if part.is_near:  # the batch; else PostgreSQL would go through all of it for each photo
        placed = select(true()).where(Item.photo_id == Photo.id, Item.batch_id == chosen.batch_id)
        return placed.limit(1).correlate(Photo).scalar_subquery()
    return part.holds if part.probe is None else part.probe


def _fewest(session: Session, parts: list[Part], *, whole: bool) -> Part | None:
    best, least = None, 1.0
    for part in parts:
        if part.ids is None:
            continue
        elsewhere = part.is_near or part.in_name is not None
        most = FEW_OF_ALL if whole and elsewhere else FEW_NEAR if part.is_near else FEW_PHOTOS
        share = bounded_count(session, part.ids, int(least * most) + 1) / (most + 1)
        if share < least:
            best, least = part, share
    return best


def _free(session: Session, user: User) -> list[ColumnElement[bool]]:
    """Looked up photo by photo, whatever the planner thinks of joins: most queues are left after some dozens."""
    lease = table_of(ReviewLease).c
    review, action, undoing = aliased(Review), aliased(ReviewAction), aliased(ReviewAction)
    leased = select(true()).where(lease.photo_id == Photo.id, lease.until > db_now(session))
    undone = select(true()).where(undoing.undoes_id == action.id).limit(1).correlate(action).scalar_subquery()
    lately = select(true()).where(
        action.id == review.action_id, action.user_id == user.id, action.at > utc_now() - SKIPPED_FOR, undone.is_(None)
    )
    by_person = lately.limit(1).correlate(review).scalar_subquery()
    skipped = select(true()).where(
        review.photo_id == Photo.id, review.verdict == literal_column("'skip'"), by_person.is_not(None)
    )
    return [query.limit(1).correlate(Photo).scalar_subquery().is_(None) for query in (leased, skipped)]
