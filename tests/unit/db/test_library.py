"""The library's pages: every filter and order against the same done in plain Python, and pages that fit together."""

import datetime as dt
from collections.abc import Callable
from typing import Any, get_args

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

import db.library_plan
from db.errors import NotFoundError
from db.labels import ensure_labels
from db.library import Cursor, LibraryFilter, Sort, get_selection, iter_library, library_page
from db.library_counts import count_photos, label_counts
from db.library_plan import BUDGET
from db.names import words_of
from db.schema import Batch, Item, Label, Photo, User
from db.session import Database
from db.users import local_admin
from tests.library_rows import EPOCH, add_photos, add_user, fill_library

SORTS: tuple[Sort, ...] = get_args(Sort)
PLACES: dict[Sort, Callable[[Photo], Any]] = {
    "date": lambda photo: photo.dated_at,
    "score": lambda photo: photo.shown_score,
    "name": lambda photo: photo.name_key,
    "newest": lambda photo: photo.id,
}


@pytest.mark.parametrize("budget", [BUDGET, 0], ids=["gathered", "followed"])
def test_every_filter_finds_what_plain_python_finds_in_every_order(
    database: Database, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone and together with another, by pages of 20 from the first to the last."""
    monkeypatch.setattr(db.library_plan, "BUDGET", budget)
    with database.transaction() as session:
        library = fill_library(session, 150)
        admin = local_admin(session)
        filters = [
            LibraryFilter(),
            LibraryFilter(state=None),
            LibraryFilter(state="refused"),
            LibraryFilter(label_id=library.label_ids[1]),
            LibraryFilter(label_id=library.label_ids[0], format="JPEG"),
            LibraryFilter(min_score=0.3),
            LibraryFilter(max_score=0.4),
            LibraryFilter(min_score=0.2, max_score=0.6, camera_id=library.camera_ids[0]),
            LibraryFilter(not_sure=True),
            LibraryFilter(not_sure=False, name="img"),
            LibraryFilter(batch_id=library.batch_ids[0]),
            LibraryFilter(batch_id=library.batch_ids[3], not_sure=True, state=None),
            LibraryFilter(taken_from=dt.date(2020, 1, 5), taken_to=dt.date(2020, 1, 9)),
            LibraryFilter(camera_id=library.camera_ids[2]),
            LibraryFilter(format="HEIC", state=None),
            LibraryFilter(name="rome 1 HOL"),
            LibraryFilter(name="STRASSE"),
            LibraryFilter(camera_id=10**9),
            LibraryFilter(label_id=10**9),
        ]

        for chosen in filters:
            matching = brute_force(session, admin, chosen)
            assert count_photos(session, admin, chosen) == len(matching), chosen
            for number, sort in enumerate(SORTS):
                descending = bool(number % 2) is (chosen.name == "")
                expected = in_order(matching, sort, descending=descending)
                found = all_pages(session, admin, chosen, sort, descending=descending)
                assert found == expected, (chosen, sort, descending)
                assert list(iter_library(session, admin, chosen, sort, descending=descending)) == expected


def test_pages_backwards_are_the_pages_forwards(database: Database) -> None:
    """Whatever the order, and though many photos have the same value."""
    with database.transaction() as session:
        fill_library(session, 60)
        admin = local_admin(session)

        for sort in SORTS:
            forwards = all_pages(session, admin, LibraryFilter(), sort, descending=True)
            back: list[int] = []
            last = library_page(session, admin, LibraryFilter(), sort, descending=True, limit=100).photos[-1]
            before, more = last.cursor, True
            while more:
                page = library_page(session, admin, LibraryFilter(), sort, descending=True, before=before, limit=7)
                back = [photo.photo_id for photo in page.photos] + back
                assert page.more_after
                before, more = page.photos[0].cursor, page.more_before
            assert [*back, last.photo_id] == forwards


def test_a_photo_that_comes_or_goes_between_pages_moves_none_of_the_others(database: Database) -> None:
    """Not even the photo at the cursor itself."""
    with database.transaction() as session:
        admin = local_admin(session)
        ids = add_photos(session, [{"dated_at": EPOCH} for _ in range(10)])
        first = library_page(session, admin, LibraryFilter(), "date", descending=False, limit=4)
        add_photos(session, [{"dated_at": EPOCH - dt.timedelta(days=1)}, {"dated_at": EPOCH}])
        session.execute(delete(Photo).where(Photo.id.in_([ids[3], ids[6]])))

        second = library_page(
            session, admin, LibraryFilter(), "date", descending=False, after=first.photos[-1].cursor, limit=20
        )

        assert [photo.photo_id for photo in first.photos] == ids[:4]
        assert [photo.photo_id for photo in second.photos] == [ids[4], ids[5], *ids[7:], ids[-1] + 2]
        assert (first.more_after, first.more_before) == (True, False)
        assert (second.more_after, second.more_before) == (False, True)


def test_a_tile_has_what_the_grid_shows(database: Database) -> None:
    """A person's label is sure, whatever the model's score was."""
    with database.transaction() as session:
        label_id = ensure_labels(session, [["dog"]])[0]
        shown = {"shown_label_id": label_id, "shown_score": 0.25, "not_sure": True}
        add_photos(session, [shown | {"shown_origin": "model"}, shown | {"shown_origin": "person"}, {"name": "Ä.jpg"}])

        page = library_page(session, local_admin(session), LibraryFilter(), "newest", descending=False, limit=9)

        by_model, by_person, none = page.photos
        assert (by_model.shown, by_model.shown_score, by_model.shown_origin) == ("dog", 0.25, "model")
        assert (by_model.not_sure, by_person.not_sure) == (True, False)
        assert (none.name, none.shown, none.shown_score, none.state) == ("Ä.jpg", None, None, "tagged")
        assert (none.width, none.height, none.dated_at, none.has_previews) == (640, 480, EPOCH, True)


def test_an_owner_sees_the_photos_of_their_batches_only(database: Database) -> None:
    """A reviewer sees all; a batch of somebody else is not found, whatever it holds."""
    with database.transaction() as session:
        library = fill_library(session, 90)
        reviewer = add_user(session, "reviewer", "reviewer")
        everything = list(iter_library(session, reviewer, LibraryFilter(state=None), "date", descending=False))
        assert len(everything) == 90
        for owner in library.owners:
            expected = in_order(brute_force(session, owner, LibraryFilter()), "newest", descending=False)
            assert 0 < len(expected) < 80
            assert all_pages(session, owner, LibraryFilter(), "newest", descending=False) == expected
            assert count_photos(session, owner, LibraryFilter()) == len(expected)
            theirs = brute_force(session, owner, LibraryFilter(state=None))
            assert get_selection(session, owner, everything) == sorted(photo.id for photo in theirs)
            assert get_selection(session, reviewer, [*everything, 10**9]) == sorted(everything)
        other = LibraryFilter(batch_id=library.batch_ids[2])
        with pytest.raises(NotFoundError, match=library.batch_ids[2]):
            library_page(session, library.owners[0], other, "date", descending=True, limit=5)
        with pytest.raises(NotFoundError, match=library.batch_ids[2]):
            count_photos(session, library.owners[0], other)
        with pytest.raises(NotFoundError, match=library.batch_ids[2]):
            label_counts(session, library.owners[0], other)


def test_labels_are_counted_under_every_filter_but_their_own(database: Database) -> None:
    """Each by itself; the page adds up what lies below."""
    with database.transaction() as session:
        library = fill_library(session, 120)
        for user in (local_admin(session), library.owners[0]):
            for chosen in (LibraryFilter(), LibraryFilter(camera_id=library.camera_ids[1], name="img")):
                counts: dict[int, int] = {}
                for photo in brute_force(session, user, chosen):
                    if photo.shown_label_id is not None:
                        counts[photo.shown_label_id] = counts.get(photo.shown_label_id, 0) + 1
                narrowed = LibraryFilter(label_id=library.label_ids[1], camera_id=chosen.camera_id, name=chosen.name)

                found = label_counts(session, user, narrowed)

                assert {row.label_id: row.photos for row in found} == counts
                parents = {label.id: (label.name, label.parent_id) for label in session.scalars(select(Label))}
                assert all(parents[row.label_id] == (row.name, row.parent_id) for row in found)


def test_a_day_is_whole_at_both_ends(database: Database) -> None:
    """Its first and its last moment are in it, the moments beside them are not."""
    day = dt.datetime(2024, 2, 29)
    step = dt.timedelta(microseconds=1)
    moments = [day - step, day, day + dt.timedelta(days=1) - step, day + dt.timedelta(days=1)]
    with database.transaction() as session:
        ids = add_photos(session, [{"dated_at": moment} for moment in moments])
        chosen = LibraryFilter(taken_from=day.date(), taken_to=day.date())

        assert list(iter_library(session, local_admin(session), chosen, "date", descending=False)) == ids[1:3]
        widest = LibraryFilter(taken_from=dt.date.min, taken_to=dt.date.max)
        assert count_photos(session, local_admin(session), widest) == 4


def all_pages(session: Session, user: User, chosen: LibraryFilter, sort: Sort, *, descending: bool) -> list[int]:
    """The ids of all pages of 20 photos, by cursors that went through an address."""
    found: list[int] = []
    after: Cursor | None = None
    while True:
        page = library_page(session, user, chosen, sort, descending=descending, after=after, limit=20)
        assert len(page.photos) <= 20
        assert page.more_before == (after is not None)
        found += [photo.photo_id for photo in page.photos]
        if not page.more_after:
            return found
        after = Cursor.from_text(page.photos[-1].cursor.to_text())


def brute_force(session: Session, user: User, chosen: LibraryFilter) -> list[Photo]:
    """What the filter means, said once more without SQL."""
    labels = {label.id: label.parent_id for label in session.scalars(select(Label))}
    places: dict[int | None, set[str]] = {}
    for item in session.scalars(select(Item)):
        places.setdefault(item.photo_id, set()).add(item.batch_id)
    mine = {batch_id for batch_id, owner_id in batches(session) if owner_id == user.id}
    return [
        photo
        for photo in session.scalars(select(Photo))
        if matches(photo, chosen, labels, places.get(photo.id, set()))
        and (user.role != "owner" or places.get(photo.id, set()) & mine)
    ]


def batches(session: Session) -> list[tuple[str, int]]:
    """Id and owner of each batch."""
    return [(batch.id, batch.owner_id) for batch in session.scalars(select(Batch))]


def matches(photo: Photo, chosen: LibraryFilter, labels: dict[int, int | None], places: set[str]) -> bool:
    """Whether one photo meets the filter."""
    score = -1.0 if photo.shown_score is None else photo.shown_score
    above = photo.shown_label_id
    while above is not None and above != chosen.label_id:
        above = labels[above]
    words = words_of(photo.name)
    return all(
        (
            chosen.label_id is None or above is not None,
            chosen.min_score is None or score >= chosen.min_score,
            chosen.max_score is None or 0 <= score <= chosen.max_score,
            chosen.not_sure is None or photo.not_sure == chosen.not_sure,
            chosen.batch_id is None or chosen.batch_id in places,
            chosen.state is None or photo.state == chosen.state,
            chosen.taken_from is None or photo.dated_at.date() >= chosen.taken_from,
            chosen.taken_to is None or photo.dated_at.date() <= chosen.taken_to,
            chosen.camera_id is None or photo.camera_id == chosen.camera_id,
            chosen.format is None or photo.format == chosen.format,
            all(any(word.startswith(wanted) for word in words) for wanted in words_of(chosen.name)),
        )
    )


def in_order(photos: list[Photo], sort: Sort, *, descending: bool) -> list[int]:
    """Their ids, sorted in Python; of the order of scores those that have one."""
    place = PLACES[sort]
    kept = [photo for photo in photos if place(photo) is not None]
    return [photo.id for photo in sorted(kept, key=lambda photo: (place(photo), photo.id), reverse=descending)]
