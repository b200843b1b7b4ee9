"""`phototag watch` from end to end: real processes, a real broker, a real database, files that come and go."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from db.session import Database
from tests.integration.command_line import phototag, query, running
from tests.integration.processes import wait_until
from tests.samples import numbered_photo, photo_folder

# Real processes beside other tests: each command takes 4 s alone.
pytestmark = pytest.mark.timeout(300)

PATIENCE_S = 90.0
LONG_AGO_S = 1_500_000_000


def items(data_dir: Path) -> list[tuple[str, str, bool]]:
    """Path, state and whether it is gone, of every item in the order of submission."""
    rows = query(data_dir, "SELECT json_array(path, state, gone_at IS NOT NULL) FROM items ORDER BY id")
    return [(path, state, bool(gone)) for path, state, gone in map(json.loads, rows)]


def wait_for_items(data_dir: Path, condition: Callable[[list[tuple[str, str, bool]]], bool], what: str) -> None:
    """Returns when the items are so."""
    wait_until(lambda: condition(items(data_dir)), PATIENCE_S, what)


def put(path: Path, number: int) -> None:
    """A photo that somebody put there long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(numbered_photo(number))
    os.utime(path, (LONG_AGO_S + number, LONG_AGO_S + number))


def once(folder: Path, data_dir: Path, *options: str) -> tuple[int, str]:
    """Exit code and output of `phototag watch --once`."""
    result = phototag("watch", folder, "--once", *options, "--data-dir", data_dir)
    return result.returncode, result.stdout + ("" if result.returncode in (0, 3) else result.stderr)


def test_once_finds_what_is_new_changed_renamed_and_gone_and_its_exit_code_says_whether_all_was_tagged(
    tmp_path: Path,
) -> None:
    """For cron: each run takes what has changed since the last one."""
    folder, data_dir = tmp_path / "Pictures", tmp_path / "data"
    for number in range(4):
        put(folder / f"{number}.jpg", number)

    code, output = once(folder, data_dir)
    assert (code, "Pictures: 4 new: batch " in output, "4 of 4 photos tagged" in output) == (0, True, True), output

    put(folder / "0.jpg", 10)
    (folder / "1.jpg").rename(folder / "renamed.jpg")
    (folder / "2.jpg").unlink()
    code, output = once(folder, data_dir)
    assert (code, "1 new, 1 changed, 2 gone: batch" in output) == (0, True), output
    assert sorted(items(data_dir)[:4]) == [
        ("0.jpg", "tagged", True), ("1.jpg", "tagged", True), ("2.jpg", "tagged", True), ("3.jpg", "tagged", False),
    ]  # fmt: skip
    assert sorted(items(data_dir)[4:]) == [("0.jpg", "tagged", False), ("renamed.jpg", "tagged", False)]

    (folder / "note.txt").write_text("hello")
    code, output = once(folder, data_dir)
    assert (code, "note.txt: this kind of file" in output) == (3, True), output

    code, output = once(folder, data_dir, "--json")
    summary = json.loads(output)
    assert (code, summary["batches"]) == (0, [])
    assert summary["looks"][0] == {
        "folder": "Pictures", "new": 0, "changed": 0, "gone": 0, "back": 0, "unsettled": 0, "batch": None,
    }  # fmt: skip

    folder.rename(tmp_path / "drive")
    folder.mkdir()
    code, output = once(folder, data_dir)
    assert (code, "Is its drive connected?" in output) == (1, True), output
    assert ("3.jpg", "tagged", False) in items(data_dir)


@pytest.mark.slow
def test_a_folder_is_watched_until_ctrl_c_through_all_that_happens_to_it(tmp_path: Path) -> None:
    """New, half-written, gone, back, and its drive away and back; a second watcher is refused."""
    folder, data_dir = tmp_path / "Pictures", tmp_path / "data"
    put(folder / "a.jpg", 1)

    with running("watch", folder, "--every", 0.5, "--data-dir", data_dir) as command:
        wait_for_items(data_dir, lambda found: found == [("a.jpg", "tagged", False)], "the first photo")

        second = phototag("watch", folder, "--data-dir", data_dir)
        assert (second.returncode, "Another `phototag watch` is at work on Pictures" in second.stderr) == (1, True)

        write_slowly(folder / "b.jpg", numbered_photo(2))
        wait_for_items(data_dir, lambda found: ("b.jpg", "tagged", False) in found, "the second photo")
        assert len(items(data_dir)) == 2

        (folder / "b.jpg").rename(tmp_path / "b.jpg")
        wait_for_items(data_dir, lambda found: ("b.jpg", "tagged", True) in found, "gone")
        (tmp_path / "b.jpg").rename(folder / "b.jpg")
        wait_for_items(data_dir, lambda found: ("b.jpg", "tagged", False) in found, "back")

        folder.rename(tmp_path / "drive")
        command.wait_for("Pictures is not there. Is its drive connected?")
        time.sleep(2.0)
        assert not any(gone for _, _, gone in items(data_dir))
        (tmp_path / "drive").rename(folder)
        command.wait_for("All is well again with Pictures")
        put(folder / "c.jpg", 3)
        wait_for_items(data_dir, lambda found: ("c.jpg", "tagged", False) in found, "after the drive was back")

        command.process.send_signal(signal.SIGINT)
        assert command.end() == 130

    assert "Stopped. Nothing is lost" in command.output
    assert command.output.count("Is its drive connected?") == 1
    assert len(items(data_dir)) == 3


