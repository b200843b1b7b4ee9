"""Rows of verdicts, each with what the model had said of the photo."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import BigInteger, Executable, Integer, String, bindparam, case, func, insert, select
from sqlalchemy.orm import Session

from db.merged_labels import standing
from db.schema import Photo, Prediction, Review
from db.session import is_sqlite
from db.shown import is_models_word
from db.statements import as_json, json_rows, table_of

LONGEST_MS = 2**31 - 1


def add_reviews(
    session: Session, action_id: int, rows: Sequence[tuple[int, str, int | None, str | None, int | None]]
) -> None:
    """Adds a review for each photo; lock them before.

    Args:
        session: of a write transaction.
        action_id: of what they are part.
        rows: (photo id, verdict, label id, reason, took_ms). The verdict "label" becomes "accept" if the label is the
            model's first, else "correct".
    """
    known = ((*row[:4], None if row[4] is None else min(max(row[4], 0), LONGEST_MS)) for row in rows)
    session.execute(_add(sqlite=is_sqlite(session)), as_json(known) | {"action_id": action_id})


@cache
def _add(*, sqlite: bool) -> Executable:
    new = json_rows(
        sqlite=sqlite,
        photo_id=BigInteger(),
        verdict=String(),
        label_id=BigInteger(),
        reason=String(),
        took_ms=Integer(),
    )
    photo = table_of(Photo).c
    first, any_rank = table_of(Prediction).alias("first").c, table_of(Prediction).alias("any_rank").c
    chosen = select(func.min(any_rank.rank)).where(
        any_rank.photo_id == new.c.photo_id,
        any_rank.model_version_id == photo.shown_model_version_id,
        standing(any_rank.label_id) == new.c.label_id,
    )
    kind = case((standing(first.label_id) == new.c.label_id, "accept"), else_="correct")
    columns = {
        "action_id": bindparam("action_id", type_=BigInteger()),
        "photo_id": new.c.photo_id,
        "verdict": case((new.c.verdict == "label", kind), else_=new.c.verdict),
        "label_id": new.c.label_id,
        "reason": new.c.reason,
        "model_version_id": first.model_version_id,
        "model_label_id": first.label_id,
        "model_score": first.score,
        "chosen_rank": chosen.scalar_subquery(),
        "took_ms": new.c.took_ms,
    }
    source = (
        select(*columns.values())
        .select_from(new)
        .join(table_of(Photo), photo.id == new.c.photo_id)
        .outerjoin(first.photo_id.table, is_models_word(first, photo, rank=1))
        .order_by(new.c.photo_id)
    )
    return insert(table_of(Review)).from_select(list(columns), source)
