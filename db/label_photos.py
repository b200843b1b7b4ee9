"""What photos show when labels are merged, or a merge is undone: set by one statement, for any number of photos."""

from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import and_, case, func, select, text, update
from sqlalchemy.orm import Session, aliased

from db.merged_labels import standing
from db.schema import Photo, Prediction, Review
from db.session import is_sqlite
from db.shown import counting_review, is_models_word
from db.statements import count_changed, table_of

PHOTO = table_of(Photo).c
# A merge changes entries all over the indexes of photos: in SQLite's own 2 MB hardly a page would be found again.
CACHE_KIB = 262_144
USUAL_CACHE_KIB = 2_000
# PostgreSQL gives a statement 30 s; a library of millions takes longer.
LONGEST_S = 600


def show_target(session: Session, label_ids: Collection[int], target_id: int) -> int:
    """Photos that show one of the labels show the target; returns how many."""
    change = update(table_of(Photo)).where(PHOTO.shown_label_id.in_(sorted(label_ids)))
    with _room(session):
        return count_changed(session, change.values(shown_label_id=target_id))


def show_again(session: Session, target_id: int) -> int:
    """Photos that show the target show what was said of them, by whoever's word they show; returns how many changed.

    Called once the labels stand for themselves again.
    """
    photo, first, review = aliased(Photo), aliased(Prediction), aliased(Review)
    said = case((photo.shown_origin == "person", review.label_id), else_=first.label_id)
    words: Any = (
        select(photo.id, standing(said).label("label_id"))
        .outerjoin(first, is_models_word(first, photo, rank=1))
        .outerjoin(review, and_(photo.shown_origin == "person", review.id == counting_review(photo.id)))
        .where(photo.shown_label_id == target_id)
        .cte("words")
    )
    change = (
        update(table_of(Photo))
        .where(PHOTO.id == words.c.id, func.coalesce(words.c.label_id, target_id) != target_id)
        .values(shown_label_id=words.c.label_id)
        .returning(PHOTO.id)
    )
    with _room(session):
        return len(session.execute(change).all())


@contextmanager
def _room(session: Session) -> Generator[None]:
    """Memory and time for a large change."""
    if not is_sqlite(session):
        session.execute(text(f"SET LOCAL statement_timeout = '{LONGEST_S}s'"))
        yield
        return
    session.execute(text(f"PRAGMA cache_size = -{CACHE_KIB}"))
    yield
    session.execute(text(f"PRAGMA cache_size = -{USUAL_CACHE_KIB}"))
