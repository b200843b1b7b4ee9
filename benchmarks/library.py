"""What a page of the library costs with a million photos: every filter in every order, on SQLite and on PostgreSQL.

    python benchmarks/library.py [--rows 1000000] [--sqlite FILE] [--postgres URL] [--only NAME] [--cpu]

The photos are generated (ten minutes for each database); a file or a database that holds a library is used as it is
and measured in some minutes. The columns: pages by date, score, name and arrival, the count, the count by label.
Without --postgres a server of the test dependencies is started in a temporary folder. A page has 100 photos; of each
filter several values are taken, in both directions, the first page and pages in the middle.
"""

import argparse
import datetime as dt
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from databases import add_options, measure_both, vacuum
from library_rows import PLACES, fill_empty
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.library import Cursor, LibraryFilter, Sort, library_page
from db.library_choices import list_cameras, list_formats
from db.library_counts import count_photos, label_counts
from db.library_order import sort_column
from db.migrate import upgrade
from db.photo_view import photo_view
from db.schema import Camera, Item, Label, Photo, User
from db.session import Database
from db.users import local_admin

PAGE = 100
VALUES = 4
SORTS: tuple[Sort, ...] = get_args(Sort)
Filters = dict[str, list[LibraryFilter]]


class Timing:
    """Which clock is read."""

    on_cpu = False


