"""Looks at a watched folder: what is submitted, what is marked as gone, what is left alone. On both databases."""

import hashlib
import os
import shutil
import socket
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from db.batches import cancel_batch
from db.errors import ConflictError, DatabaseUnavailableError, FolderAwayError
from db.items import Refused, claim_items, finish_items
from db.session import Database
from db.users import local_admin
from db.watched import find_folder, forget_folder, list_folders
from tests.samples import jpeg, numbered_photo, photo_folder, zip_of
from tests.watching import Watched
from ui import submit as submitting
from ui import watch as watching
from ui.listing import examine
from ui.submit import Submission, Submitter


@pytest.fixture
def watched(database: Database, data_dir: Path, tmp_path: Path) -> Watched:
    """A watched folder without files."""
    return Watched(database, data_dir, tmp_path / "Pictures")


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fail_all(watched: Watched, code: str) -> None:
    """A worker fails on everything that is ready."""
    with watched.database.transaction() as session:
        items = claim_items(session, "w", 100, 60)
        finish_items(session, "w", [Refused(item.item_id, item.attempt, code) for item in items])


def die_after_a_group(watched: Watched) -> None:
    """A look whose process seems to be killed after its first group."""

    def die(_batch_id: str) -> None:
        raise KeyboardInterrupt

    watched.restart(die)
    with pytest.raises(KeyboardInterrupt):
        watched.look()


def test_the_first_look_submits_every_file_and_the_second_one_nothing(watched: Watched) -> None:
    """Read in place, in one batch that says folder and time."""
    watched.write("a.jpg", numbered_photo(1))
    watched.write("sub/b.jpg", numbered_photo(2))

    changes = watched.look()

    assert changes.line() == f"2 new: batch {changes.batch_id}"
    assert [(path, state) for path, state, _, _ in watched.items()] == [("a.jpg", "ready"), ("sub/b.jpg", "ready")]
    (batch,) = watched.batches()
    assert (batch.id, batch.state) == (changes.batch_id, "running")
    assert batch.name.startswith("Pictures, ")
    assert watched.counts() == (0, 0, 0, 0)
    assert len(watched.batches()) == 1


def test_new_changed_and_removed_files_are_found(watched: Watched) -> None:
    """What a changed file was before has gone with its bytes."""
    for number in range(3):
        watched.write(f"{number}.jpg", numbered_photo(number))
    watched.look()

    watched.write("1.jpg", numbered_photo(11))
    watched.write("3.jpg", numbered_photo(3))
    (watched.root / "2.jpg").unlink()

    assert watched.counts() == (1, 1, 1, 0)
    assert [(path, sha256, gone) for path, _, sha256, gone in watched.items()] == [
        ("0.jpg", sha256_of(numbered_photo(0)), False),
        ("1.jpg", sha256_of(numbered_photo(1)), True),
        ("2.jpg", sha256_of(numbered_photo(2)), True),
        ("1.jpg", sha256_of(numbered_photo(11)), False),
        ("3.jpg", sha256_of(numbered_photo(3)), False),
    ]


def test_a_renamed_file_is_the_same_photo_at_a_second_place(watched: Watched) -> None:
    """Only its first place has gone."""
    watched.write("a.jpg", numbered_photo(1))
    watched.look()

    (watched.root / "a.jpg").rename(watched.root / "b.jpg")

    assert watched.counts() == (1, 0, 1, 0)
    photo = sha256_of(numbered_photo(1))
    assert watched.items() == [("a.jpg", "ready", photo, True), ("b.jpg", "ready", photo, False)]


@pytest.mark.parametrize("kept", ["in place", "copied"])
def test_a_file_that_comes_back_as_it_was_is_not_submitted_again(
    database: Database, data_dir: Path, tmp_path: Path, kept: str
) -> None:
    """A subfolder that was on another drive costs nothing when it is there again."""
    watched = Watched(database, data_dir, tmp_path / "Pictures", copy=kept == "copied")
    watched.write("kept.jpg", numbered_photo(0))
    watched.write("trip/a.jpg", numbered_photo(1))
    watched.write("trip/note.txt", b"hello")
    watched.look()

    (watched.root / "trip").rename(tmp_path / "away")
    assert watched.counts() == (0, 0, 2, 0)
    assert watched.gone() == {"kept.jpg": False, "trip/a.jpg": True, "trip/note.txt": True}

    (tmp_path / "away").rename(watched.root / "trip")
    assert watched.counts() == (0, 0, 0, 2)
    assert not any(watched.gone().values())
    assert len(watched.batches()) == 1


