"""Counts that are taken from one another are those of the photos themselves."""

import datetime as dt

import pytest
from sqlalchemy.orm import Session

import db.library_counts
from db.library import iter_library
from db.library_counts import FEW, count_photos, label_counts
from db.library_filter import LibraryFilter
from db.schema import Photo, User
from db.session import Database
from db.users import local_admin
from tests.library_rows import add_photos, fill_library


@pytest.mark.parametrize("few", [FEW, -1], ids=["less the few", "one by one"])
def test_a_count_is_that_of_the_photos_that_are_found(
    database: Database, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether an index tells how many there are in any state, or photos are looked at; also for an owner."""
    monkeypatch.setattr(db.library_counts, "FEW", few)
    with database.transaction() as session:
        library = fill_library(session, 150)
        # a person may say what an untagged photo shows
        add_photos(session, [{"state": "untagged", "shown_label_id": library.label_ids[1], "shown_origin": "person"}])
        for user in (local_admin(session), library.owners[0]):
            for chosen in (
                LibraryFilter(),
                LibraryFilter(state=None),
                LibraryFilter(state="refused"),
                LibraryFilter(not_sure=True),
                LibraryFilter(not_sure=False),
                LibraryFilter(not_sure=False, state=None),
                LibraryFilter(not_sure=False, name="img"),
                LibraryFilter(label_id=library.label_ids[1]),
                LibraryFilter(camera_id=library.camera_ids[0]),
                LibraryFilter(format="JPEG"),
                LibraryFilter(min_score=0.5),
                LibraryFilter(taken_from=dt.date(2020, 1, 9)),
                LibraryFilter(name="holiday", taken_from=dt.date(2020, 1, 9)),
                LibraryFilter(name="dsc"),
            ):
                ids = list(iter_library(session, user, chosen, "newest", descending=True))
                assert (chosen, count_photos(session, user, chosen)) == (chosen, len(ids))
            check_labels(session, user)


def check_labels(session: Session, user: User) -> None:
    """By label, of the tagged photos."""
    expected: dict[int, int] = {}
    for photo_id in iter_library(session, user, LibraryFilter(), "newest", descending=True):
        label_id = session.get_one(Photo, photo_id).shown_label_id
        if label_id is not None:
            expected[label_id] = expected.get(label_id, 0) + 1
    assert {row.label_id: row.photos for row in label_counts(session, user, LibraryFilter())} == expected
