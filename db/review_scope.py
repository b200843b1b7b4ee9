"""Where the queues of review look for photos: the library's filter, and what is on nobody's screen."""

import datetime as dt
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, literal_column, select, true
from sqlalchemy.orm import Session, aliased

from db.library_filter import LibraryFilter, Part, parts_of
from db.library_plan import among, bounded_count
from db.schema import Photo, Review, ReviewAction, ReviewLease, User
from db.session import db_now, is_sqlite, utc_now
from db.statements import table_of

# Up to so many photos of a filter are gathered; else the queue is followed until enough of them came by. Photos of one
# batch lie close to each other, and are looked up in half the time.
FEW_PHOTOS = 30_000
FEW_NEAR = 60_000
SKIPPED_FOR = dt.timedelta(hours=24)


class Scope(NamedTuple):
    """Which photos are looked for.

    Attributes:
        holds: all conditions, of a row of photos.
        gathers: they begin with the few photos of one part of the filter.
    """

    holds: list[ColumnElement[bool]]
    gathers: bool

    def within(self, query: Select[Any], index: str) -> Select[Any]:
        """The query, which selects from `photos`, within this scope; else along the index, for SQLite."""
        hint = "NOT INDEXED" if self.gathers else f"INDEXED BY {index}"
        return query.where(*self.holds).with_hint(Photo, hint, "sqlite")


def scope_of(session: Session, user: User, chosen: LibraryFilter, *, free: bool = True) -> Scope:
    """The photos of a filter; `free`: that are on nobody's screen and that this person did not skip lately.

    Raises:
        NotFoundError: the batch does not exist.
    """
    # the queues' indexes hold tagged photos only, and tell no state
    parts = parts_of(session, user, replace(chosen, state=None) if chosen.state == "tagged" else chosen)
    best = _fewest(session, parts)
    others = _free(session, user) if free else []
    if best is not None and best.ids is not None:
        gathered = among(best.ids, sqlite=is_sqlite(session))
        return Scope([gathered, *(part.holds for part in parts if part is not best), *others], gathers=True)
    return Scope([*(part.holds if part.probe is None else part.probe for part in parts), *others], gathers=False)


def _fewest(session: Session, parts: list[Part]) -> Part | None:
    best, least = None, 1.0
    for part in parts:
        if part.ids is None:
            continue
        most = FEW_NEAR if part.is_near else FEW_PHOTOS
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
    skipped = (
        select(true())
        .select_from(review)
        .join(action, action.id == review.action_id)
        .where(review.photo_id == Photo.id, review.verdict == literal_column("'skip'"))
        .where(action.user_id == user.id, action.at > utc_now() - SKIPPED_FOR, undone.is_(None))
    )
    return [query.limit(1).correlate(Photo).scalar_subquery().is_(None) for query in (leased, skipped)]