def test_a_file_that_was_only_touched_stays_where_it_is_submitted(watched: Watched) -> None:
    """The same bytes tell nothing new; nor does a catalogue that changes every minute and is no photo."""
    watched.write("a.jpg", numbered_photo(1))
    watched.write("library.lrcat", b"one")
    watched.look()

    watched.touch("a.jpg")
    watched.write("library.lrcat", b"two")

    assert watched.look().is_quiet
    assert len(watched.items()) == 2
    assert not any(watched.gone().values())


@pytest.mark.parametrize("how", ["missing", "empty", "a file"])
def test_a_folder_whose_drive_is_away_loses_nothing(watched: Watched, tmp_path: Path, how: str) -> None:
    """An unmounted drive leaves an empty folder, or none."""
    watched.write("a.jpg", numbered_photo(1))
    watched.look()

    watched.root.rename(tmp_path / "drive")
    if how == "empty":
        watched.root.mkdir()
    if how == "a file":
        watched.root.write_bytes(b"")

    with pytest.raises(FolderAwayError, match="Is its drive connected"):
        watched.look()
    assert watched.gone() == {"a.jpg": False}

    if watched.root.exists():
        watched.root.rename(tmp_path / "mount point")
    (tmp_path / "drive").rename(watched.root)
    assert watched.look().is_quiet


def test_an_empty_folder_that_never_held_anything_is_no_trouble(watched: Watched) -> None:
    """Scanners are set up before the first scan. The data directory in it does not count."""
    assert watched.look().line() == "nothing new"


def test_the_last_file_of_a_folder_that_still_has_subfolders_may_go(watched: Watched) -> None:
    """The drive is there: its folders are."""
    watched.write("a/1.jpg", numbered_photo(1))
    watched.look()

    (watched.root / "a/1.jpg").unlink()

    assert watched.counts() == (0, 0, 1, 0)


def test_what_lies_in_a_subfolder_that_cannot_be_read_stays_as_it_is(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is beside it can be said to have gone."""
    for path in ("locked/a.jpg", "open/b.jpg"):
        watched.write(path, numbered_photo(len(path)))
    watched.look()
    (watched.root / "open/b.jpg").unlink()
    scandir = os.scandir

    def deny(path: Path) -> object:  # permissions do not stop root, as whom containers run tests
        if path == watched.root / "locked":
            raise PermissionError
        return scandir(path)

    with monkeypatch.context() as denied:
        denied.setattr(os, "scandir", deny)
        changes = watched.look()

    assert (changes.gone, changes.unreadable) == (1, ("locked/",))
    assert watched.gone() == {"locked/a.jpg": False, "open/b.jpg": True}


def test_a_file_that_is_being_written_is_left_until_it_rests(watched: Watched) -> None:
    """Half a photo would be refused as damaged."""
    path = watched.write("a.jpg", numbered_photo(1)[:300])
    os.utime(path)

    changes = watched.look()
    assert (changes.new, changes.unsettled) == (0, 1)

    watched.write("a.jpg", numbered_photo(1))
    assert watched.counts() == (1, 0, 0, 0)
    assert watched.items() == [("a.jpg", "ready", sha256_of(numbered_photo(1)), False)]


def test_a_clock_of_a_drive_that_runs_ahead_holds_nothing_back(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What matters is that the file does not change from one look to the next."""
    monkeypatch.setattr(watching, "SETTLED_S", 0.2)
    path = watched.write("a.jpg", numbered_photo(1))
    in_an_hour = time.time() + 3600
    os.utime(path, (in_an_hour, in_an_hour))

    assert watched.look().unsettled == 1
    time.sleep(0.25)
    os.utime(path, (in_an_hour + 1, in_an_hour + 1))
    assert watched.look().unsettled == 1
    time.sleep(0.25)
    assert watched.look().new == 1


def test_verdicts_are_those_of_tagging_a_folder(watched: Watched, tmp_path: Path) -> None:
    """Junk is not even counted; links are not followed; archives say how to unpack them."""
    files = {"a.jpg": jpeg(8, 8), "c.txt": b"hello", "e.zip": zip_of({"a.jpg": jpeg(8, 8)}), "empty.jpg": b"", "no-suffix": jpeg(8, 8)}  # fmt: skip
    for name, content in {**files, ".DS_Store": b"x", ".git/a.jpg": jpeg(8, 8), "a.jpg.xmp": b"<x/>"}.items():
        watched.write(name, content)
    (tmp_path / "secret").mkdir()
    (watched.root / "link").symlink_to(tmp_path / "secret")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(watched.root / "s.jpg"))
    for name in ("link", "s.jpg"):
        os.utime(watched.root / name, (1, 1), follow_symlinks=False)

    watched.look()

    assert {path: item.code for path, item in watched.last(*files, "link", "s.jpg").items()} == {
        "a.jpg": None, "c.txt": "UNSUPPORTED", "e.zip": "UNSUPPORTED", "empty.jpg": "EMPTY", "link": "NOT_A_FILE",
        "no-suffix": None, "s.jpg": "NOT_A_FILE",
    }  # fmt: skip
    assert len(watched.items()) == 7


