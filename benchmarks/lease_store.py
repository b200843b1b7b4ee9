"""What the lease store costs: claim and finish of 64 items with 100,000 open, on SQLite and on PostgreSQL.

    python benchmarks/lease_store.py [--items 100000] [--rounds 200] [--postgres URL]

Without --postgres a server of the test dependencies is started in a temporary folder, as it comes (fsync on).
Beside each median stands the commit of an empty write on the same database: below that no design can go.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

from databases import measure_both
from sqlalchemy import text

from db.batch_view import batch_items, batch_progress
from db.batches import NewItem, add_items, create_batch, seal_batch
from db.facts import PhotoFacts
from db.items import ClaimedItem, claim_items, finish_items
from db.labels import ensure_labels
from db.migrate import upgrade
from db.model_versions import activate, register_version
from db.predictions import Tagged
from db.session import Database
from db.users import local_admin

T = TypeVar("T")

CHUNK = 64
GROUP = 200
FACTS = PhotoFacts("JPEG", 4032, 3024)


def main() -> None:
    """Measures both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--postgres", help="URL of an empty database")
    options = parser.parse_args()
    measure_both(lambda name, database: measure(name, database, options.items, options.rounds), None, options.postgres)


def measure(name: str, database: Database, items: int, rounds: int) -> None:
    """Prints one line for each operation."""
    upgrade(database)
    began = time.perf_counter()
    batch_id, version_id, label_ids = fill(database, items)
    accept_s = time.perf_counter() - began
    print(f"{name}: {items:,} items accepted in groups of {GROUP} in {accept_s:.1f} s ({items / accept_s:,.0f}/s)")
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))  # as PostgreSQL's autovacuum does within a minute
    empty: list[float] = []
    claims: list[float] = []
    finishes: list[float] = []
    for _ in range(rounds):
        timed(empty, lambda: write_little(database))
        claimed = timed(claims, lambda: claim(database))
        results = [
            Tagged(item.item_id, item.attempt, item.photo_id, version_id, FACTS, [(n, 0.2) for n in label_ids])
            for item in claimed
        ]
        written = timed(finishes, lambda results=results: finish(database, results))
        assert len(written) == len(claimed) == CHUNK
    show("an empty write", empty)
    show(f"claim {CHUNK}", claims)
    show(f"finish {CHUNK}", finishes)
    print(f"  {CHUNK / (statistics.median(claims) + statistics.median(finishes)):,.0f} items/s by one worker")
    pages: list[float] = []
    progress: list[float] = []
    for _ in range(10):
        with database.reading() as session:
            timed(progress, lambda: batch_progress(session, batch_id))
            timed(pages, lambda: batch_items(session, batch_id, limit=100))
    show("progress of the batch", progress)
    show("a page of 100", pages)
    database.close()


def fill(database: Database, items: int) -> tuple[str, int, list[int]]:
    """A batch of photos, and an active version with five labels."""
    with database.transaction() as session:
        label_ids = ensure_labels(session, [[f"label {number}"] for number in range(5)])
        version = register_version(session, "bench", "built-in", "package:bench", {"threshold": 0.1}, label_ids)
        activate(session, version.id, None, "benchmark")
        batch_id = create_batch(session, local_admin(session).id, "bench", priority=5).id
    for start in range(0, items, GROUP):
        group = [NewItem(n, f"folder/{n}.jpg", f"{n:064x}", 3_000_000) for n in range(start, min(start + GROUP, items))]
        with database.transaction() as session:
            add_items(session, batch_id, group)
    with database.transaction() as session:
        seal_batch(session, batch_id)
    return batch_id, version.id, label_ids


def write_little(database: Database) -> None:
    """One row, one commit."""
    with database.transaction() as session:
        session.execute(text("UPDATE model_versions SET origin = origin"))


def claim(database: Database) -> list[ClaimedItem]:
    """As a worker does."""
    with database.transaction() as session:
        return claim_items(session, "bench", CHUNK, 600)


def finish(database: Database, results: list[Tagged]) -> set[int]:
    """As a worker does."""
    with database.transaction() as session:
        return finish_items(session, "bench", results)


def timed(times: list[float], action: Callable[[], T]) -> T:
    """The action's result; its time is added."""
    began = time.perf_counter()
    result = action()
    times.append(time.perf_counter() - began)
    return result


def show(what: str, times: list[float]) -> None:
    """Median and tail in ms."""
    ordered = sorted(times)
    tail = ordered[int(0.95 * (len(ordered) - 1))]
    print(f"  {what:24} median {1000 * statistics.median(times):6.1f} ms   p95 {1000 * tail:6.1f} ms")


if __name__ == "__main__":
    main()
