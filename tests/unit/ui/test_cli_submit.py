"""Submitting from the command line: in groups, resumed where it was interrupted, read in place or copied."""

import hashlib
import os
from pathlib import Path

import pytest

from db.batch_view import batch_progress, iter_items
from db.batches import cancel_batch
from db.blobs import open_blobs
from db.errors import ConflictError, PhototagError
from db.schema import Item
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from tests.samples import jpeg, photo_folder, zip_of
from ui import submit as submitting
from ui.listing import examine
from ui.submit import Intake, Submission, Submitter
from worker.limits import Limits


class Desk:
    """Submits for the local admin, and looks at what came of it."""

    def __init__(self, database: Database, data_dir: Path, limits: Limits | None = None) -> None:
        data = DataSettings(data_dir=data_dir)
        self.database = database
        self.blobs = open_blobs(data)
        self.intake = Intake(database, self.blobs, data, limits or Limits())
        with database.transaction() as session:
            self.owner = local_admin(session)

    def submitter(self, *paths: Path, copy: bool = False, fail_after_groups: int | None = None) -> Submitter:
        """A submitter whose process seems to be killed after some groups."""
        groups: list[str] = []

        def on_group(batch_id: str) -> None:
            groups.append(batch_id)
            if fail_after_groups == len(groups):
                raise KeyboardInterrupt

        return Submitter(self.intake, self.owner, Submission(examine(paths), copy), on_group)

    def submit(self, *paths: Path, copy: bool = False) -> str:
        """As the command does."""
        submitter = self.submitter(*paths, copy=copy)
        submitter.find_unfinished()
        return submitter.submit()

    def items(self, batch_id: str) -> list[Item]:
        """The batch's items in order."""
        with self.database.reading() as session:
            return [session.get_one(Item, view.item_id) for view in iter_items(session, batch_id)]


@pytest.fixture
def desk(sqlite_database: Database, data_dir: Path) -> Desk:
    """A desk on an empty database."""
    return Desk(sqlite_database, data_dir)


def test_files_read_in_place_keep_their_path_and_hash_and_nothing_is_copied(desk: Desk, tmp_path: Path) -> None:
    """A library of 100 GB must not be doubled."""
    paths = photo_folder(tmp_path / "p", 3)

    items = desk.items(desk.submit(tmp_path / "p"))

    assert [item.source_path for item in items] == [str(path) for path in paths]
    assert [item.position for item in items] == [0, 1, 2]
    assert not desk.blobs.has(hashlib.sha256(paths[0].read_bytes()).hexdigest())


def test_copied_files_are_in_the_blob_store_and_the_staging_folder_is_empty(desk: Desk, tmp_path: Path) -> None:
    """They may be deleted afterwards."""
    paths = photo_folder(tmp_path / "p", 3)

    items = desk.items(desk.submit(tmp_path / "p", copy=True))

    assert {item.source_path for item in items} == {None}
    for path in paths:
        assert desk.blobs.read(hashlib.sha256(path.read_bytes()).hexdigest()) == path.read_bytes()
    assert list(desk.intake.data.staging_dir.iterdir()) == []


def test_a_file_whose_name_is_not_text_is_copied(desk: Desk, tmp_path: Path) -> None:
    """The database cannot hold the name, so the file could not be found again."""
    folder = tmp_path / "p"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")).write_bytes(jpeg(8, 8))

    (item,) = desk.items(desk.submit(folder))

    assert (item.state, item.source_path) == ("ready", None)
    assert desk.blobs.has(hashlib.sha256(jpeg(8, 8)).hexdigest())