def test_a_name_that_is_no_text_is_watched_too(watched: Watched) -> None:
    """Unix names are bytes; such a file is copied, as its name cannot be kept."""
    name = os.fsdecode(b"\xff.jpg")
    watched.write(name, numbered_photo(1))
    assert watched.look().new == 1

    assert watched.look().is_quiet
    (watched.root / name).unlink()
    watched.write("other.jpg", numbered_photo(2))

    assert watched.counts() == (1, 0, 1, 0)
    assert watched.gone() == {"\N{REPLACEMENT CHARACTER}.jpg": True, "other.jpg": False}


def test_the_data_directory_inside_the_folder_is_left_out(database: Database, data_dir: Path) -> None:
    """`phototag watch .` must not submit its own previews."""
    watched = Watched(database, data_dir, data_dir.parent)
    photo_folder(data_dir / "previews", 2)
    watched.write("a.jpg", numbered_photo(1))

    assert watched.counts() == (1, 0, 0, 0)


def test_an_interrupted_look_goes_on_in_its_batch_and_takes_each_file_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two groups: the next process finds the batch open, and what was left."""
    monkeypatch.setattr(submitting, "FILES_PER_GROUP", 2)
    for number in range(5):
        watched.write(f"{number}.jpg", numbered_photo(number))

    die_after_a_group(watched)
    assert [batch.state for batch in watched.batches()] == ["receiving"]

    watched.restart()
    assert watched.look().new == 3

    (batch,) = watched.batches()
    assert batch.state == "running"
    assert sorted(watched.gone()) == [f"{number}.jpg" for number in range(5)]
    assert len(watched.items()) == 5


def test_a_batch_left_open_is_sealed_even_if_nothing_is_new(watched: Watched) -> None:
    """Killed just before the seal: it would never be finished."""
    watched.write("a.jpg", numbered_photo(1))

    die_after_a_group(watched)
    watched.restart()

    assert watched.look().is_quiet
    assert [batch.state for batch in watched.batches()] == ["running"]


def test_a_batch_that_is_cancelled_during_the_look_is_said_and_the_rest_comes_later(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelling is final for what the batch held."""
    monkeypatch.setattr(submitting, "FILES_PER_GROUP", 2)
    for number in range(5):
        watched.write(f"{number}.jpg", numbered_photo(number))

    def cancel(batch_id: str) -> None:
        with watched.database.transaction() as session:
            cancel_batch(session, batch_id)

    watched.restart(cancel)
    with pytest.raises(ConflictError, match="was cancelled"):
        watched.look()

    watched.restart()
    assert watched.look().new == 3
    assert len(watched.items()) == 5


def test_photos_that_failed_because_their_drive_was_away_are_submitted_again_a_few_times(watched: Watched) -> None:
    """Nobody would miss them otherwise; but a worker on another machine will never find them."""
    watched.write("a.jpg", numbered_photo(1))
    watched.look()
    for _ in range(watching.MOST_REPEATS):
        fail_all(watched, "SOURCE_GONE")
        assert watched.counts() == (0, 1, 0, 0)
    fail_all(watched, "SOURCE_GONE")

    assert watched.look().is_quiet
    assert not watched.gone()["a.jpg"]
    watched.restart()
    assert watched.look().changed == 1


