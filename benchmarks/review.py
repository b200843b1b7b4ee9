"""What review costs with a million photos and 200,000 verdicts, on SQLite and on PostgreSQL.

    python benchmarks/review.py [--rows 1000000] [--verdicts 200000] [--sqlite FILE] [--postgres URL] [--cpu]

The photos are generated (some ten minutes for each database); a file or a database that holds them is used as it is,
and measured in some minutes. Each time is of one request: transaction, commit and what the page draws included. "next
photo" claims one and reads its card, a page of the grid has 60. Without --postgres a server of the test dependencies is
started in a temporary folder.
"""

import argparse
import itertools
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from databases import add_options, measure_both, vacuum
from library import Timing, clock, filters, shown
from library_rows import fill_empty
from review_rows import fill_reviews
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.library_filter import LibraryFilter
from db.migrate import upgrade
from db.model_versions import version_label_ids
from db.review_candidates import REASONS
from db.review_cards import review_cards
from db.review_counts import grid_labels, queue_counts
from db.review_queue import claim_grid, claim_photos
from db.reviews import Said, record_verdicts, undo
from db.schema import Photo, User
from db.session import Database
from db.users import local_admin

PAGE = 60
ROUNDS = 20
# Of the filters of benchmarks/library.py those that a reviewer has.
FILTERS = (
    *("none", "label", "label with those below", "score", "not sure", "batch", "year", "camera", "format"),
    *("name, one word", "camera and label", "batch and not sure"),
)
Times = dict[str, list[float]]


def main() -> None:
    """Measures both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--verdicts", type=int, default=200_000)
    parser.add_argument("--only", default="", choices=["sqlite", "postgres"], help="one of the databases")
    options = parser.parse_args()
    Timing.on_cpu = options.cpu
    measure_both(
        lambda name, database: measure(name, database, options.rows, options.verdicts),
        *(options.sqlite, options.postgres, options.only),
    )


def measure(name: str, database: Database, rows: int, verdicts: int) -> None:
    """Prints a line for each kind of request."""
    upgrade(database)
    began = time.perf_counter()
    if fill_empty(database, rows):
        fill_reviews(database, verdicts)
        vacuum(database)
    made_s = time.perf_counter() - began
    print(f"{name}: {rows:,} photos, {verdicts:,} verdicts, made in {made_s:.0f} s; ms: median / p95 / max")
    chance = random.Random(5)
    with database.reading() as session:
        user = local_admin(session)  # who sees all batches
        chosen = {label: found for label, found in filters(session, chance).items() if label in FILTERS}
        label_ids = version_label_ids(session, 1)
    for times in (
        _queues(database, user, chosen),
        _pages(database, user, label_ids, chosen),
        _strokes(database, user, chance, label_ids),
    ):
        for label, measured in times.items():
            print(f"  {label:44}{shown(measured):>24}", flush=True)
    database.close()


def _queues(database: Database, user: User, chosen: dict[str, list[LibraryFilter]]) -> Times:
    times: Times = {}
    for label, queue in itertools.product(chosen, ("mixed", *REASONS)):
        for one in chosen[label] * (ROUNDS if label == "none" else 1):
            times.setdefault(f"next photo, {queue}, {label}", []).append(
                _timed(database, lambda s, f=one, q=queue: _next(s, user, q, f))
            )
    total = [one for measured in times.values() for one in measured]
    return times | {"next photo, all": total}


def _next(session: Session, user: User, queue: Any, chosen: LibraryFilter) -> None:
    found = claim_photos(session, user, "bench", queue=queue, chosen=chosen, keep=(), count=1)
    review_cards(session, [queued.photo_id for queued in found])


def _pages(database: Database, user: User, label_ids: Sequence[int], chosen: dict[str, list[LibraryFilter]]) -> Times:
    times: Times = {}
    frequent = [label_ids[n] for n in (0, 1, 2, 9, 50, 300)]
    for label, found in chosen.items():
        grids = [_timed(database, lambda s, f=f, n=n: _grid(s, user, n, f)) for f in found for n in frequent]
        counts = [_timed(database, lambda s, f=f: queue_counts(s, user, f)) for f in found * 2]
        labels = [_timed(database, lambda s, f=f: grid_labels(s, user, f)) for f in found * 2]
        times |= {f"grid of {PAGE}, {label}": grids, f"counts, {label}": counts, f"labels of the grid, {label}": labels}
    return times


def _grid(session: Session, user: User, label_id: int, chosen: LibraryFilter) -> None:
    found = claim_grid(session, user, "bench", label_id=label_id, chosen=chosen, keep=(), count=PAGE)
    review_cards(session, found)


def _strokes(database: Database, user: User, chance: random.Random, label_ids: Sequence[int]) -> Times:
    """Each is taken back, so that the same photos can be measured again."""
    times: Times = {}
    token = f"bench {time.time()}"
    numbers = itertools.count(1)
    with database.reading() as session:
        tagged = select(Photo.id).where(Photo.state == "tagged", Photo.id % 97 == 0).limit(10_000)
        photo_ids = list(session.scalars(tagged))
    for count in (1, 200):
        for _ in range(ROUNDS):
            said = [Said(n, "label", chance.choice(label_ids)) for n in chance.sample(photo_ids, count)]
            sent = f"{token} {next(numbers)}"
            write = _timed(
                database, lambda s, said=said, t=sent: record_verdicts(s, user, said, token=t, source="grid")
            )
            back = _timed(database, lambda s, t=sent: undo(s, user, token=f"undo {t}"))
            times.setdefault(f"verdicts on {count}", []).append(write)
            times.setdefault(f"undo of {count}", []).append(back)
    return times


def _timed(database: Database, action: Callable[[Session], Any]) -> float:
    """Server time of one request, in s: its transaction and commit."""
    with database.transaction() as session:
        session.execute(text("SELECT 1"))
        began = clock(session)
        action(session)
        if Timing.on_cpu:
            return clock(session) - began
        session.commit()
        return clock(session) - began


if __name__ == "__main__":
    main()
