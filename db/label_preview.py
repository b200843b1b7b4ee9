"""What a change of the vocabulary would touch, before it is made: photos, labels below, model versions, some pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from db.label_lists import count_label_photos
from db.label_plans import Change
from db.library_filter import label_ids
from db.schema import Label, ModelVersion, ModelVersionLabel, Photo

SAMPLES = 12
# Names of labels below, and of versions, that are told.
MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would touch.

    Attributes:
        reviewed: photos that a person named so; of a merge, those of the labels that go.
        predicted: photos of which a model says so.
        children: how many labels stand directly below.
        child_names: of some of them.
        versions: names of some of the model versions that know the labels.
        samples: ids of some of the photos.
    """

    change: Change
    reviewed: int
    predicted: int
    children: int
    child_names: list[str]
    versions: list[str]
    samples: list[int]


def preview(session: Session, change: Change) -> Preview:
    """What a change of labels that exist would touch: see `db.label_plans`."""
    ids = _touched(change)
    with_photos = ids if change.kind != "parent" or change.label_id is None else label_ids(session, change.label_id)
    counts = count_label_photos(session, with_photos)
    below = Label.parent_id.in_(ids), Label.merged_into_id.is_(None), Label.id.not_in(ids)
    names = select(Label.name).where(*below).order_by(Label.name_key).limit(MOST_NAMED)
    by_size = sorted(counts, key=lambda label_id: -sum(counts[label_id]))
    return Preview(
        change,
        reviewed=sum(each.reviewed for each in counts.values()),
        predicted=sum(each.predicted for each in counts.values()),
        children=session.scalars(select(func.count()).select_from(Label).where(*below)).one(),
        child_names=list(session.scalars(names)),
        versions=_versions(session, ids),
        samples=_samples(session, by_size[:SAMPLES]),
    )


def _touched(change: Change) -> list[int]:
    """The labels that are changed; of a merge those that go."""
    if change.kind != "merge":
        return [] if change.label_id is None else [change.label_id]
    return sorted(label_id for label_id in change.names if label_id != change.label_id)


def _versions(session: Session, ids: Sequence[int]) -> list[str]:
    """Also by names that were merged into these."""
    theirs = select(Label.id).where(or_(Label.id.in_(ids), Label.merged_into_id.in_(ids)))
    knows = select(ModelVersionLabel.model_version_id).where(ModelVersionLabel.label_id.in_(theirs))
    query = select(ModelVersion.name).where(ModelVersion.id.in_(knows)).order_by(ModelVersion.id.desc())
    return list(session.scalars(query.limit(MOST_NAMED)))


def _samples(session: Session, ids: Sequence[int]) -> list[int]:
    """The newest of each label."""
    found: list[int] = []
    for label_id in ids:
        query = (
            select(Photo.id)
            .where(Photo.shown_label_id == label_id, Photo.has_previews)
            .order_by(Photo.dated_at.desc(), Photo.id.desc())
            .limit(max(1, SAMPLES // len(ids)))
        )
        found += session.scalars(query)
    return found
