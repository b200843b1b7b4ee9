"""How many photos wait for a verdict: in each queue, under each label. Counted no further than anybody reads."""

from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.library_filter import LibraryFilter
from db.review_candidates import AUDIT, IS_UNREVIEWED, REASONS, Reason, candidates
from db.review_scope import scope_of
from db.reviews import require_reviewer
from db.schema import Label, Photo, User

MOST_LABELS = 200


class GridLabel(NamedTuple):
    """A label, and how many undecided photos models show under it."""

    label_id: int
    name: str
    photos: int


def queue_counts(session: Session, user: User, chosen: LibraryFilter, limit: int = 10_000) -> dict[Reason, int]:
    """The photos of each queue, whoever has them on the screen; `limit` means that many or more.

    Raises:
        NotAllowedError: the person is no reviewer.
        NotFoundError: the batch of the filter does not exist.
    """
    require_reviewer(user)
    scope = scope_of(session, user, chosen, free=False)

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
    scope = scope_of(session, user, chosen, free=False)
    shown: Any = select(Photo.shown_label_id, func.count().label("photos")).where(IS_UNREVIEWED, Photo.draw >= AUDIT)
    shown = scope.within(shown, "ix_photos_to_review_label").where(Photo.shown_label_id.is_not(None))
    found = shown.group_by(Photo.shown_label_id).order_by(func.count().desc()).limit(MOST_LABELS).subquery()
    query = select(Label.id, Label.name, found.c.photos).join(found, found.c.shown_label_id == Label.id)
    return [GridLabel(*row) for row in session.execute(query.order_by(found.c.photos.desc(), Label.name_key))]
