"""Predictions, verdicts and hints for benchmarks/review.py, over the photos of benchmarks/library_rows.py."""

import datetime as dt
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

from library_rows import write
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.model_versions import register_version, version_label_ids
from db.review_candidates import AUDIT
from db.schema import Photo, Review, ReviewAction, User
from db.session import Database, utc_now
from db.shown import show_what_counts

GROUP = 10_000
PAGE = 100
REVIEWERS = 4
# Of the other version's photos every second has another first label.
PREDICTIONS = """
    INSERT INTO predictions (photo_id, model_version_id, rank, label_id, score)
    SELECT photos.id, {version}, ranks.rank,
           {first} + (photos.shown_label_id - {first} + {shift} + 37 * (ranks.rank - 1)) % {labels},
           CASE ranks.rank WHEN 1 THEN shown_score ELSE (shown_score - margin) / (ranks.rank - 1) END
    FROM photos CROSS JOIN (SELECT 1 AS rank UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) AS ranks
    WHERE photos.state = 'tagged' AND photos.id % {every} = 0
    ORDER BY photos.id, ranks.rank
"""
HINTS = """
    INSERT INTO review_hints (photo_id, reason, urgency, at)
    SELECT id, '{reason}', {urgency}, '2026-01-01 00:00:00.000000' FROM photos WHERE state = 'tagged' AND {some}
"""
KINDS = {"accept": 60, "correct": 25, "none": 5, "unsure": 5, "skip": 5}


def fill_reviews(database: Database, verdicts: int, seed: int = 11) -> None:
    """Writes what models and people said of the photos that are there."""
    chance = random.Random(seed)
    with database.transaction() as session:
        if not database.is_sqlite:
            session.execute(text("SET LOCAL statement_timeout = 0"))
        _predict(session)
    _hint(database)
    with database.transaction() as session:
        users = [User(name=f"reviewer {n}", role="reviewer", created_at=utc_now()) for n in range(REVIEWERS)]
        session.add_all(users)
        tagged = select(Photo.id, Photo.shown_label_id, Photo.draw < AUDIT).where(Photo.state == "tagged")
        photos = [(photo_id, label_id, in_audit) for photo_id, label_id, in_audit in session.execute(tagged)]
        label_ids = version_label_ids(session, 1)
        session.flush()
        user_ids = [user.id for user in users]
    chosen = chance.sample(photos, verdicts)
    numbers = itertools.count(1)
    for start in range(0, verdicts, GROUP):
        _write_verdicts(database, chance, chosen[start : start + GROUP], user_ids, label_ids, numbers)


def _predict(session: Session) -> None:
    label_ids = version_label_ids(session, 1)
    other = register_version(session, "other", "trained", "other", {"threshold": 0.3}, label_ids)
    sizes = {"first": min(label_ids), "labels": len(label_ids)}
    session.execute(text(PREDICTIONS.format(version=1, every=1, shift=0, **sizes)))
    shift = "CASE photos.id % 2 WHEN 0 THEN 5 ELSE 0 END"
    session.execute(text(PREDICTIONS.format(version=other.id, every=5, shift=shift, **sizes)))


def _hint(database: Database) -> None:
    hints = (
        ("disagree", "id % 10 = 0", "shown_score"),
        ("mislabelled", "id % 499 = 0", "1 - shown_score"),
        ("contradiction", "id % 331 = 0", "1.0"),
    )
    with database.transaction() as session:
        for reason, some, urgency in hints:
            session.execute(text(HINTS.format(reason=reason, some=some, urgency=urgency)))


def _write_verdicts(
    database: Database,
    chance: random.Random,
    photos: Sequence[tuple[int, int | None, bool]],
    user_ids: Sequence[int],
    label_ids: Sequence[int],
    numbers: Iterator[int],
) -> None:
    """Half of them one by one, half as pages."""
    actions: list[tuple[Any, ...]] = []
    reviews: list[tuple[Any, ...]] = []
    half = len(photos) // 2
    pages = [photos[start : start + PAGE] for start in range(half, len(photos), PAGE)]
    for page in (*([photo] for photo in photos[:half]), *pages):
        number = next(numbers)
        at = dt.datetime(2026, 2, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number * 7)
        written = at.strftime("%Y-%m-%d %H:%M:%S.%f")
        actions.append(
            (number, chance.choice(user_ids), f"bench {number}", "single" if len(page) == 1 else "grid", written)
        )
        for photo_id, label_id, in_audit in page:
            verdict = chance.choices(list(KINDS), list(KINDS.values()))[0]
            said: int | None = {"accept": label_id, "correct": chance.choice(label_ids)}.get(verdict)
            reason = "audit" if in_audit else chance.choice(["not_sure", "never", None])
            reviews.append((number, photo_id, verdict, said, reason, 1, label_id, 0.5, 1500))
    columns = ["action_id", "photo_id", "verdict", "label_id", "reason"]
    model = ["model_version_id", "model_label_id", "model_score", "took_ms"]
    with database.transaction() as session:
        write(session, ReviewAction, ["id", "user_id", "token", "source", "at"], actions)
        write(session, Review, [*columns, *model], reviews)
        if not database.is_sqlite:
            session.execute(text("SELECT setval('review_actions_id_seq', (SELECT max(id) FROM review_actions))"))
        show_what_counts(session, [photo_id for photo_id, *_ in photos])
