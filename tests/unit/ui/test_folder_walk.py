"""A look at a folder opens nothing: gentle on network drives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.session import Database
from tests.integration.processes import ROOT
from tests.samples import numbered_photo
from tests.watching import LONG_AGO_S, Watched
from ui.folder_walk import Walk

FILES = 2000

# Counts what Python asks the system to open or list below a folder, whoever in the process asks.
LOOK_AGAIN = """
import sys
from pathlib import Path
from db.session import Database
from tests.watching import Watched

url, data_dir, folder = sys.argv[1:]
watched = Watched(Database(url), Path(data_dir), Path(folder))
counts = {"open": 0, "os.scandir": 0}

def count(event, arguments):
    if event in counts and str(arguments[0]).startswith(folder):
        counts[event] += 1

sys.addaudithook(count)
print(watched.look().line(), counts["open"], counts["os.scandir"], sep="; ")
"""


def test_an_unchanged_folder_of_thousands_of_files_is_looked_at_without_opening_any(
    sqlite_database: Database, data_dir: Path, tmp_path: Path
) -> None:
    """One listing for each subfolder and two for the folder itself to see that it is there, nothing else."""
    watched = Watched(sqlite_database, data_dir, tmp_path / "Pictures")
    for number in range(FILES):
        path = watched.root / f"{number // 100:02}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(numbered_photo(number % 20) + str(number).encode())
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    assert watched.look().new == FILES

    arguments = [sqlite_database.url, str(data_dir), str(watched.root)]
    code = [sys.executable, "-c", LOOK_AGAIN, *arguments]
    unchanged = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert unchanged.stdout.strip() == "nothing new; 0; 23", unchanged.stderr

    watched.write("00/1.jpg", numbered_photo(1))
    changed = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert changed.stdout.split("; ")[1:] == ["1", "23\n"], changed.stderr


def test_files_come_sorted_folder_by_folder_without_those_of_the_system(tmp_path: Path) -> None:
    """Folders of thumbnails, of which network drives are full, are not even listed."""
    for name in ("b.jpg", "a/2.jpg", "a/c/1.jpg", "@eaDir/b.jpg/thumb.jpg", ".DS_Store", "data/x.jpg", "z/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    walk = Walk(tmp_path, {tmp_path / "data"})

    assert [sighting.path for sighting in walk.files()] == ["b.jpg", "a/2.jpg", "a/c/1.jpg", "z/1.jpg"]
    assert walk.unreadable == []


@pytest.mark.parametrize(
    ("unreadable", "path", "hidden"),
    [("a/", "a/b/1.jpg", True), ("a/", "ab.jpg", False), ("a.jpg", "a.jpg", True), ("", "a.jpg", False)],
)
def test_what_could_not_be_found_out_is_known_by_its_place(
    tmp_path: Path, unreadable: str, path: str, *, hidden: bool
) -> None:
    """A folder hides what is in it and not what is named alike."""
    walk = Walk(tmp_path, ())
    walk.unreadable.append(unreadable)

    assert walk.hides(path) == hidden


def test_a_subfolder_whose_path_is_too_long_for_the_system_is_unreadable_and_ends_nothing(tmp_path: Path) -> None:
    """Some servers allow what the client cannot open."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    walk = Walk(tmp_path, ())

    assert [sighting.path for sighting in walk.files()] == ["a.jpg"]
    (name,) = walk.unreadable
    assert name.endswith("d/")
