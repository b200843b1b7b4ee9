"""What near-duplicates cost: recording the hashes of a chunk of 64 when a million are there, and a page of groups.

    python benchmarks/near_duplicates.py [--hashes 1000000] [--rounds 30] [--postgres [URL]]

Hashes are drawn so that 32 of their 64 bits are set, as in photos. "new" chunks resemble nothing; of "copies" each
resembles one photo. On PostgreSQL only with --postgres: without a URL a server of the test dependencies is started.
"""

import argparse
import random
import time
from collections.abc import Iterator

from databases import measure_one
from lease_store import show, timed
from sqlalchemy import insert, text

from db.duplicates import list_groups
from db.migrate import upgrade
from db.near_duplicates import record_hashes
from db.same_files import list_same_files
from db.schema import Photo, PhotoHash
from db.session import Database, utc_now
from db.statements import table_of
from db.users import local_admin

CHUNK = 64
STEP = 20_000


def main() -> None:
    """Measures one database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--postgres", nargs="?", const="", help="URL of an empty database")
    options = parser.parse_args()
    measure_one(lambda name, database: measure(name, database, options.hashes, options.rounds), options.postgres)


def measure(name: str, database: Database, hashes: int, rounds: int) -> None:
    """Prints one line for each operation."""
    upgrade(database)
    chance = random.Random(1)
    first = hashes + 1
    known = fill(database, chance, hashes, hashes + 2 * rounds * CHUNK)
    print(f"{name}: {hashes:,} hashes")
    for what in ("new", "copies"):
        calls: list[float] = []
        commits: list[float] = []
        for _ in range(rounds):
            drawn = [any_hash(chance) if what == "new" else next(known) ^ 0b101 for _ in range(CHUNK)]
            chunk = dict(zip(range(first, first + CHUNK), drawn, strict=True))
            first += CHUNK
            timed(commits, lambda chunk=chunk, calls=calls: record(database, chunk, calls))
        show(f"record {CHUNK} {what}", calls)
        show("  with its commit", commits)
    groups: list[float] = []
    files: list[float] = []
    with database.transaction() as session:
        admin = local_admin(session)
    for _ in range(10):
        with database.reading() as session:
            timed(groups, lambda session=session: list_groups(session, admin))
            timed(files, lambda session=session: list_same_files(session, admin))
    show("a page of 20 groups", groups)
    show("a page of same files", files)
    database.close()


def fill(database: Database, chance: random.Random, hashes: int, photos: int) -> Iterator[int]:
    """Photos, the first of them with hashes; returns those from the first on. Indexes are made at the end."""
    with database.engine.begin() as connection:
        for index in (*table_of(Photo).indexes, *table_of(PhotoHash).indexes):
            index.drop(connection)
    drawn: list[int] = []
    for start in range(1, photos + 1, STEP):
        ids = range(start, min(start + STEP, photos + 1))
        new = [any_hash(chance) for photo_id in ids if photo_id <= hashes]
        drawn += new
        with database.transaction() as session:
            photo = {"size_bytes": 1, "created_at": utc_now(), "has_previews": True, "not_sure": False}
            session.execute(insert(table_of(Photo)), [photo | {"id": n, "sha256": f"{n:064x}"} for n in ids])
            if new:
                rows = [row_of(n, phash) for n, phash in zip(ids, new, strict=False)]
                session.execute(insert(table_of(PhotoHash)), rows)
    with database.engine.begin() as connection:
        for index in table_of(PhotoHash).indexes:
            index.create(connection)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))
    return iter(drawn)


def any_hash(chance: random.Random) -> int:
    """The hash of some photo, as it is kept."""
    phash = sum(1 << bit for bit in chance.sample(range(64), 32))
    return phash - (1 << 64) if phash >> 63 else phash


def row_of(photo_id: int, phash: int) -> dict[str, int]:
    """A row of `photo_hashes`."""
    return {"photo_id": photo_id, "phash": phash} | {f"quarter_{n}": (phash >> 16 * n) & 0xFFFF for n in range(4)}


def record(database: Database, chunk: dict[int, int], calls: list[float]) -> None:
    """As a worker does at the end of a chunk."""
    with database.transaction() as session:
        began = time.perf_counter()
        record_hashes(session, chunk)
        calls.append(time.perf_counter() - began)


if __name__ == "__main__":
    main()
