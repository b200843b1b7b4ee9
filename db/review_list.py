"""Verdicts row by row, newest first: of one photo, or of all."""

import datetime as dt
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.merged_labels import standing_for
from db.schema import Label, ModelVersion, Review, ReviewAction, User
from db.shown import counting_review


class VerdictView(NamedTuple):
    """A verdict of a person on one photo, or the undo of one. Columns as in `db.schema.Review`.

    Attributes:
        label_id: the label that the one that was given stands for now; `label` is its name.
        by: who.
        model_version: what pages showed of the model then; `model_label` its first label by the name it has now.
        undoes_action_id: of an undo, what it took back.
        counts: the photo shows what this verdict says.
    """

    review_id: int
    action_id: int
    photo_id: int
    verdict: str
    label_id: int | None
    label: str | None
    by: str
    at: dt.datetime
    source: str
    reason: str | None
    model_version: str | None
    model_label: str | None
    model_score: float | None
    undoes_action_id: int | None
    counts: bool


def list_verdicts(
    session: Session, *, photo_id: int | None = None, before: int | None = None, limit: int
) -> list[VerdictView]:
    """Verdicts and undos, newest first.

    Args:
        session: for queries.
        photo_id: of this photo only.
        before: only rows older than the review with this id, for the next page.
        limit: at most so many.
    """
    said, label, first, model = aliased(Label), aliased(Label), aliased(Label), aliased(Label)
    query = (
        select(
            Review.id,
            Review.action_id,
            Review.photo_id,
            Review.verdict,
            label.id.label("label_id"),
            label.name.label("label"),
            User.name.label("by"),
            ReviewAction.at,
            ReviewAction.source,
            Review.reason,
            ModelVersion.name.label("model_version"),
            model.name.label("model_label"),
            Review.model_score,
            ReviewAction.undoes_id,
            (Review.id == func.coalesce(counting_review(Review.photo_id), 0)).label("counts"),
        )
        .join(ReviewAction, ReviewAction.id == Review.action_id)
        .join(User, User.id == ReviewAction.user_id)
        .outerjoin(said, said.id == Review.label_id)
        .outerjoin(label, label.id == standing_for(said))
        .outerjoin(first, first.id == Review.model_label_id)
        .outerjoin(model, model.id == standing_for(first))
        .outerjoin(ModelVersion, ModelVersion.id == Review.model_version_id)
        .order_by(Review.id.desc())
        .limit(limit)
    )
    if photo_id is not None:
        query = query.where(Review.photo_id == photo_id)
    if before is not None:
        query = query.where(Review.id < before)
    return [VerdictView(*row) for row in session.execute(query)]