def test_a_photo_that_the_network_failed_on_is_left_to_the_person(watched: Watched) -> None:
    """`phototag batches retry` is for that."""
    watched.write("a.jpg", numbered_photo(1))
    watched.look()
    fail_all(watched, "MODEL_ERROR")

    assert watched.look().is_quiet


def test_the_same_photo_submitted_by_hand_before_has_gone_from_there_as_well(watched: Watched) -> None:
    """It lies at the same place. The same photo elsewhere is untouched."""
    content = numbered_photo(1)
    watched.write("a.jpg", content)
    (watched.root.parent / "elsewhere.jpg").write_bytes(content)
    for path in (watched.root, watched.root.parent / "elsewhere.jpg"):
        Submitter(watched.desk.intake, watched.owner, Submission(examine([path])), lambda _: None).submit()
    watched.look()
    watched.write("b.jpg", numbered_photo(2))
    (watched.root / "a.jpg").unlink()

    watched.look()

    assert [(path, gone) for path, _, _, gone in watched.items()] == [
        ("a.jpg", True), ("elsewhere.jpg", False), ("a.jpg", True), ("b.jpg", False),
    ]  # fmt: skip


def test_a_forgotten_folder_leaves_its_photos_and_begins_anew(watched: Watched) -> None:
    """It is listed until then."""
    watched.write("a.jpg", numbered_photo(1))
    watched.look()

    with watched.database.transaction() as session:
        owner = local_admin(session)
        (view,) = list_folders(session, owner)
        folder = find_folder(session, owner.id, str(watched.root))
        assert folder is not None
        forget_folder(session, folder.id)
        assert list_folders(session, owner) == []

    assert (view.path, view.files, view.gone, view.scanned_at is not None) == (str(watched.root), 1, 0, True)
    assert watched.gone() == {"a.jpg": False}
    assert watched.look().new == 1


def test_many_files_that_go_at_once_are_marked_in_groups(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of what is remembered, groups of what is marked."""
    monkeypatch.setattr(watching, "FILES_PER_MARKING", 3)
    monkeypatch.setattr(watching, "FILES_PER_COMPARISON", 4)
    for number in range(10):
        watched.write(f"{number}.jpg", numbered_photo(number))
    watched.look()
    for number in range(8):
        (watched.root / f"{number}.jpg").unlink()

    assert watched.counts() == (0, 0, 8, 0)
    assert [path for path, gone in watched.gone().items() if not gone] == ["8.jpg", "9.jpg"]


def test_a_database_that_is_away_loses_nothing(postgres_database: Database, data_dir: Path, tmp_path: Path) -> None:
    """The next look finds the same again."""
    watched = Watched(postgres_database, data_dir, tmp_path / "Pictures")
    watched.write("a.jpg", numbered_photo(1))
    url = make_url(postgres_database.url)
    name = url.database
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    postgres_database.close()

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")  # pyright: ignore[reportArgumentType, reportCallIssue]
        with pytest.raises(DatabaseUnavailableError):
            watched.look()
        connection.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")  # pyright: ignore[reportArgumentType, reportCallIssue]

    assert watched.look().new == 1


@pytest.mark.parametrize(("looked_s", "pause_s"), [(0.1, 30.0), (60.0, 1140.0)])
def test_at_most_a_twentieth_of_the_time_is_spent_looking(looked_s: float, pause_s: float) -> None:
    """A network drive that takes a minute to be looked at is asked every 20 minutes."""
    assert watching.pause_after(looked_s, 30.0) == pause_s
    assert looked_s / (looked_s + pause_s) <= 0.05


def test_a_folder_that_vanishes_and_returns_as_another_kind_of_thing_is_marked(watched: Watched) -> None:
    """A file where a folder was, and the other way round."""
    watched.write("a/1.jpg", numbered_photo(1))
    watched.write("b", numbered_photo(2))
    watched.look()
    shutil.rmtree(watched.root / "a")
    (watched.root / "b").unlink()
    watched.write("a", numbered_photo(3))
    watched.write("b/1.jpg", numbered_photo(4))

    assert watched.counts() == (2, 0, 2, 0)
