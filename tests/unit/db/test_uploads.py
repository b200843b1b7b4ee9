"""Files on their way in."""

import pytest

from db.batches import add_items, create_batch, seal_batch
from db.errors import ConflictError, NotFoundError
from db.session import Database
from db.uploads import advance_upload, finish_upload, open_upload, uploads_of
from db.users import local_admin
from tests.store import new_items


@pytest.fixture
def batch_id(database: Database) -> str:
    with database.transaction() as session:
        return create_batch(session, local_admin(session).id, "b", priority=5).id


def test_an_upload_resumes_where_it_was(database: Database, batch_id: str) -> None:
    """Opening again gives the same row; received bytes never become fewer."""
    with database.transaction() as session:
        upload = open_upload(session, batch_id, 1, "a.jpg", 100)
        advance_upload(session, upload.id, 60)
        advance_upload(session, upload.id, 40)
    with database.transaction() as session:
        again = open_upload(session, batch_id, 1, "a.jpg", 100)

        assert (again.id, again.received_bytes, again.done) == (upload.id, 60, False)


def test_a_number_stands_for_one_file(database: Database, batch_id: str) -> None:
    """Another path or size under it is refused."""
    with database.transaction() as session:
        open_upload(session, batch_id, 1, "a.jpg", 100)

        for path, size in (("b.jpg", 100), ("a.jpg", 101)):
            with pytest.raises(ConflictError, match="another number"):
                open_upload(session, batch_id, 1, path, size)


def test_a_finished_upload_has_all_its_bytes(database: Database, batch_id: str) -> None:
    """In the order of the numbers."""
    with database.transaction() as session:
        open_upload(session, batch_id, 2, "b.jpg", 5)
        finish_upload(session, open_upload(session, batch_id, 1, "a.jpg", 100).id)
    with database.reading() as session:
        rows = [(upload.number, upload.received_bytes, upload.done) for upload in uploads_of(session, batch_id)]

    assert rows == [(1, 100, True), (2, 0, False)]


def test_no_more_bytes_than_the_file_has(database: Database, batch_id: str) -> None:
    """And no upload that was never opened."""
    with database.transaction() as session:
        upload = open_upload(session, batch_id, 1, "a.jpg", 100)
        with pytest.raises(ConflictError, match="101"):
            advance_upload(session, upload.id, 101)
        with pytest.raises(NotFoundError):
            advance_upload(session, upload.id + 1, 1)
        with pytest.raises(NotFoundError):
            finish_upload(session, upload.id + 1)


def test_a_sealed_batch_receives_nothing(database: Database, batch_id: str) -> None:
    """Its files are complete."""
    with database.transaction() as session:
        open_upload(session, batch_id, 1, "a.jpg", 100)
        add_items(session, batch_id, new_items([1]))
        seal_batch(session, batch_id)

        with pytest.raises(ConflictError, match="new one"):
            open_upload(session, batch_id, 2, "b.jpg", 100)
