"""Labels of people that look wrong: which photos are judged, when it is time, and hints for those that are found.

Also those that a person sends back to review: they stay until somebody has looked, whatever a search finds.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, case, delete, func, select
from sqlalchemy.orm import Session

from db.audit import record_audit
from db.garbage import last_turn, set_turn
from db.merged_labels import standing
from db.schema import FeatureShard, Photo, PhotoFeatures, PhotoHash, Review, ReviewAction, ReviewHint, User
from db.session import Database, is_sqlite, utc_now
from db.shown import counting_review, lock_photos
from db.statements import count_changed, insert_on

REASON = "mislabelled"
# The turn whose time is that of the last verdict that was judged.
JUDGED = "doubts judged"
GROUP = 500
# The urgency of a label that a person sent back: it goes first. What a search finds stays below it.
SENT_BACK = 1.0
MOST_FOUND = 0.9999


class Doubt(NamedTuple):
    """A label that looks wrong.

    Attributes:
        label_id: the label that was judged.
        urgency: 1 - how well the label fits what is seen, in [0, 1].
    """

    photo_id: int
    label_id: int
    urgency: float


class NewVerdicts(NamedTuple):
    """Verdicts that are not judged yet, undone ones too: at most as many as were asked for, and when the last came."""

    verdicts: int
    last_at: dt.datetime | None


def new_verdicts(session: Session, most: int) -> NewVerdicts:
    """Verdicts since `mark_judged`, the last `most` of them. What was skipped is none."""
    since = last_turn(session, JUDGED)
    query = select(ReviewAction.at).join(Review, Review.action_id == ReviewAction.id)
    query = query.where(ReviewAction.at > since, Review.verdict != "skip").order_by(ReviewAction.at.desc()).limit(most)
    times = session.scalars(query).all()
    return NewVerdicts(len(times), times[0] if times else None)


def mark_judged(session: Session, last_at: dt.datetime) -> None:
    """Says that all verdicts up to this one were judged."""
    set_turn(session, JUDGED, last_at)


def labelled_photos(session: Session, space: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Photos that people gave a label and that have features: photo_id, label_id, group_id, key, rows, row, by shard.

    Near-duplicates share a group_id; others have one of their own.
    """
    query = (
        select(
            Photo.id.label("photo_id"),
            standing(Photo.shown_label_id).label("label_id"),
            func.coalesce(PhotoHash.group_id, -Photo.id).label("group_id"),
            FeatureShard.key,
            FeatureShard.rows,
            PhotoFeatures.row,
        )
        .join(PhotoFeatures, (PhotoFeatures.photo_id == Photo.id) & (PhotoFeatures.space == space))
        .join(FeatureShard, FeatureShard.id == PhotoFeatures.shard_id)
        .outerjoin(PhotoHash, PhotoHash.photo_id == Photo.id)
        .where(Photo.reviewed_at.is_not(None), Photo.review_state == "labelled", Photo.shown_label_id.is_not(None))
        .order_by(PhotoFeatures.shard_id, PhotoFeatures.row)
    )
    return session.execute(query).all()


def raise_doubts(database: Database, doubts: Collection[Doubt], at: dt.datetime) -> int:
    """Hints at these photos and takes back what was hinted before and is no longer found; returns how many it raised.

    A photo that a person has looked at as mislabelled is settled: what they said is not doubted again.

    Args:
        database: in short transactions, as verdicts wait for them.
        doubts: all that were found.
        at: when the labels were read; what was said of a photo since then counts more.
    """
    raised = 0
    by_photo = {doubt.photo_id: doubt for doubt in doubts}
    ids = sorted(by_photo)
    for start in range(0, len(ids), GROUP):
        with database.transaction() as session:
            raised += _raise(session, {n: by_photo[n] for n in ids[start : start + GROUP]}, at)
    while _take_back(database, at):
        pass
    return raised


def send_back(session: Session, user: User, photo_ids: Collection[int]) -> int:
    """Puts photos that people have labelled back into the review queue "looks mislabelled"; returns how many.

    Photos that are gone or have no label of a person's are left out. Also one that was settled there comes back.

    Args:
        session: of a write transaction.
        user: who wants somebody to look again.
        photo_ids: some hundreds at most.
    """
    labelled = Photo.id.in_(lock_photos(session, photo_ids)), Photo.review_state == "labelled"
    ids = session.scalars(select(Photo.id).where(*labelled).order_by(Photo.id)).all()
    now = utc_now()
    rows = [{"photo_id": n, "reason": REASON, "urgency": SENT_BACK, "at": now, "settled": False} for n in ids]
    if rows:
        _hint(session, rows)
        record_audit(session, user, "review.send_back", f"{len(rows)} photos")
    return len(rows)


def _raise(session: Session, doubts: Mapping[int, Doubt], at: dt.datetime) -> int:
    counting = Review.id == counting_review(Photo.id)
    query = (
        select(Photo.id, Photo.reviewed_at, standing(Photo.shown_label_id).label("label_id"), Review.reason)
        .join(Review, counting)
        .where(Photo.id.in_(lock_photos(session, doubts)), Photo.review_state == "labelled")
        .order_by(Photo.id)
    )
    urgencies = {photo_id: min(doubt.urgency, MOST_FOUND) for photo_id, doubt in doubts.items()}
    rows = [
        {"photo_id": row.id, "reason": REASON, "urgency": urgencies[row.id], "at": at, "settled": False}
        for row in session.execute(query)
        if row.label_id == doubts[row.id].label_id and row.reviewed_at <= at and row.reason != REASON
    ]
    if rows:
        _hint(session, rows)
    return len(rows)


def _hint(session: Session, rows: list[dict[str, Any]]) -> None:
    """Writes hints; one that was sent back and waits stays as urgent as it is."""
    insert = insert_on(ReviewHint, sqlite=is_sqlite(session))
    waits = ~ReviewHint.settled & (ReviewHint.urgency >= SENT_BACK)
    urgency = case((waits, ReviewHint.urgency), else_=insert.excluded.urgency)
    changed = {"urgency": urgency} | {name: insert.excluded[name] for name in ("at", "settled")}
    session.execute(insert.on_conflict_do_update(index_elements=["photo_id", "reason"], set_=changed), rows)


def _take_back(database: Database, at: dt.datetime) -> int:
    """Deletes hints that are older, a group of them; returns how many."""
    older = ReviewHint.reason == REASON, ReviewHint.at < at, ReviewHint.settled | (ReviewHint.urgency < SENT_BACK)
    with database.transaction() as session:
        some = select(ReviewHint.photo_id).where(*older).order_by(ReviewHint.photo_id).limit(GROUP)
        ids = lock_photos(session, session.scalars(some).all())
        return count_changed(session, delete(ReviewHint).where(*older, ReviewHint.photo_id.in_(ids)))
