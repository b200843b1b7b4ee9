"""How pages of the library are read: never the whole table, whatever is filtered by and sorted by."""

import datetime as dt
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, get_args

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

import db.library_plan
from db.library import Cursor, LibraryFilter, Sort, library_page
from db.library_choices import list_cameras, list_formats
from db.library_counts import count_photos, label_counts
from db.library_plan import BUDGET
from db.photo_view import photo_view
from db.session import Database
from db.users import local_admin
from tests.library_rows import EPOCH, Library, analyse, fill_library

SORTS: tuple[Sort, ...] = get_args(Sort)
PHOTOS = 4_000
# A table of few pages is rightly read from end to end: as many as of a hundred thousand usual photos.
LONG_EXIF = {"lens": "x" * 1500}
PLACES: dict[Sort, Cursor] = {
    "date": Cursor(EPOCH + dt.timedelta(days=9), 700),
    "score": Cursor(0.5, 700),
    "name": Cursor("img_200.jpg", 700),
    "newest": Cursor(700, 700),
}
WHOLE_TABLE = re.compile(r"SCAN photos(?! USING)|Seq Scan on photos\b")


def filters_of(library: Library) -> list[LibraryFilter]:
    """Each filter alone, and some together."""
    return [
        LibraryFilter(),
        LibraryFilter(state=None),
        LibraryFilter(state="refused"),
        LibraryFilter(label_id=library.label_ids[2]),
        LibraryFilter(label_id=library.label_ids[0]),
        LibraryFilter(min_score=0.9),
        LibraryFilter(max_score=0.1),
        LibraryFilter(not_sure=True),
        LibraryFilter(not_sure=False),
        LibraryFilter(batch_id=library.batch_ids[0]),
        LibraryFilter(taken_from=dt.date(2020, 1, 5), taken_to=dt.date(2020, 1, 5)),
        LibraryFilter(taken_from=dt.date(2020, 1, 5)),
        LibraryFilter(camera_id=library.camera_ids[0]),
        LibraryFilter(format="HEIC"),
        LibraryFilter(format="JPEG"),
        LibraryFilter(name="img"),
        LibraryFilter(name="rome 47"),
        LibraryFilter(camera_id=library.camera_ids[0], not_sure=True, name="dsc"),
    ]


@pytest.mark.parametrize("budget", [BUDGET, 0], ids=["gathered", "followed"])
def test_no_page_reads_the_whole_table(database: Database, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every filter in every order, from the middle; an owner's too. Few photos are gathered, or an order is followed."""
    monkeypatch.setattr(db.library_plan, "BUDGET", budget)
    with database.transaction() as session:
        library = fill_library(session, PHOTOS, exif=LONG_EXIF)
        admin = local_admin(session)
    analyse(database)

    with database.reading() as session, plans_of(session) as plans:
        for number, chosen in enumerate(filters_of(library)):
            for sort in SORTS:
                user = admin if number % 4 else library.owners[0]
                library_page(session, user, chosen, sort, descending=True, after=PLACES[sort], limit=50)

    assert len(plans) >= 18 * 4
    assert {query: plan for query, plan in plans.items() if WHOLE_TABLE.search(plan)} == {}


@pytest.mark.parametrize(
    ("chosen", "sort", "index"),
    [
        (LibraryFilter(not_sure=True), "date", "USING INDEX ix_photos_unsure"),
        (LibraryFilter(not_sure=True), "score", "USING INDEX ix_photos_unsure_score"),
        (LibraryFilter(name="img"), "date", "USING COVERING INDEX ix_photos_dated"),
        (LibraryFilter(name="img"), "score", "USING COVERING INDEX ix_photos_score"),
        (LibraryFilter(name="img"), "newest", "USING COVERING INDEX ix_photos_newest"),
        (LibraryFilter(name="img"), "name", "USING COVERING INDEX ix_photos_name"),
    ],
)
def test_an_order_that_is_followed_holds_what_is_skipped_by(
    sqlite_database: Database, chosen: LibraryFilter, sort: Sort, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order of the doubtful photos alone, and the names: nothing is read elsewhere of a photo that is skipped."""
    monkeypatch.setattr(db.library_plan, "BUDGET", 0)
    with sqlite_database.transaction() as session:
        fill_library(session, 50)
        admin = local_admin(session)

    with sqlite_database.reading() as session, plans_of(session) as plans:
        library_page(session, admin, chosen, sort, descending=True, after=PLACES[sort], limit=50)

    (plan,) = (plan for query, plan in plans.items() if "photos.width" in query)
    assert re.search(rf"{index}\b", plan)


def test_no_count_reads_the_whole_table(sqlite_database: Database) -> None:
    """Nor does a photo's page. PostgreSQL reads a table of some thousand rows from end to end to count it, and rightly."""
    with sqlite_database.transaction() as session:
        library = fill_library(session, 500)
        admin = local_admin(session)

    with sqlite_database.reading() as session, plans_of(session) as plans:
        for user in (admin, library.owners[0]):
            for chosen in filters_of(library)[: 18 if user is admin else 3]:
                count_photos(session, user, chosen)
                label_counts(session, user, chosen)
            list_cameras(session, user)
            list_formats(session, user)
        photo_view(session, admin, 7)

    assert len(plans) > 18 * 2
    assert {query: plan for query, plan in plans.items() if WHOLE_TABLE.search(plan)} == {}


@contextmanager
def plans_of(session: Session) -> Generator[dict[str, str]]:
    """Collects the plan of every query on photos that is made meanwhile, by its text and parameters."""
    plans: dict[str, str] = {}
    connection = session.connection()
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    explaining = False

    def note(_: Connection, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        nonlocal explaining
        if "photos" in statement and not explaining:
            explaining = True
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            plans[f"{statement} {parameters}"] = "\n".join(str(row[-1]) for row in rows)
            explaining = False

    event.listen(connection.engine, "before_cursor_execute", note)
    yield plans
    event.remove(connection.engine, "before_cursor_execute", note)
