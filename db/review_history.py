"""What people said of a photo, in plain words."""

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.merged_labels import standing_for
from db.schema import Label, Review, ReviewAction, User

# Nobody reads more; two people who do not agree may go on for long.
MOST_EVENTS = 200
WORDS = {
    "none": "none of the labels fits, said {by}",
    "unsure": "{by} could not tell what it is",
    "skip": "{by} skipped it",
}
LABELLED = {"accept": "accepted by {by}: {label}", "correct": "labelled by {by}: {label}"}


class Event(NamedTuple):
    """Something that happened to the photo, in plain words."""

    moment: dt.datetime
    what: str


def review_events(session: Session, photo_id: int) -> Iterator[Event]:
    """The newest 200 verdicts on a photo, and what was taken back; labels by the name that they have now."""
    undone, said, label = aliased(Review), aliased(Label), aliased(Label)
    query = (
        select(
            ReviewAction.at,
            User.name.label("by"),
            Review.verdict,
            label.name.label("label"),
            undone.verdict.label("undone"),
        )
        .select_from(Review)
        .join(ReviewAction, ReviewAction.id == Review.action_id)
        .join(User, User.id == ReviewAction.user_id)
        .outerjoin(undone, (undone.action_id == ReviewAction.undoes_id) & (undone.photo_id == Review.photo_id))
        .outerjoin(said, said.id == func.coalesce(Review.label_id, undone.label_id))
        .outerjoin(label, label.id == standing_for(said))
        .where(Review.photo_id == photo_id)
        .order_by(Review.id.desc())
        .limit(MOST_EVENTS)
    )
    for row in session.execute(query):
        words = {**WORDS, **LABELLED}[row.undone or row.verdict].format(by=row.by, label=f"“{row.label}”")
        yield Event(row.at, f"{row.by} took back: {words}" if row.verdict == "undo" else words)
