"""What pages show of a photo: the word of the person that counts, else the model's. Written here after every verdict."""

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Executable,
    ScalarSelect,
    SQLColumnExpression,
    and_,
    case,
    exists,
    false,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from db.merged_labels import standing
from db.schema import ModelVersion, Photo, Prediction, Review, ReviewAction, ReviewHint
from db.session import is_sqlite
from db.statements import IN_DATABASE_ONLY, as_json, json_rows, table_of

# Verdicts that give a label, and those that pages show instead of the model's word.
LABELLED = ("accept", "correct")
DECIDED = (*LABELLED, "none")
# Verdicts that say something of the photo. The others are told in its history.
COUNTING = (*DECIDED, "unsure")

PHOTO = table_of(Photo).c
HINT = table_of(ReviewHint).c


def counting_review(photo_id: SQLColumnExpression[Any]) -> ScalarSelect[Any]:
    """The id of the review of this photo that counts: its last verdict that says something and was not undone."""
    review, undoing = table_of(Review).alias("counting").c, table_of(ReviewAction).alias("undoing").c
    undone = exists().where(undoing.undoes_id == review.action_id)
    says_something = review.verdict.in_([literal_column(f"'{verdict}'") for verdict in COUNTING])
    query = select(review.id).where(review.photo_id == photo_id, says_something, ~undone)
    return query.order_by(review.id.desc()).limit(1).scalar_subquery()


def is_models_word(prediction: Any, photo: Any, *, rank: int) -> ColumnElement[bool]:
    """The condition of the prediction of this rank by the version whose word the photo shows, had nobody spoken.

    Args:
        prediction: the columns of predictions, or an alias of `Prediction`.
        photo: those of photos, or an alias of `Photo`.
        rank: from 1.
    """
    return and_(
        prediction.photo_id == photo.id,
        prediction.model_version_id == photo.shown_model_version_id,
        prediction.rank == rank,
    )


def lock_photos(session: Session, photo_ids: Collection[int]) -> list[int]:
    """Those of the photos that exist, by id. What they show is changed by nobody else until this transaction ends."""
    new = json_rows(sqlite=is_sqlite(session), photo_id=BigInteger())
    query = select(PHOTO.id).where(PHOTO.id.in_(select(new.c.photo_id))).order_by(PHOTO.id)
    return list(session.scalars(query.with_for_update(key_share=True, of=table_of(Photo)), _rows(photo_ids)))


def show_what_counts(session: Session, photo_ids: Collection[int]) -> None:
    """Writes what photos show from what was said of them; any number. Lock them before (`lock_photos`)."""
    sqlite = is_sqlite(session)
    session.execute(_show(sqlite=sqlite), _rows(photo_ids), execution_options=IN_DATABASE_ONLY)
    session.execute(_settle(sqlite=sqlite), _rows(photo_ids), execution_options=IN_DATABASE_ONLY)


def _rows(photo_ids: Collection[int]) -> dict[str, str]:
    return as_json([photo_id] for photo_id in sorted(set(photo_ids)))


@cache
def _show(*, sqlite: bool) -> Executable:
    """Scores are copied within the database: on their way through text SQLite would change their last bit."""
    word = _words(json_rows(sqlite=sqlite, photo_id=BigInteger())).c
    by_person = func.coalesce(word.verdict.in_(DECIDED), false())
    shown: dict[str, ColumnElement[Any]] = {
        "shown_label_id": case((by_person, word.person_label_id), else_=word.model_label_id),
        "shown_score": case((by_person, null()), else_=word.score),
        "shown_origin": case((by_person, "person"), (word.model_label_id.is_not(None), "model"), else_=null()),
        "not_sure": case((by_person, false()), else_=func.coalesce(word.score < word.threshold, false())),
        "margin": case((by_person, null()), else_=word.score - func.coalesce(word.second_score, 0.0)),
        "review_state": case(
            (word.verdict.in_(LABELLED), "labelled"),
            (word.verdict.in_(("none", "unsure")), word.verdict),
            else_=null(),
        ),
        "reviewed_at": word.at,
    }
    return update(table_of(Photo)).where(PHOTO.id == word.photo_id).values(shown)


def _words(new: CTE) -> CTE:
    """Of each photo the person's verdict that counts, and what the version that it shows says of it."""
    photo, review = table_of(Photo).alias("photo"), table_of(Review).alias("review")
    action, version = table_of(ReviewAction).alias("action"), table_of(ModelVersion).alias("version")
    first, second = (table_of(Prediction).alias(name) for name in ("first", "second"))
    return (
        select(
            photo.c.id.label("photo_id"),
            review.c.verdict,
            action.c.at,
            standing(review.c.label_id).label("person_label_id"),
            standing(first.c.label_id).label("model_label_id"),
            first.c.score,
            second.c.score.label("second_score"),
            func.coalesce(version.c.card["threshold"].as_float(), 0.0).label("threshold"),
        )
        .select_from(new)
        .join(photo, photo.c.id == new.c.photo_id)
        .outerjoin(review, review.c.id == counting_review(photo.c.id))
        .outerjoin(action, action.c.id == review.c.action_id)
        .outerjoin(version, version.c.id == photo.c.shown_model_version_id)
        .outerjoin(first, is_models_word(first.c, photo.c, rank=1))
        .outerjoin(second, is_models_word(second.c, photo.c, rank=2))
        .cte("word")
    )


@cache
def _settle(*, sqlite: bool) -> Executable:
    """Hints count again when the verdict that settled them is undone."""
    new = json_rows(sqlite=sqlite, photo_id=BigInteger())
    reviewed_at = select(PHOTO.reviewed_at).where(PHOTO.id == HINT.photo_id).scalar_subquery()
    settled = func.coalesce(HINT.at <= reviewed_at, false())
    # whoever changes hints of a photo holds the photo
    return update(table_of(ReviewHint)).where(HINT.photo_id.in_(select(new.c.photo_id))).values(settled=settled)
