"""Numbers of review, and all that people said row by row."""

import datetime as dt
from collections.abc import Iterable

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from db.errors import NotAllowedError
from db.intervals import wilson
from db.labels import ensure_labels
from db.model_versions import version_label_ids
from db.review_candidates import AUDIT
from db.review_export import ReviewRow, iter_reviews
from db.review_stats import PersonStats, Stroke, photos_per_minute, review_stats
from db.reviews import undo
from db.schema import Photo, ReviewAction
from db.session import Database, utc_now
from tests.library_rows import add_user
from tests.review_rows import say, tagged_photos
from tests.store import add_version

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def strokes(*seconds: float, user_id: int = 1, photos: int = 1) -> list[Stroke]:
    """A person's strokes, so many seconds after noon."""
    return [Stroke(user_id, NOON + dt.timedelta(seconds=s), photos) for s in seconds]


@pytest.mark.parametrize(
    ("given", "median"),
    [
        ([], None),
        (strokes(0, 10, 20, 61, 62, 121), 2),
        # a sitting's minutes begin with it, and a pause is in none
        (strokes(0, 30, 59, 59 + 121, 59 + 130), 2.5),
        # of two who work at the same time each has minutes of their own
        (strokes(0, 10, 20) + strokes(5, user_id=2, photos=200), 101.5),
    ],
)
def test_speed_is_the_median_over_minutes_in_which_something_was_decided(
    given: Iterable[Stroke], median: float | None
) -> None:
    """Pauses of more than two minutes do not count."""
    assert photos_per_minute(given) == median


def test_intervals_are_those_of_wilson() -> None:
    """As published: 81 of 263 (Newcombe 1998), and the ends."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(1, 1) == pytest.approx((0.2065, 1), abs=5e-5)


def test_what_counts_is_counted_by_whom_and_when(database: Database) -> None:
    """Not what was skipped, taken back, or decided again by somebody else."""
    with database.transaction() as session:
        ids = tagged_photos(session, add_version(session), 6)
        ann, bob = add_user(session, "ann", "admin"), add_user(session, "bob", "reviewer")
        say(session, ann, ids[:3], "none")
        session.execute(update(ReviewAction).values(at=LONG_AGO))
        session.execute(update(Photo).where(Photo.review_state.is_not(None)).values(reviewed_at=LONG_AGO))
        say(session, bob, ids[2:4], "none")
        say(session, bob, ids[4:5], "skip")
        say(session, ann, ids[5:], "unsure")
        undo(session, ann, token="u")
        midnight = utc_now() - dt.timedelta(hours=1)

        stats = review_stats(session, ann, midnight)

        assert (stats.today, stats.total, stats.undecided) == (2, 4, 2)
        assert [person[:3] for person in stats.people] == [("ann", 0, 2), ("bob", 2, 2)]
        assert stats.per_minute == pytest.approx(stats.undecided / (stats.minutes_left or 0))
        assert [person[:3] for person in review_stats(session, bob, midnight).people] == [("bob", 2, 2)]
        with pytest.raises(NotAllowedError):
            review_stats(session, add_user(session, "olga"), midnight)


def test_before_the_first_verdict_nothing_is_known(database: Database) -> None:
    """Neither speed nor agreement."""
    with database.transaction() as session:
        tagged_photos(session, add_version(session), 1)
        ann = add_user(session, "ann", "reviewer")

        stats = review_stats(session, ann, LONG_AGO)

        assert (stats.total, stats.per_minute, stats.minutes_left, stats.agreement) == (0, None, None, [])
        assert stats.people == [PersonStats("ann", 0, 0, None)]


def test_agreement_is_that_of_audited_photos(database: Database) -> None:
    """By what the model had said; "none of these" is no agreement, who cannot tell is not asked."""
    with database.transaction() as session:
        version_id = add_version(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        ann = add_user(session, "ann", "reviewer")
        ids = tagged_photos(session, version_id, 8)
        session.execute(update(Photo).where(Photo.id.in_(ids[:7])).values(draw=1))
        session.execute(update(Photo).where(Photo.id.in_(ids[7:])).values(draw=AUDIT))
        say(session, ann, ids[:3], label_id=cat, reason="audit")
        say(session, ann, ids[3:4], label_id=dog, reason="audit")
        say(session, ann, ids[4:5], "none", reason="audit")
        say(session, ann, ids[5:6], "unsure", reason="audit")
        say(session, ann, ids[6:7], label_id=cat)
        say(session, ann, ids[7:], label_id=cat, reason="audit")

        agreement = review_stats(session, ann, LONG_AGO).agreement

        interval = wilson(3, 5)
        assert interval is not None
        assert agreement == [(None, 5, 3, *interval), ("cat", 5, 3, *interval)]


def test_the_export_has_every_row(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also skips and undos, page by page; what counts now is told."""
    monkeypatch.setattr("db.review_export.GROUP", 2)
    with database.transaction() as session:
        version_id = add_version(session)
        ids = tagged_photos(session, version_id, 2)
        ann = add_user(session, "ann", "reviewer")
        dog = ensure_labels(session, [["dog"]])[0]
        say(session, ann, ids, label_id=dog, reason="few", source="grid")
        say(session, ann, ids[:1], "skip")
        say(session, ann, ids[1:], "none")
        undone = undo(session, ann, token="u").undone_action_id

        rows = list(iter_reviews(session))

        assert [(row.photo_id, row.verdict, row.counts) for row in rows] == [
            (ids[0], "correct", True),
            (ids[1], "correct", True),
            (ids[0], "skip", False),
            (ids[1], "none", False),
            (ids[1], "undo", False),
        ]
        assert (rows[0].by, rows[0].source, rows[0].label, rows[0].reason) == ("ann", "grid", "dog", "few")
        assert told(rows[0]) == ("first", "cat", 0.9, 2)
        assert (rows[4].token, rows[4].undoes_id) == ("u", undone)
        assert rows[0].at <= rows[4].at
        assert [row.photo for row in rows[:2]] == names_of(session, ids)


def told(row: ReviewRow) -> tuple[str | None, str | None, float | None, int | None]:
    """What the model had said, and which of its labels was taken."""
    return row.model_version, row.model_label, row.model_score, row.chosen_rank


def names_of(session: Session, photo_ids: Iterable[int]) -> list[str]:
    """File names in this order."""
    return [session.get_one(Photo, photo_id).name for photo_id in photo_ids]
