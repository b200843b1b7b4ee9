"""How many photos wait for a verdict: in each queue, under each label. Counted no further than anybody reads."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from db.library_filter import LibraryFilter
from db.review_candidates import AUDIT, IS_UNREVIEWED, REASONS, Reason, candidates, few_labels, open_hints
from db.review_scope import Scope, scope_of
from db.reviews import require_reviewer
from db.schema import Label, Photo, ReviewHint, User

MOST_LABELS = 200
MOST_PHOTOS = 10_000
MOST_FILTERED = 1_000


class GridLabel(NamedTuple):
    """A label, and how many undecided photos models show under it."""

    label_id: int
    name: str
    photos: int


def most_counted(chosen: LibraryFilter) -> int:
    """How far each queue is counted: where photos are looked up one by one for a filter, not as far."""
    return MOST_PHOTOS if chosen == LibraryFilter() else MOST_FILTERED


def queue_counts(session: Session, user: User, chosen: LibraryFilter, limit: int | None = None) -> dict[Reason, int]:
    """The photos of each queue, whoever has them on the screen.

    Args:
        session: for queries.
        user: a reviewer or an admin.
        chosen: the library's filter.
        limit: that many or more; by default `most_counted`.

    Raises:
        NotAllowedError: the person is no reviewer.
        NotFoundError: the batch of the filter does not exist.
    """
    limit = most_counted(chosen) if limit is None else limit
    require_reviewer(user)
    scope = scope_of(session, user, chosen, free=False)
    if scope.gathers:
        return {reason: min(photos, limit) for reason, photos in _of_few(session, scope).items()}

    def count(reason: Reason) -> int:
        some = candidates(session, scope, reason, limit).order_by(None).subquery()
        return session.scalars(select(func.count()).select_from(some)).one()

    return {reason: count(reason) for reason in REASONS}


def grid_labels(session: Session, user: User, chosen: LibraryFilter) -> list[GridLabel]:
    """The labels under which models show undecided photos, those with most photos first; at most 200.

    Raises:
        NotAllowedError: the person is no reviewer.
        NotFoundError: the batch of the filter does not exist.
    """
    require_reviewer(user)
    scope = scope_of(session, user, chosen, free=False, whole=True)
    shown: Any = select(Photo.shown_label_id, func.count().label("photos")).where(IS_UNREVIEWED, Photo.draw >= AUDIT)
    shown = scope.within(shown, "ix_photos_to_review_label").where(Photo.shown_label_id.is_not(None))
    found = shown.group_by(Photo.shown_label_id).order_by(func.count().desc()).limit(MOST_LABELS).subquery()
    query = select(Label.id, Label.name, found.c.photos).join(found, found.c.shown_label_id == Label.id)
    return [GridLabel(*row) for row in session.execute(query.order_by(found.c.photos.desc(), Label.name_key))]


def _of_few(session: Session, scope: Scope) -> dict[Reason, int]:
    """All of a filter's photos in two queries: to gather them is most of the work."""
    waits = and_(IS_UNREVIEWED, Photo.draw >= AUDIT)
    conditions: dict[Reason, ColumnElement[bool]] = {
        "not_sure": and_(waits, Photo.not_sure),
        "few": and_(waits, Photo.shown_label_id.in_(select(few_labels().c.id))),
        "audit": and_(IS_UNREVIEWED, Photo.draw < AUDIT),
        "never": waits,
        "second_opinion": Photo.review_state == "unsure",
    }
    counts = [func.count().filter(condition).label(reason) for reason, condition in conditions.items()]
    gathered: Any = select(*counts).select_from(Photo)
    found: dict[str, int] = dict(session.execute(scope.within(gathered, "")).mappings().one())
    hinted = select(ReviewHint.reason, func.count()).join(Photo, Photo.id == ReviewHint.photo_id)
    hints = session.execute(hinted.where(*open_hints(), *scope.conditions).group_by(ReviewHint.reason)).all()
    found |= {reason: photos for reason, photos in hints}  # noqa: C416 - rows are no pairs to pyright
    return {reason: found.get(reason, 0) for reason in REASONS}
