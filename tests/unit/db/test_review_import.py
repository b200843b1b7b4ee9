"""Verdicts that were exported are said again elsewhere: the same counts, and the same photos are held out."""

from collections.abc import Sequence

from sqlalchemy import func, select

from db.labels import ensure_labels
from db.photos import NewPhoto, ensure_photos
from db.review_export import ReviewRow, iter_reviews
from db.review_import import ImportedRow, import_reviews
from db.reviews import undo
from db.schema import Photo, Review
from db.session import Database
from db.subsets import record_subsets, subsets_of
from db.users import local_admin
from tests.library_rows import add_user
from tests.review_rows import new_photos, say, shown_name


def test_a_database_that_is_built_anew_says_the_same(sqlite_database: Database, postgres_database: Database) -> None:
    """Labels, those taken back, none of them, the last word; and subsets, from SQLite to PostgreSQL. Twice is once."""
    with sqlite_database.transaction() as session:
        cat, dog = ensure_labels(session, [["cat"], ["dog"]])
        anna = add_user(session, "Anna", "reviewer")
        photos = new_photos(session, 6)
        say(session, local_admin(session), photos[:4], label_id=cat)
        say(session, anna, photos[2:3], label_id=dog)
        say(session, local_admin(session), photos[4:5], "none")
        say(session, anna, photos[5:], label_id=dog)
        undo(session, anna, token="back")
        record_subsets(session, {photos[0]: "holdout", photos[1]: "training", photos[5]: "neither"})
        rows = list(iter_reviews(session))
        expected = [shown_name(session, photo_id) for photo_id in photos]
    with postgres_database.transaction() as session:
        ids = ensure_photos(session, [NewPhoto(row.sha256, 1000, row.photo) for row in reversed(rows)])
        add_user(session, "Anna", "reviewer")
        admin = local_admin(session)

    found = import_reviews(postgres_database, imported(rows), admin)
    again = import_reviews(postgres_database, imported(rows), admin)

    here = [ids[sha256] for sha256 in sha256s(sqlite_database, photos)]
    with postgres_database.reading() as session:
        assert [shown_name(session, photo_id) for photo_id in here] == expected
        assert subsets_of(session, here) == {here[0]: "holdout", here[1]: "training", here[5]: "neither"}
        assert [(row.by, row.verdict, row.counts) for row in iter_reviews(session)] == [
            (row.by, row.verdict, row.counts) for row in rows
        ]
    assert (found.verdicts, found.undone, found.without_photo, found.refused) == (7, 1, 0, [])
    assert (again.verdicts, again.refused) == (0, [])


def test_what_cannot_be_said_is_told(database: Database) -> None:
    """A photo that is not there; a label that is retired. The rest is said, by whoever imports for who is not here."""
    with database.transaction() as session:
        photo_id = new_photos(session, 1)[0]
        sha256 = session.get_one(Photo, photo_id).sha256
        admin = local_admin(session)
    row = ImportedRow(
        review_id=1, action_id=1, by="Nobody", source="grid", token="t", sha256=sha256, verdict="correct", label="Owl"
    )
    elsewhere = row.model_copy(update={"review_id": 2, "action_id": 2, "sha256": "0" * 64})
    wrong = row.model_copy(update={"review_id": 3, "action_id": 3, "label": " "})

    found = import_reviews(database, [row, elsewhere, wrong], admin)

    assert (found.verdicts, found.without_photo, len(found.refused)) == (1, 1, 1)
    assert found.refused[0].startswith("review 3: ")
    with database.reading() as session:
        assert shown_name(session, photo_id) == "Owl"
        assert session.scalars(select(func.count()).select_from(Review)).one() == 1


def imported(rows: Sequence[ReviewRow]) -> list[ImportedRow]:
    """The rows as they are read from a file."""
    names = ImportedRow.model_fields
    return [ImportedRow(**{name: value for name, value in row._asdict().items() if name in names}) for row in rows]


def sha256s(database: Database, photo_ids: Sequence[int]) -> list[str]:
    """Hashes of photos, in order."""
    with database.reading() as session:
        return [session.get_one(Photo, photo_id).sha256 for photo_id in photo_ids]
