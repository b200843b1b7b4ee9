"""What the vocabulary costs with a million photos: counts, type-ahead, a merge of 200,000 photos and its undo.

    python benchmarks/labels.py [--rows 1000000] [--merged 200000] [--sqlite FILE] [--postgres URL] [--only NAME] [--cpu]

The photos are those of benchmarks/library.py, made if the file or the database is empty. A tenth of the photos of each
merged label are named by people. Nothing is kept of a merge but its rows in the history: it is undone, and the photos
are compared.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from databases import add_options, measure_both, vacuum
from library import Timing, clock, shown, timed
from library_rows import fill_empty
from sqlalchemy import func, insert, literal, select, text, update
from sqlalchemy.orm import Session

from db.label_changes import merge_labels, undo_change
from db.label_lists import count_label_photos, list_labels, suggest_labels
from db.labels import ensure_labels
from db.migrate import upgrade
from db.model_versions import register_version
from db.schema import Label, ModelVersion, Photo, Prediction, Review, ReviewAction
from db.session import Database, utc_now
from db.users import local_admin

MORE_LABELS = 9_000
ROUNDS = 20
TYPED = ("", "l", "label", "label 9", "family", "word 12", "of 77", "nosuch")


def main() -> None:
    """Measures both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--merged", type=int, default=200_000)
    parser.add_argument("--only", default="", choices=["sqlite", "postgres"], help="one of the databases")
    options = parser.parse_args()
    Timing.on_cpu = options.cpu
    measure_both(
        lambda name, database: measure(name, database, options.rows, options.merged),
        *(options.sqlite, options.postgres, options.only),
    )


def measure(name: str, database: Database, rows: int, merged: int) -> None:
    """Prints what each thing takes."""
    upgrade(database)
    fill_empty(database, rows)
    with database.transaction() as session:
        ensure_labels(session, [[f"word {n % 500} of {n}"] for n in range(MORE_LABELS)])
    source_ids = _prepare(database, merged)
    vacuum(database)
    print(f"{name}: {rows:,} photos; ms: median / p95 / max")
    with database.reading() as session:
        admin = local_admin(session)
    print(f"  list          {_times(database, list_labels)}")
    print(f"  counts        {_times(database, count_label_photos)}")
    for typed in TYPED:
        print(f"  type {typed!r:9}{_times(database, lambda s, t=typed: suggest_labels(s, admin, t))}")
    _merge(database, source_ids)
    database.close()


def _prepare(database: Database, merged: int) -> list[int]:
    """Labels with so many photos; their photos are said by a version, and a tenth is named by people."""
    with database.transaction() as session:
        _at_leisure(session)
        counts = count_label_photos(session)
        target = min(counts)
        source_ids: list[int] = []
        photos = 0
        for label_id, count in sorted(counts.items(), key=lambda pair: -sum(pair[1])):
            if photos < merged and label_id != target:
                source_ids.append(label_id)
                photos += sum(count)
        version = session.scalars(select(ModelVersion.id).where(ModelVersion.name == "merged")).one_or_none()
        if version is None:
            version = register_version(session, "merged", "trained", "x", {"threshold": 0.3}, source_ids).id
            _say(session, source_ids, version)
    return source_ids


def _say(session: Session, source_ids: Sequence[int], version: int) -> None:
    """Predictions of all photos of the labels, verdicts on some."""
    theirs = Photo.shown_label_id.in_(source_ids)
    score = func.coalesce(Photo.shown_score, 0.5)
    said = select(Photo.id, literal(version), literal(1), Photo.shown_label_id, score).where(theirs)
    columns = ["photo_id", "model_version_id", "rank", "label_id", "score"]
    session.execute(insert(Prediction).from_select(columns, said))
    session.execute(update(Photo).where(theirs).values(shown_model_version_id=version))
    action = ReviewAction(user_id=local_admin(session).id, token="bench", source="single", at=utc_now())
    session.add(action)
    session.flush()
    some = theirs & (Photo.id % 10 == 0)
    session.execute(
        insert(Review).from_select(
            ["action_id", "photo_id", "verdict", "label_id"],
            select(literal(action.id), Photo.id, literal("correct"), Photo.shown_label_id).where(some),
        )
    )
    named = {"review_state": "labelled", "reviewed_at": action.at, "shown_origin": "person", "shown_score": None}
    session.execute(update(Photo).where(some).values(named))


def _merge(database: Database, source_ids: Sequence[int]) -> None:
    with database.reading() as session:
        admin = local_admin(session)
        target = min(set(session.scalars(select(Label.id).where(Label.name.like("label %")))) - set(source_ids))
        before = _shown(session, [*source_ids, target])
    with database.transaction() as session:
        began = clock(session)
        changed = merge_labels(session, admin, source_ids, target)
        took = clock(session) - began
    print(f"  merge of {changed.photos:,} photos: {took:.1f} s", flush=True)
    with database.transaction() as session:
        began = clock(session)
        undone = undo_change(session, admin, changed.change_id)
        took = clock(session) - began
    print(f"  its undo, {undone.photos:,} photos: {took:.1f} s", flush=True)
    with database.reading() as session:
        assert _shown(session, [*source_ids, target]) == before, "the undo has not restored all"


def _shown(session: Session, label_ids: Sequence[int]) -> dict[int, int | None]:
    query = select(Photo.id, Photo.shown_label_id).where(Photo.shown_label_id.in_(label_ids))
    return {row.id: row.shown_label_id for row in session.execute(query)}


def _at_leisure(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = 0"))


def _times(database: Database, action: Callable[[Session], Any]) -> str:
    return shown([timed(database, action) for _ in range(ROUNDS)])


if __name__ == "__main__":
    main()
