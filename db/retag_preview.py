"""What a re-tag would change: photos whose shown label flips, by pair of labels."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, select
from sqlalchemy.orm import Session

from db.model_versions import active_version
from db.schema import Label, ModelVersion, Photo, Prediction

SAMPLES = 6


@dataclass(frozen=True, slots=True)
class Flip:
    """Photos that show one label and would show another.

    Attributes:
        from_label_id: what a model says of them now.
        to_label_id: what the active version says.
        photos: how many.
        samples: ids of up to six of them.
    """

    from_label_id: int
    from_name: str
    to_label_id: int
    to_name: str
    photos: int
    samples: list[int]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change if all that the active version says were shown.

    Attributes:
        version_id: the active version; None: there is none.
        version: its name.
        flips: the greatest first.
        same: photos that would show the same label, with another score.
    """

    version_id: int | None
    version: str | None
    flips: list[Flip]
    same: int


def preview(session: Session) -> Preview:
    """Of photos that show a model's word, another's than the active version's, which has tagged them.

    Labels that were merged stand for their target. Photos that show a person's word change nothing that is shown.
    """
    active = active_version(session)
    if active is None:
        return Preview(None, None, [], 0)
    labels = {row.id: row for row in session.execute(select(Label.id, Label.name, Label.merged_into_id))}
    found: dict[tuple[int, int], tuple[int, list[int]]] = {}
    for row in _pairs(session, active.id):
        pair = (_target(labels, row.from_id), _target(labels, row.to_id))
        photos, samples = found.get(pair, (0, []))
        found[pair] = (photos + row.photos, samples + [one for one in row[3:] if one is not None])
    flips = [
        Flip(from_id, labels[from_id].name, to_id, labels[to_id].name, photos, sorted(samples)[:SAMPLES])
        for (from_id, to_id), (photos, samples) in found.items()
        if from_id != to_id
    ]
    same = sum(photos for (from_id, to_id), (photos, _) in found.items() if from_id == to_id)
    flips.sort(key=lambda flip: (-flip.photos, flip.from_name, flip.to_name))
    return Preview(active.id, active.name, flips, same)


def _pairs(session: Session, version_id: int) -> list[Row[*tuple[Any, ...]]]:
    """(label that is shown, label that the version says, photos, some of them), all in one pass over two indexes."""
    others = session.scalars(select(ModelVersion.id).where(ModelVersion.id != version_id)).all()
    said = and_(Prediction.photo_id == Photo.id, Prediction.model_version_id == version_id, Prediction.rank == 1)
    some = [func.min(Photo.id).filter(Photo.id % SAMPLES == n) for n in range(SAMPLES)]
    query = (
        select(
            Photo.shown_label_id.label("from_id"),
            Prediction.label_id.label("to_id"),
            func.count().label("photos"),
            *some,
        )
        .join(Prediction, said)
        .where(Photo.shown_model_version_id.in_(others), Photo.shown_origin == "model")
        .group_by(Photo.shown_label_id, Prediction.label_id)
    )
    return list(session.execute(query))


def _target(labels: dict[int, Any], label_id: int) -> int:
    return labels[label_id].merged_into_id or label_id