def test_an_interrupted_submission_goes_on_in_the_same_batch(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is there once, and those that came meanwhile too."""
    monkeypatch.setattr(submitting, "FILES_PER_GROUP", 4)
    photo_folder(tmp_path / "p", 10)
    interrupted = desk.submitter(tmp_path / "p", fail_after_groups=2)
    with pytest.raises(KeyboardInterrupt):
        interrupted.submit()
    assert interrupted.batch_id is not None
    assert len(desk.items(interrupted.batch_id)) == 8
    (tmp_path / "p" / "a-new-one.jpg").write_bytes(jpeg(8, 8))

    again = desk.submit(tmp_path / "p")

    assert again == interrupted.batch_id
    items = desk.items(again)
    assert len(items) == len({item.path for item in items}) == len({item.position for item in items}) == 11
    with desk.database.reading() as session:
        assert batch_progress(session, again).state == "running"


def test_a_batch_whose_files_are_all_listed_is_found_again_until_it_is_finished(desk: Desk, tmp_path: Path) -> None:
    """The same paths in another order are the same; other paths, or a copy, are not."""
    photo_folder(tmp_path / "a", 1)
    photo_folder(tmp_path / "b", 1)
    first = desk.submit(tmp_path / "a", tmp_path / "b")

    assert desk.submit(tmp_path / "b", tmp_path / "a") == first
    assert desk.submit(tmp_path / "a") != first
    assert desk.submit(tmp_path / "a", tmp_path / "b", copy=True) != first
    assert len(desk.items(first)) == 2

    with desk.database.transaction() as session:
        cancel_batch(session, first)

    assert desk.submit(tmp_path / "a", tmp_path / "b") != first


def test_a_batch_that_is_cancelled_while_its_files_are_listed_takes_no_more(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelling is final, also for the command that is still listing."""
    monkeypatch.setattr(submitting, "FILES_PER_GROUP", 2)
    photo_folder(tmp_path / "p", 6)

    def cancel(batch_id: str) -> None:
        with desk.database.transaction() as session:
            cancel_batch(session, batch_id)

    submitter = Submitter(desk.intake, desk.owner, Submission(examine([tmp_path / "p"])), cancel)

    with pytest.raises(ConflictError, match="closed"):
        submitter.submit()
    assert submitter.batch_id is not None
    assert len(desk.items(submitter.batch_id)) == 2


@pytest.mark.parametrize(("count", "priority"), [(1, 0), (2, 2), (50, 2), (51, 5)])
def test_small_submissions_go_first(desk: Desk, tmp_path: Path, count: int, priority: int) -> None:
    """A single photo overtakes a folder of thousands."""
    photo_folder(tmp_path / "p", count, width=8, height=8)

    assert {item.priority for item in desk.items(desk.submit(tmp_path / "p"))} == {priority}


def test_archives_are_left_to_the_worker_in_place_or_as_a_copy(desk: Desk, tmp_path: Path) -> None:
    """Unpacking takes long; the command line only names them."""
    archive = tmp_path / "p.zip"
    archive.write_bytes(zip_of({"a.jpg": jpeg(8, 8)}))

    for copy in (False, True):
        batch_id = desk.submit(archive, copy=copy)
        with desk.database.reading() as session:
            progress = batch_progress(session, batch_id)

        assert (progress.state, progress.total) == ("unpacking", 0)
        assert [(view.path, view.state) for view in progress.archives] == [("p.zip", "ready")]
    assert desk.blobs.has(hashlib.sha256(archive.read_bytes()).hexdigest())


def test_a_file_that_is_too_large_is_refused_without_being_read(
    sqlite_database: Database, data_dir: Path, tmp_path: Path
) -> None:
    """Its size says enough."""
    desk = Desk(sqlite_database, data_dir, Limits(max_photo_bytes=1000))
    (tmp_path / "big.jpg").write_bytes(jpeg(8, 8) + bytes(1000))

    (item,) = desk.items(desk.submit(tmp_path / "big.jpg"))

    assert (item.state, item.code, item.photo_id) == ("refused", "TOO_BIG", None)


def test_an_empty_submission_leaves_no_batch(desk: Desk, tmp_path: Path) -> None:
    """Also when the files vanish between two looks."""
    (tmp_path / "p").mkdir()
    submitter = desk.submitter(tmp_path / "p")

    with pytest.raises(PhototagError, match="holds no photos"):
        submitter.submit()

    assert submitter.batch_id is None
