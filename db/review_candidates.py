"""The queues of review as queries: which photos wait for a verdict for each reason, in which order."""

from typing import Any, Literal, get_args

from sqlalchemy import CTE, ColumnElement, Select, String, func, literal_column, or_, select, true, tuple_
from sqlalchemy.orm import Session

from db.review_scope import Scope
from db.schema import Label, Photo, ReviewHint
from db.session import is_sqlite
from db.statements import table_of

Reason = Literal["contradiction", "mislabelled", "not_sure", "disagree", "few", "audit", "never", "second_opinion"]
REASONS: tuple[Reason, ...] = get_args(Reason)
# A random twentieth of all photos: those whose `draw` is less.
AUDIT = 2**28 // 20
# A label of which people have labelled fewer photos has few examples.
FEW_EXAMPLES = 20

# Conditions of partial indexes in their own words: SQLite compares them as they are written.
IS_UNREVIEWED: ColumnElement[Any] = literal_column("photos.reviewed_at IS NULL AND photos.state = 'tagged'")
IS_REVIEWED: ColumnElement[Any] = literal_column("photos.reviewed_at IS NOT NULL")
IS_NOT_SURE: ColumnElement[Any] = literal_column("photos.not_sure")
IS_OPEN: ColumnElement[Any] = literal_column("NOT review_hints.settled")


def candidates(session: Session, scope: Scope, reason: Reason, limit: int) -> Select[Any]:
    """The ids of the first photos of a queue.

    Photos of the audit come through no other queue until they are decided, or those that models find hard would be
    missing among the rest.
    """
    if reason in ("contradiction", "mislabelled", "disagree"):
        return _hinted(scope, reason).limit(limit)
    if reason == "second_opinion":
        unsure = select(Photo.id).where(IS_REVIEWED, Photo.review_state == literal_column("'unsure'"))
        return scope.within(unsure, "ix_photos_reviewed").order_by(Photo.reviewed_at, Photo.id).limit(limit)
    if reason == "few":
        return _few(session, scope, limit)
    if reason == "not_sure":
        query = select(Photo.id).where(IS_UNREVIEWED, IS_NOT_SURE, Photo.draw >= AUDIT)
        return scope.within(query, "ix_photos_to_review_margin").order_by(Photo.margin, Photo.id).limit(limit)
    drawn = Photo.draw < AUDIT if reason == "audit" else Photo.draw >= AUDIT
    query = scope.within(select(Photo.id).where(IS_UNREVIEWED, drawn), "ix_photos_to_review_draw")
    return query.order_by(Photo.draw, Photo.id).limit(limit)


def of_label(scope: Scope, label_id: int, after: tuple[float, int] | None, limit: int) -> Select[Any]:
    """The ids of photos that models show under exactly this label, most certain first."""
    query = select(Photo.id).where(IS_UNREVIEWED, Photo.draw >= AUDIT, Photo.shown_label_id == label_id)
    if after is not None:
        query = query.where(tuple_(Photo.shown_score, Photo.id) < after)
    query = scope.within(query, "ix_photos_to_review_label")
    return query.order_by(Photo.shown_score.desc(), Photo.id.desc()).limit(limit)


def open_hints() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The conditions of hints that count, joined with their photos."""
    return IS_OPEN, or_(Photo.draw >= AUDIT, Photo.reviewed_at.is_not(None))


def _hinted(scope: Scope, reason: Reason) -> Select[Any]:
    query = select(ReviewHint.photo_id).where(ReviewHint.reason == literal_column(f"'{reason}'", String))
    by_urgency = (ReviewHint.urgency.desc(), ReviewHint.photo_id.desc())
    if reason == "disagree" and scope.gathers:
        query = query.join(Photo, Photo.id == ReviewHint.photo_id).where(*open_hints(), *scope.conditions)
        return query.order_by(*by_urgency)
    # photos are looked up one after the other: of the other reasons there are fewer than most filters would gather, and
    # PostgreSQL would collect all photos of a filter for the first hint
    is_open, decided = open_hints()
    meets = select(true()).where(Photo.id == ReviewHint.photo_id, decided, *scope.probes).limit(1)
    return query.where(is_open, meets.correlate(ReviewHint).scalar_subquery()).order_by(*by_urgency)


def _few(session: Session, scope: Scope, limit: int) -> Select[Any]:
    """The most certain photos of each label that has few examples, and of those the most certain ones."""
    query: Any = select(Photo.id, Photo.shown_score).where(IS_UNREVIEWED, Photo.draw >= AUDIT)
    by_score = (Photo.shown_score.desc(), Photo.id.desc())
    labels = few_labels()
    if scope.gathers:
        query = scope.within(query, "").where(Photo.shown_label_id.in_(select(labels.c.id)))
        return query.with_only_columns(Photo.id).order_by(*by_score).limit(limit)
    query = scope.within(query, "ix_photos_to_review_label").where(Photo.shown_label_id == labels.c.id)
    first = query.order_by(*by_score).limit(limit)
    if is_sqlite(session):
        ids = first.with_only_columns(Photo.id).correlate(labels)
        other = table_of(Photo).alias("first").c
        found = select(other.id).select_from(labels).join(other.id.table, other.id.in_(ids))
        return found.order_by(other.shown_score.desc(), other.id.desc()).limit(limit)
    each = first.correlate(labels).lateral("each")
    return (
        select(each.c.id)
        .select_from(labels)
        .join(each, true())
        .order_by(each.c.shown_score.desc(), each.c.id.desc())
        .limit(limit)
    )


def few_labels() -> CTE:
    """Ids of labels of which people have labelled few photos."""
    other = table_of(Photo).alias("labelled").c
    some = (
        select(true())
        .where(
            literal_column("labelled.reviewed_at IS NOT NULL"),
            other.review_state == literal_column("'labelled'"),
            other.shown_label_id == Label.id,
        )
        .limit(FEW_EXAMPLES)
        .correlate(Label)
        .subquery()
    )
    count = select(func.count()).select_from(some).correlate(Label).scalar_subquery()
    return select(Label.id).where(Label.merged_into_id.is_(None), count < FEW_EXAMPLES).cte("few_labels")