def main() -> None:
    """Measures both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--only", default="", help="filters whose name contains this; and one of the databases")
    options = parser.parse_args()
    Timing.on_cpu = options.cpu
    measure_both(
        lambda name, database: measure(name, database, options.rows, options.only),
        *(options.sqlite, options.postgres, options.only),
    )


def measure(name: str, database: Database, rows: int, only: str) -> None:
    """Prints a line for each filter, in it the orders."""
    upgrade(database)
    began = time.perf_counter()
    if fill_empty(database, rows):
        vacuum(database)
    print(f"{name}: {rows:,} photos, made in {time.perf_counter() - began:.0f} s; ms: median / p95 / max")
    chance = random.Random(5)
    with database.reading() as session:
        admin = local_admin(session)
        owner = session.scalars(select(User).where(User.role == "owner").order_by(User.id)).first() or admin
        cursors = {sort: _cursors(session, sort) for sort in SORTS}
        found = filters(session, chance)
    everything: dict[Sort, list[float]] = {sort: [] for sort in SORTS}
    for label, chosen in found.items():
        if only.rsplit(":", maxsplit=1)[-1] in label or only in ("sqlite", "postgres"):
            user = owner if "owner" in label else admin
            line = [_pages(database, user, chosen, sort, cursors[sort], everything[sort]) for sort in SORTS]
            counts = [timed(database, lambda s, f=f, u=user: count_photos(s, u, f)) for f in chosen]
            labels = [timed(database, lambda s, f=f, u=user: label_counts(s, u, f)) for f in chosen]
            print(f"  {label:26}" + "".join(f"{shown(times):>24}" for times in (*line, counts, labels)), flush=True)
    print(f"  {'all':26}" + "".join(f"{shown(times):>24}" for times in everything.values()))
    _rest(database, admin, owner)
    database.close()


def filters(session: Session, chance: random.Random) -> Filters:
    """Some values of every filter: frequent ones, rare ones and what lies between."""
    labels = list(session.scalars(select(Label.id).where(Label.name.in_([f"label {n}" for n in (0, 1, 9, 300)]))))
    parents = list(session.scalars(select(Label.id).where(Label.name.in_(["kind 0", "kind 5", "family 7"]))))
    cameras = list(session.scalars(select(Camera.id)))
    sized = select(Item.batch_id).group_by(Item.batch_id).order_by(func.count().desc())
    admin_batches = list(session.scalars(sized))
    batch_ids = [admin_batches[0], admin_batches[1], admin_batches[len(admin_batches) // 2], admin_batches[-1]]
    days = [dt.date(year, 5, 3) for year in (2006, 2012, 2018, 2023)]
    plain = LibraryFilter()
    some = chance.sample(cameras, VALUES)
    return {
        "none": [plain],
        "any state": [replace(plain, state=None)],
        "refused": [replace(plain, state="refused")],
        "label": [replace(plain, label_id=label_id) for label_id in labels],
        "label with those below": [replace(plain, label_id=label_id) for label_id in parents],
        "score": [
            replace(plain, min_score=low, max_score=high) for low, high in ((0.9, None), (0.5, 0.51), (None, 0.2))
        ],
        "not sure": [replace(plain, not_sure=True)],
        "sure": [replace(plain, not_sure=False)],
        "batch": [replace(plain, batch_id=batch_id) for batch_id in batch_ids],
        "day": [replace(plain, taken_from=day, taken_to=day) for day in days],
        "year": [replace(plain, taken_from=day, taken_to=day + dt.timedelta(days=365)) for day in days],
        "from a day on": [replace(plain, taken_from=day) for day in days],
        "camera": [replace(plain, camera_id=camera_id) for camera_id in some],
        "format": [replace(plain, format=format_) for format_ in ("JPEG", "HEIC", "PNG", "TIFF")],
        "name, one word": [replace(plain, name=name) for name in ("img", "dsc", PLACES[2], "4711", "p1012", "nosuch")],
        "name, two words": [replace(plain, name=name) for name in ("img 47", "jpg rom", "2019 jpg", "rome 47")],
        "camera and label": [replace(plain, camera_id=c, label_id=n) for c, n in zip(some, [*labels], strict=False)],
        "camera and not sure": [replace(plain, camera_id=camera_id, not_sure=True) for camera_id in some],
        "camera and name": [replace(plain, camera_id=camera_id, name="jpg") for camera_id in some],
        "kind and year": [
            replace(plain, label_id=label_id, taken_from=day, taken_to=day + dt.timedelta(days=365))
            for label_id, day in zip(parents, days, strict=False)
        ],
        "batch and not sure": [replace(plain, batch_id=batch_id, not_sure=True) for batch_id in batch_ids],
        "owner": [plain],
        "owner and label": [replace(plain, label_id=label_id) for label_id in labels],
        "owner and camera": [replace(plain, camera_id=camera_id) for camera_id in some],
        "owner and name": [replace(plain, name=name) for name in ("img", "rome")],
    }


def _cursors(session: Session, sort: Sort) -> list[Cursor]:
    """Places in the middle of an order: those of an old photo and of a new one."""
    top = session.scalar(select(func.max(Photo.id))) or 1
    wanted = [int(top * part) for part in (0.1, 0.9)]
    query = select(sort_column(sort).label("place"), Photo.id).where(
        Photo.id.in_(wanted), sort_column(sort).is_not(None)
    )
    return [Cursor(row.place, row.id) for row in session.execute(query)]


def _pages(
    database: Database, user: User, chosen: list[LibraryFilter], sort: Sort, cursors: list[Cursor], total: list[float]
) -> list[float]:
    times = [
        timed(
            database,
            lambda s, f=one, d=descending, a=after: library_page(s, user, f, sort, descending=d, after=a, limit=PAGE),
        )
        for one in chosen
        for descending in (True, False)
        for after in (None, *cursors)
    ]
    total += times
    return times


def _rest(database: Database, admin: User, owner: User) -> None:
    with database.reading() as session:
        ids = list(session.scalars(select(Photo.id).where(Photo.id % 9973 == 0).limit(50)))
    views = [timed(database, lambda s, n=n: photo_view(s, admin, n)) for n in ids]
    print(f"  {'one photo':26}{shown(views):>24}")
    for name, user in (("admin", admin), ("owner", owner)):
        lists = [timed(database, lambda s, u=user, f=f: f(s, u)) for f in (list_cameras, list_formats)]
        print(f"  cameras, formats ({name}) {[f'{1000 * t:.0f}' for t in lists]}")


def timed(database: Database, action: Callable[[Session], Any]) -> float:
    """Server time of one request, in s: a session of its own, as a route has it."""
    with database.reading() as session:
        began = clock(session)
        action(session)
        return clock(session) - began


def clock(session: Session) -> float:
    """Time, or with --cpu that of our processor and the database's: on a machine that others use as well."""
    if not Timing.on_cpu:
        return time.perf_counter()
    if session.get_bind().dialect.name == "sqlite":
        return time.process_time()
    connection: Any = session.connection().connection.driver_connection
    return (
        time.process_time() + int(Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9
    )


def shown(times: list[float]) -> str:
    """Median, tail and worst in ms."""
    ordered = sorted(1000 * t for t in times)
    tail = ordered[round(0.95 * (len(ordered) - 1))]
    return f"{statistics.median(ordered):.0f} / {tail:.0f} / {ordered[-1]:.0f}" if ordered else "-"


if __name__ == "__main__":
    main()
