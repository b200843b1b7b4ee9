"""Reasons to look at photos that their rows do not tell: versions that disagree, duplicates with different labels."""

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Executable, and_, bindparam, case, exists, func, literal, select, true
from sqlalchemy.orm import Session, aliased

from db.merged_labels import standing
from db.schema import Photo, PhotoHash, Prediction, Review, ReviewHint
from db.session import is_sqlite, utc_now
from db.statements import as_json, insert_missing, insert_on, json_rows, table_of

HINT = table_of(ReviewHint).c


def raise_disagreements(session: Session, tagged: Collection[tuple[int, int]]) -> None:
    """Hints at photos of which another version says another label first.

    Args:
        session: of a write transaction that has locked the photos.
        tagged: photo id and model version id of what was just written.
    """
    session.execute(_disagreements(sqlite=is_sqlite(session)), as_json(tagged) | {"now": utc_now()})


def raise_contradictions(session: Session, action_id: int) -> None:
    """Hints at photos that look like one which this action gave a label, and show another label.

    Each is raised once only: two reviewers who do not agree would hand the photos to each other for ever.
    """
    found: dict[int, float] = {row.photo_id: row.urgency for row in session.execute(_other_labels(action_id))}
    # photos that are being deleted are passed over; whoever deletes waits for the others
    there = select(Photo.id).where(Photo.id.in_(found)).order_by(Photo.id)
    ids = session.scalars(there.with_for_update(read=True, key_share=True, skip_locked=True)) if found else ()
    now = utc_now()
    rows = [{"photo_id": n, "reason": "contradiction", "urgency": found[n], "at": now, "settled": False} for n in ids]
    insert_missing(session, ReviewHint, rows)


@cache
def _disagreements(*, sqlite: bool) -> Executable:
    """Those of photos that a person has decided count once that is undone."""
    new = json_rows(sqlite=sqlite, photo_id=BigInteger(), model_version_id=BigInteger())
    photo = table_of(Photo).c
    mine, other = (table_of(Prediction).alias(name) for name in ("mine", "other"))
    first = and_(mine.c.photo_id == new.c.photo_id, mine.c.model_version_id == new.c.model_version_id, mine.c.rank == 1)
    another = and_(
        other.c.photo_id == new.c.photo_id, other.c.model_version_id != new.c.model_version_id, other.c.rank == 1
    )
    lesser = case((mine.c.score < other.c.score, mine.c.score), else_=other.c.score)
    at = func.coalesce(photo.reviewed_at, bindparam("now", type_=HINT.at.type))
    found = (
        select(new.c.photo_id, literal("disagree"), func.max(lesser), at, photo.reviewed_at.is_not(None))
        .join(mine, first)
        .join(other, another)
        .join(table_of(Photo), photo.id == new.c.photo_id)
        .where(standing(mine.c.label_id) != standing(other.c.label_id), true())
        .group_by(new.c.photo_id, photo.reviewed_at)
        .order_by(new.c.photo_id)
    )
    columns = ["photo_id", "reason", "urgency", "at", "settled"]
    insert = insert_on(ReviewHint, sqlite=sqlite).from_select(columns, found)
    return insert.on_conflict_do_update(
        index_elements=["photo_id", "reason"],
        set_={"urgency": insert.excluded.urgency},
        where=~insert.excluded.settled,
    )


def _other_labels(action_id: int) -> Any:
    mine, other = aliased(PhotoHash), aliased(PhotoHash)
    said = (
        select(mine.group_id, Review.label_id)
        .join(Review, Review.photo_id == mine.photo_id)
        .where(Review.action_id == action_id, Review.label_id.is_not(None))
        .where(mine.group_id.is_not(None), mine.told_apart_at.is_(None))
        .distinct()
        .subquery()
    )
    by_person = Photo.shown_origin == "person"
    urgency = case((by_person, 1.0), else_=func.coalesce(Photo.shown_score, 0.0))
    return (
        select(other.photo_id, urgency.label("urgency"))
        .join(said, said.c.group_id == other.group_id)
        .join(Photo, Photo.id == other.photo_id)
        .where(other.told_apart_at.is_(None), Photo.shown_label_id != said.c.label_id)
        # one that is there is not even tried: its photo may be held by somebody who waits for the photos of this action
        .where(~exists().where(HINT.photo_id == other.photo_id, HINT.reason == "contradiction"))
    )
