"""All that people said, row by row: verdicts and what was taken back, with what the model had said."""

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import false, func, select
from sqlalchemy.orm import Session, aliased

from db.schema import Label, ModelVersion, Photo, PhotoSubset, Review, ReviewAction, User
from db.shown import counting_review

# Rows in memory at a time.
GROUP = 1000


class ReviewRow(NamedTuple):
    """A person's verdict on one photo, or its undo.

    Attributes:
        counts: it is what pages show now.
        photo: the file name.
        label: as it was said; the label may have been merged since.
        model_label: the model's first label then, with `model_score` in [0, 1].
        undoes_id: the action that was taken back.
        subset: training, holdout or neither, once that is decided of the photo; it never changes.
    """

    review_id: int
    action_id: int
    at: dt.datetime
    by: str
    source: str
    token: str
    photo_id: int
    sha256: str
    photo: str
    verdict: str
    label: str | None
    reason: str | None
    counts: bool
    model_version: str | None
    model_label: str | None
    model_score: float | None
    chosen_rank: int | None
    took_ms: int | None
    undoes_id: int | None
    subset: str | None


def iter_reviews(session: Session) -> Iterator[ReviewRow]:
    """Every review, the oldest first, a thousand in memory at a time."""
    said, first = aliased(Label), aliased(Label)
    query = (
        select(
            Review.id.label("review_id"),
            Review.action_id,
            ReviewAction.at,
            User.name.label("by"),
            ReviewAction.source,
            ReviewAction.token,
            Review.photo_id,
            Photo.sha256,
            Photo.name.label("photo"),
            Review.verdict,
            said.name.label("label"),
            Review.reason,
            func.coalesce(counting_review(Review.photo_id) == Review.id, false()).label("counts"),
            ModelVersion.name.label("model_version"),
            first.name.label("model_label"),
            Review.model_score,
            Review.chosen_rank,
            Review.took_ms,
            ReviewAction.undoes_id,
            PhotoSubset.subset,
        )
        .join(ReviewAction, ReviewAction.id == Review.action_id)
        .join(User, User.id == ReviewAction.user_id)
        .join(Photo, Photo.id == Review.photo_id)
        .outerjoin(PhotoSubset, PhotoSubset.photo_id == Review.photo_id)
        .outerjoin(said, said.id == Review.label_id)
        .outerjoin(first, first.id == Review.model_label_id)
        .outerjoin(ModelVersion, ModelVersion.id == Review.model_version_id)
        .order_by(Review.id)
        .limit(GROUP)
    )
    after = 0
    while page := session.execute(query.where(Review.id > after)).all():
        for row in page:
            yield ReviewRow(*row)
        after = page[-1].review_id
