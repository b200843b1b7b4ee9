"""Numbers of review: how much is decided, how fast, how often people agree with the model, how much is left."""

import datetime as dt
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from db.intervals import wilson
from db.library_filter import LibraryFilter
from db.merged_labels import standing
from db.review_candidates import AUDIT, IS_REVIEWED, IS_UNREVIEWED, Reason
from db.review_counts import queue_counts
from db.reviews import ON_PAGES, require_reviewer
from db.schema import Label, Photo, Review, ReviewAction, User
from db.shown import COUNTING, DECIDED, counting_review

# A longer time without a verdict ends a sitting.
LONGEST_GAP_S = 120.0
# Speed is that of the last strokes: some days of work, read in some ten milliseconds.
LAST_ACTIONS = 10_000


class Agreement(NamedTuple):
    """How often people agreed with the model, estimated from photos drawn at random.

    Attributes:
        label: what the model had said; None: all labels.
        photos: that people decided.
        agreed: those to which they gave the same label.
        low: lower end of the 95 % interval of the share, in [0, 1].
        high: its upper end.
    """

    label: str | None
    photos: int
    agreed: int
    low: float
    high: float


class PersonStats(NamedTuple):
    """What one person decided; as in `ReviewStats`."""

    name: str
    today: int
    total: int
    per_minute: float | None


@dataclass(frozen=True, slots=True)
class ReviewStats:
    """Numbers of review.

    Attributes:
        today: photos decided since the day began, whose verdict counts.
        total: photos decided at any time.
        per_minute: photos a minute while somebody reviews, the median; None before the first verdict on a page.
        people: each who has decided photos; for others than admins only themselves.
        agreement: over all labels first, then by label, those with most photos first.
        left: photos of each queue, counted up to 10,000.
        undecided: photos that no person has decided, all counted.
        minutes_left: for those, at this pace.
    """

    today: int
    total: int
    per_minute: float | None
    people: list[PersonStats]
    agreement: list[Agreement]
    left: dict[Reason, int]
    undecided: int
    minutes_left: float | None


def review_stats(session: Session, user: User, day_begins: dt.datetime) -> ReviewStats:
    """The numbers as this person may see them; `day_begins`: the last midnight where they are.

    Raises:
        NotAllowedError: the person is no reviewer.
    """
    require_reviewer(user)
    strokes = _strokes(session)
    undecided = session.scalars(select(func.count()).select_from(Photo).where(IS_UNREVIEWED)).one()
    per_minute = photos_per_minute(strokes)
    total = _decided(session)
    today = _decided(session, Photo.reviewed_at >= day_begins)
    return ReviewStats(
        today=sum(today.values()),
        total=sum(total.values()),
        per_minute=per_minute,
        people=_people(session, user, today, total, strokes),
        agreement=_agreement(session),
        left=queue_counts(session, user, LibraryFilter()),
        undecided=undecided,
        minutes_left=undecided / per_minute if per_minute else None,
    )


class Stroke(NamedTuple):
    """An action of a person on a page."""

    user_id: int
    at: dt.datetime
    photos: int


def photos_per_minute(strokes: Iterable[Stroke]) -> float | None:
    """The median over the minutes in which somebody decided something. Minutes begin with a person's sitting."""
    minutes: dict[tuple[int, dt.datetime, int], int] = {}
    began: dict[int, dt.datetime] = {}
    before: dict[int, dt.datetime] = {}
    for user_id, at, photos in sorted(strokes, key=lambda stroke: stroke.at):
        if user_id not in before or (at - before[user_id]).total_seconds() > LONGEST_GAP_S:
            began[user_id] = at
        before[user_id] = at
        minute = (user_id, began[user_id], int((at - began[user_id]).total_seconds() // 60))
        minutes[minute] = minutes.get(minute, 0) + photos
    return statistics.median(minutes.values()) if minutes else None


def _strokes(session: Session) -> list[Stroke]:
    last = (
        select(ReviewAction.id)
        .where(ReviewAction.undoes_id.is_(None), ReviewAction.source.in_(ON_PAGES))
        .order_by(ReviewAction.id.desc())
        .limit(LAST_ACTIONS)
        .subquery()
    )
    query = (
        select(ReviewAction.user_id, ReviewAction.at, func.count())
        .join(last, last.c.id == ReviewAction.id)
        .join(Review, Review.action_id == ReviewAction.id)
        .where(Review.verdict.in_(COUNTING))
        .group_by(ReviewAction.id, ReviewAction.user_id, ReviewAction.at)
    )
    return [Stroke(*row) for row in session.execute(query)]


def _decided(session: Session, *conditions: ColumnElement[bool]) -> dict[int, int]:
    """How many photos each person decided, whose verdict counts."""
    query = (
        select(ReviewAction.user_id, func.count())
        .select_from(Photo)
        .join(Review, Review.id == counting_review(Photo.id))
        .join(ReviewAction, ReviewAction.id == Review.action_id)
        .where(IS_REVIEWED, *conditions)
        .group_by(ReviewAction.user_id)
    )
    return {user_id: photos for user_id, photos in session.execute(query)}  # noqa: C416 - rows are no pairs to pyright


def _people(
    session: Session, user: User, today: dict[int, int], total: dict[int, int], strokes: Sequence[Stroke]
) -> list[PersonStats]:
    shown = set(total) if user.role == "admin" else {user.id}
    names = select(User.id, User.name).where(User.id.in_(shown)).order_by(User.name)
    return [
        PersonStats(
            name,
            today.get(user_id, 0),
            total.get(user_id, 0),
            photos_per_minute(stroke for stroke in strokes if stroke.user_id == user_id),
        )
        for user_id, name in session.execute(names)
    ]


def _agreement(session: Session) -> list[Agreement]:
    """Of photos that came by chance alone: those that models find hard would make it look worse."""
    label = aliased(Label)
    said: Any = standing(Review.model_label_id)
    agrees = func.count().filter(standing(Review.label_id) == said)
    query = (
        select(label.name, func.count().label("photos"), agrees.label("agreed"))
        .select_from(Review)
        .join(Photo, Photo.id == Review.photo_id)
        .join(label, label.id == said)
        .where(Review.reason == "audit", Review.verdict.in_(DECIDED), Photo.draw < AUDIT)
        .where(Review.id == counting_review(Review.photo_id))
        .group_by(label.id, label.name)
        .order_by(func.count().desc(), label.name)
    )
    rows = [(row.name, row.photos, row.agreed) for row in session.execute(query)]
    everything = [(None, sum(photos for _, photos, _ in rows), sum(agreed for *_, agreed in rows))] if rows else []
    return [
        Agreement(name, photos, agreed, *(wilson(agreed, photos) or (0.0, 1.0)))
        for name, photos, agreed in everything + rows
    ]
