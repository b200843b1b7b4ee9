"""Whatever happens to a folder: after a quiet look each file is as `tag` would have it, and what has gone is marked."""

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.codes import JUNK
from db.errors import FolderAwayError
from db.session import Database
from tests.samples import numbered_photo, zip_of
from tests.store import without_disk_syncs
from tests.watching import Watched
from ui.listing import Found, examine, list_files

NAMES = (
    "a.jpg",
    "b.jpg",
    "album/a.jpg",
    "album/c.jpg",
    "album/deep/d.jpg",
    "note.txt",
    ".DS_Store",
    "p.zip",
    "no-suffix",
)
CONTENTS = (
    numbered_photo(1),
    numbered_photo(2),
    numbered_photo(3),
    b"",
    b"hello",
    zip_of({"a.jpg": numbered_photo(1)}),
)

Step = Callable[[Watched], None]


def write(name: str, content: bytes) -> Step:
    def step(watched: Watched) -> None:
        clear(watched.root / name, watched.root)
        watched.write(name, content)

    return step


def remove(name: str) -> Step:
    def step(watched: Watched) -> None:
        if os.path.lexists(watched.root / name):
            remove_any(watched.root / name)

    return step


def rename(old: str, new: str) -> Step:
    def step(watched: Watched) -> None:
        if old != new and (watched.root / old).is_file():
            clear(watched.root / new, watched.root)
            if (watched.root / old).is_file():
                (watched.root / new).parent.mkdir(parents=True, exist_ok=True)
                (watched.root / old).rename(watched.root / new)

    return step


def link(name: str) -> Step:
    def step(watched: Watched) -> None:
        clear(watched.root / name, watched.root)
        (watched.root / name).parent.mkdir(parents=True, exist_ok=True)
        (watched.root / name).symlink_to(watched.root)
        os.utime(watched.root / name, (1, 1), follow_symlinks=False)

    return step


def unmount(watched: Watched) -> None:
    """The drive is away for one look."""
    drive = watched.root.with_name("drive")
    had_files = any(not gone for _, _, _, gone in watched.items_below())
    watched.root.rename(drive)
    watched.root.mkdir()
    if had_files:
        with pytest.raises(FolderAwayError):
            watched.look()
    watched.root.rmdir()
    drive.rename(watched.root)


names, contents = st.sampled_from(NAMES), st.sampled_from(CONTENTS)
steps = st.one_of(
    st.builds(write, names, contents),
    st.builds(remove, st.sampled_from([*NAMES, "album"])),
    st.builds(rename, names, names),
    st.builds(link, names),
    st.sampled_from([Watched.restart, unmount]),
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(steps, st.booleans()), max_size=14))
def test_after_a_quiet_look_the_rows_are_as_the_folder_is(
    sqlite_database: Database, data_dir: Path, happened: list[tuple[Step, bool]]
) -> None:
    """Each example on a folder of its own in the same database."""
    without_disk_syncs(sqlite_database)
    place = Path(tempfile.mkdtemp(dir=data_dir.parent))
    watched = Watched(sqlite_database, data_dir, place / "Pictures")
    (watched.root / "kept").mkdir()  # an empty folder would be taken for a drive that is away

    for step, look in happened:
        step(watched)
        if look:
            watched.look()
    watched.look()
    assert watched.look().is_quiet

    there = {str(found.source.relative_to(watched.root)): found for found in files_of(watched)}
    last = watched.last(*NAMES)
    present = {path for path in last if path in there}
    assert present == set(there)
    for path, found in there.items():
        assert (last[path].code, last[path].sha256) == outcome(found)
    gone = {item_id for item_id, _, _, is_gone in watched.items_below() if is_gone}
    assert not {last[path].item_id for path in present} & gone
    for item_id, path, sha256, is_gone in watched.items_below():
        same = path in there and outcome(there[path])[1] == sha256
        assert is_gone or same, (item_id, path)
    shutil.rmtree(place)


def files_of(watched: Watched) -> list[Found]:
    """What `tag` would submit, without what it leaves out."""
    return [found for found in list_files(examine([watched.root]), ()) if found.code != JUNK]


def outcome(found: Found) -> tuple[str | None, str | None]:
    """Code and hash with which `tag` would submit a file."""
    return found.code, None if found.code is not None else hashlib.sha256(found.source.read_bytes()).hexdigest()


def clear(path: Path, root: Path) -> None:
    """Makes room for a file: what is there goes, and what stands in the way of its folders."""
    for place in itertools.chain([path], path.parents):
        if place == root:
            return
        if os.path.lexists(place) and (place == path or place.is_symlink() or not place.is_dir()):
            remove_any(place)


def remove_any(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
