"""Whether training makes sense yet: reviewed photos by label, and what is missing, in words."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from db.merged_labels import standing_for
from db.schema import Label, Photo, PhotoSubset

# A model of one label has nothing to tell apart.
FEWEST_LABELS = 2
# One photo in five is held out: of fewer, a label is most often not in the exam at all; and calibration has five folds.
FEWEST_PHOTOS = 5
# Names in a sentence; there may be hundreds.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class LabelReadiness:
    """A label that people gave to photos.

    Attributes:
        reviewed: photos that people gave it.
        training: of those, photos that a model may be trained on.
        holdout: photos of the exam.
        neither: photos that look like photos of both: no model is trained or examined on them.
        undecided: photos that the next run puts into one of the three.
    """

    label_id: int
    name: str
    reviewed: int
    training: int
    holdout: int
    neither: int
    undecided: int

    @property
    def is_enough(self) -> bool:
        """Whether the label has enough photos to be learnt and examined."""
        return self.reviewed - self.neither >= FEWEST_PHOTOS


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a run would be made of now.

    Attributes:
        labels: those with reviewed photos, by name.
        missing: what is missing before training makes sense, in words; empty when nothing is.
    """

    labels: list[LabelReadiness]
    missing: list[str]

    @property
    def is_ready(self) -> bool:
        """Whether training makes sense."""
        return not self.missing


def readiness(session: Session) -> Readiness:
    """Labels with their reviewed photos, and what is missing. Retired labels are not trained, and left out."""
    label = Label.__table__.alias("said").c
    target = Label.__table__.alias("target").c
    counts = (
        func.count(),
        *(_count_of(PhotoSubset.subset == subset) for subset in ("training", "holdout", "neither")),
        _count_of(PhotoSubset.subset.is_(None)),
    )
    query = (
        select(target.id, target.name, *counts)
        .select_from(Photo)
        .join(label.id.table, label.id == Photo.shown_label_id)
        .join(target.id.table, target.id == standing_for(label))
        .outerjoin(PhotoSubset, PhotoSubset.photo_id == Photo.id)
        .where(Photo.reviewed_at.is_not(None), Photo.review_state == "labelled", target.retired_at.is_(None))
        .group_by(target.id, target.name, target.name_key)
        .order_by(target.name_key)
    )
    labels = [LabelReadiness(*row) for row in session.execute(query)]
    return Readiness(labels, _missing(labels))


def _count_of(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.count().filter(condition)


def _missing(labels: list[LabelReadiness]) -> list[str]:
    enough = [label for label in labels if label.is_enough]
    if len(enough) >= FEWEST_LABELS:
        return []
    first = (
        f"At least {FEWEST_LABELS} labels with {FEWEST_PHOTOS} reviewed photos each are needed;"
        f" {_count(len(enough))} so many. Review photos, or import class folders with `phototag labels import`."
    )
    nearly = sorted((label for label in labels if not label.is_enough), key=lambda label: -label.reviewed)
    of_use = [(label.name, label.reviewed - label.neither) for label in nearly[:MOST_NAMED]]
    return [first, *(f"“{name}” has {photos} and lacks {FEWEST_PHOTOS - photos}." for name, photos in of_use)]


def _count(labels: int) -> str:
    return {0: "no label has", 1: "one label has"}[labels]
