"""Labels that were merged stand for another: the one place that says so, in SQL and for what people read."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, select
from sqlalchemy.orm import aliased

from db.schema import Label, Prediction
from db.statements import table_of


class Scored(NamedTuple):
    """A label that a model gives, under the name that people know it by.

    Attributes:
        score: in [0, 1].
    """

    label_id: int
    name: str
    score: float


def standing(label_id: SQLColumnExpression[Any]) -> ColumnElement[Any]:
    """The id of the label that this one stands for: itself, unless it was merged."""
    merged = table_of(Label).alias("merged").c
    target = select(merged.merged_into_id).where(merged.id == label_id).scalar_subquery()
    return func.coalesce(target, label_id)


def standing_for(label: Any) -> ColumnElement[Any]:
    """As `standing`, of a row of labels that the query has: `Label`, or an alias of it."""
    return func.coalesce(label.merged_into_id, label.id)


def said_labels() -> Select[*tuple[Any, ...]]:
    """Predictions with the labels that theirs stand for: photo, version, rank, said_label_id, label_id, name, score."""
    said, label = aliased(Label), aliased(Label)
    return (
        select(
            Prediction.photo_id,
            Prediction.model_version_id,
            Prediction.rank,
            Prediction.label_id.label("said_label_id"),
            label.id.label("label_id"),
            label.name,
            Prediction.score,
        )
        .join(said, said.id == Prediction.label_id)
        .join(label, label.id == standing_for(said))
    )


def best_of_each(scored: Iterable[Scored]) -> list[Scored]:
    """Without the lesser of two that are one label now. Best first, as they come."""
    kept: dict[int, Scored] = {}
    for one in scored:
        kept.setdefault(one.label_id, one)
    return list(kept.values())