@pytest.mark.faults
def test_killed_in_the_middle_it_goes_on_to_each_photo_once_and_finds_what_changed_meanwhile(tmp_path: Path) -> None:
    """SIGKILL while files are being submitted: nothing twice, nothing lost."""
    folder, data_dir = tmp_path / "Pictures", tmp_path / "data"
    paths = photo_folder(folder, 600)
    for path in paths:
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))

    with running("watch", folder, "--data-dir", data_dir) as command:
        wait_for_items(data_dir, lambda found: len(found) >= 100, "100 items")
        command.process.kill()
        command.end()
    put(folder / "later.jpg", 1000)
    paths[0].unlink()

    code, output = once(folder, data_dir)

    assert code in (0, 3), output  # the vanished one may have been tagged before, or not
    found = items(data_dir)
    names = {str(path.relative_to(folder)) for path in paths}
    assert {path for path, _, _ in found} - names == {"later.jpg"}
    assert {path for path, state, gone in found if state == "tagged" and not gone} == (names | {"later.jpg"}) - {
        str(paths[0].relative_to(folder))
    }
    assert len(found) == len({path for path, _, _ in found})


@pytest.mark.slow
def test_folders_that_were_watched_are_listed_and_forgotten(tmp_path: Path) -> None:
    """What does not exist, and what is no folder, is one line."""
    folder, data_dir = tmp_path / "Pictures", tmp_path / "data"
    put(folder / "a.jpg", 1)
    once(folder, data_dir)

    listed = json.loads(phototag("watch", "--list", "--json", "--data-dir", data_dir).stdout)
    assert [(row["path"], row["files"], row["gone"]) for row in listed] == [(str(folder), 1, 0)]

    forgotten = phototag("watch", "--forget", folder, "--data-dir", data_dir)
    assert (forgotten.returncode, "Its photos stay" in forgotten.stderr) == (0, True)
    again = phototag("watch", "--forget", folder, "--data-dir", data_dir)
    assert (again.returncode, "was not watched" in again.stderr) == (1, True)
    assert items(data_dir) == [("a.jpg", "tagged", False)]

    for name, said in (("nowhere", "does not exist"), ("Pictures/a.jpg", "is not a folder")):
        wrong = phototag("watch", tmp_path / name, "--data-dir", data_dir)
        assert (wrong.returncode, said in wrong.stderr, wrong.stderr.count("\n")) == (1, True, 1)


@pytest.mark.slow
def test_a_folder_whose_drive_is_not_connected_yet_may_be_watched_again(tmp_path: Path) -> None:
    """A service starts before the network drive is there."""
    folder, data_dir = tmp_path / "Pictures", tmp_path / "data"
    put(folder / "a.jpg", 1)
    once(folder, data_dir)
    folder.rename(tmp_path / "drive")

    with running("watch", folder, "--every", 0.5, "--data-dir", data_dir) as command:
        command.wait_for("Pictures is not there")
        put(tmp_path / "drive/b.jpg", 2)
        (tmp_path / "drive").rename(folder)
        wait_for_items(data_dir, lambda found: ("b.jpg", "tagged", False) in found, "the new photo")

    assert items(data_dir) == [("a.jpg", "tagged", False), ("b.jpg", "tagged", False)]


@pytest.mark.faults
def test_photos_that_could_not_be_found_while_the_drive_was_away_are_tagged_when_it_is_back(tmp_path: Path) -> None:
    """They were accepted, and failed; nobody has to submit them again."""
    folder, data_dir = tmp_path / "Pictures", tmp_path / "data"
    photo_folder(folder, 5)

    with running("watch", folder, "--every", 0.5, "--data-dir", data_dir) as command:
        wait_for_items(data_dir, lambda found: len(found) == 5, "5 items")
        folder.rename(tmp_path / "drive")
        states = {"tagged", "failed"}
        wait_for_items(data_dir, lambda found: {state for _, state, _ in found} <= states, "no drive")
        (tmp_path / "drive").rename(folder)
        done = "SELECT count(DISTINCT path) FROM items WHERE state = 'tagged' AND gone_at IS NULL"
        wait_until(lambda: query(data_dir, done) == [5], PATIENCE_S, "5 tagged")
        command.process.send_signal(signal.SIGINT)
        command.end()


@pytest.mark.slow
def test_photos_are_watched_with_postgresql_as_well(postgres_database: Database, tmp_path: Path) -> None:
    """The same command, on the database of several machines."""
    folder, data_dir = tmp_path / "Pictures", tmp_path / "data"
    put(folder / "a.jpg", 1)
    put(folder / "b.jpg", 2)
    url = postgres_database.url

    first = phototag("watch", folder, "--once", "--data-dir", data_dir, PHOTOTAG_DATABASE_URL=url)
    assert (first.returncode, "2 of 2 photos tagged" in first.stdout) == (0, True), first.stderr
    (folder / "a.jpg").unlink()
    second = phototag("watch", folder, "--once", "--data-dir", data_dir, PHOTOTAG_DATABASE_URL=url)
    assert (second.returncode, "Pictures: 1 gone\n" in second.stdout) == (0, True), second.stderr


def write_slowly(path: Path, content: bytes) -> None:
    """Writes a file as a slow copy does."""
    with path.open("wb") as file:
        for start in range(0, len(content), len(content) // 8):
            file.write(content[start : start + len(content) // 8])
            file.flush()
            time.sleep(0.5)
