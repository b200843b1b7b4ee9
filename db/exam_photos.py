"""Held-out photos of a training run with what both versions say of them: counted for the matrix, listed for its cells."""

from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from db.schema import HoldoutAnswer, Label, Photo

Of = Literal["candidate", "base"]
Change = Literal["better", "worse"]


class ExamCount(NamedTuple):
    """How many photos people gave one label, the candidate another, and the base (None: there was none) a third."""

    label_id: int
    candidate_label_id: int
    base_label_id: int | None
    photos: int


class ExamPhoto(NamedTuple):
    """A held-out photo. Labels by name, scores in [0, 1]; `base` is None where there was no version to compare with."""

    photo_id: int
    name: str
    has_previews: bool
    label: str
    candidate: str
    candidate_score: float
    base: str | None
    base_score: float | None


def exam_counts(session: Session, run_id: int) -> list[ExamCount]:
    """The exam's photos as far as they are still there, by what was said of them."""
    columns = HoldoutAnswer.label_id, HoldoutAnswer.candidate_label_id, HoldoutAnswer.base_label_id
    query = select(*columns, func.count()).where(HoldoutAnswer.run_id == run_id).group_by(*columns).order_by(*columns)
    return [ExamCount(*row) for row in session.execute(query)]


def exam_photos(
    session: Session,
    run_id: int,
    *,
    label_id: int | None = None,
    said_id: int | None = None,
    of: Of = "candidate",
    change: Change | None = None,
    after: int = 0,
    limit: int = 60,
) -> list[ExamPhoto]:
    """Photos of the exam, by id.

    Args:
        session: for queries.
        run_id: the run.
        label_id: only those that people gave this label.
        said_id: only those of which the version `of` says this label.
        of: which version that is.
        change: better: only the candidate is right; worse: only the base is.
        after: only those with a greater id, for the next page.
        limit: at most so many.
    """
    told, candidate, base = aliased(Label), aliased(Label), aliased(Label)
    query = (
        select(Photo.id, Photo.name, Photo.has_previews, told.name, candidate.name, HoldoutAnswer.candidate_score)
        .add_columns(base.name, HoldoutAnswer.base_score)
        .select_from(HoldoutAnswer)
        .join(Photo, Photo.id == HoldoutAnswer.photo_id)
        .join(told, told.id == HoldoutAnswer.label_id)
        .join(candidate, candidate.id == HoldoutAnswer.candidate_label_id)
        .outerjoin(base, base.id == HoldoutAnswer.base_label_id)
        .where(HoldoutAnswer.run_id == run_id, HoldoutAnswer.photo_id > after)
        .order_by(HoldoutAnswer.photo_id)
        .limit(limit)
    )
    said = HoldoutAnswer.candidate_label_id if of == "candidate" else HoldoutAnswer.base_label_id
    for column, value in ((HoldoutAnswer.label_id, label_id), (said, said_id)):
        if value is not None:
            query = query.where(column == value)
    if change is not None:
        query = query.where(*_changed(change))
    return [ExamPhoto(*row) for row in session.execute(query)]


def _changed(change: Change) -> tuple[ColumnElement[bool], ...]:
    candidate = HoldoutAnswer.candidate_label_id == HoldoutAnswer.label_id
    base = HoldoutAnswer.base_label_id == HoldoutAnswer.label_id
    return (candidate, ~base) if change == "better" else (~candidate, base)
