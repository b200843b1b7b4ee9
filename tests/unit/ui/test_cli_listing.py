"""What a path on the command line holds: order, names, and what is not followed."""

import os
import socket
from pathlib import Path

import pytest

from db.errors import NotFoundError, PhototagError
from tests.samples import jpeg, photo_folder, zip_of
from ui.listing import Found, count_files, examine, list_files, shortest_distinct


def listed(*paths: Path, skip: frozenset[Path] = frozenset()) -> dict[str, str | None]:
    """Shown path and refusal of each file, in order."""
    return {found.path: found.code for found in found_in(*paths, skip=skip)}


def found_in(*paths: Path, skip: frozenset[Path] = frozenset()) -> list[Found]:
    """The files found below `paths`."""
    return list(list_files(examine(paths), skip))


def test_a_folder_is_listed_with_its_subfolders_in_order(tmp_path: Path) -> None:
    """The same order every time, so that positions are the same when a submission is resumed."""
    for name in ("b.jpg", "a/2.jpg", "a/10.jpg", "a.jpg", "c/d/e.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(8, 8))

    assert list(listed(tmp_path)) == ["a/10.jpg", "a/2.jpg", "a.jpg", "b.jpg", "c/d/e.png"]


def test_several_folders_keep_their_names_apart(tmp_path: Path) -> None:
    """Two folders with the same name are told apart by the folder above them."""
    for folder in ("2019/trip", "2020/trip", "other"):
        photo_folder(tmp_path / folder, 1)

    assert list(listed(tmp_path / "2019/trip", tmp_path / "2020/trip", tmp_path / "other")) == [
        "2019/trip/album-000/photo-00000.jpg",
        "2020/trip/album-000/photo-00000.jpg",
        "other/album-000/photo-00000.jpg",
    ]


def test_a_single_file_is_shown_by_its_name(tmp_path: Path) -> None:
    """The folder it lies in says nothing here."""
    (tmp_path / "a.jpg").write_bytes(jpeg(8, 8))

    assert listed(tmp_path / "a.jpg") == {"a.jpg": None}


def test_files_of_the_same_name_get_as_much_of_their_path_as_tells_them_apart() -> None:
    """`phototag tag 2019/*.jpg 2020/*.jpg` must leave no doubt which one was refused."""
    paths = [Path("/p/2019/x.jpg"), Path("/p/2020/x.jpg"), Path("/p/y.jpg")]

    assert shortest_distinct(paths) == ["2019/x.jpg", "2020/x.jpg", "y.jpg"]


def test_a_path_named_twice_or_inside_another_one_is_listed_once(tmp_path: Path) -> None:
    """Otherwise its photos would be counted twice."""
    photo_folder(tmp_path / "p", 2)

    assert len(listed(tmp_path / "p", tmp_path / "p" / "album-000", tmp_path / "p")) == 2


def test_links_are_not_followed_out_of_a_folder(tmp_path: Path) -> None:
    """A link in a shared folder must not pull in somebody's home."""
    secret = tmp_path / "secret"
    photo_folder(secret, 1)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "file.jpg").symlink_to(secret / "album-000" / "photo-00000.jpg")
    (folder / "folder").symlink_to(secret)
    (folder / "loop").symlink_to(folder)

    assert listed(folder) == {"file.jpg": "NOT_A_FILE", "folder": "NOT_A_FILE", "loop": "NOT_A_FILE"}


def test_a_link_that_a_person_names_is_what_it_points_to(tmp_path: Path) -> None:
    """They asked for it."""
    photo_folder(tmp_path / "p", 1)
    (tmp_path / "link").symlink_to(tmp_path / "p")

    assert list(listed(tmp_path / "link")) == ["album-000/photo-00000.jpg"]


def test_pipes_and_sockets_are_refused_without_being_opened(tmp_path: Path) -> None:
    """Opening a pipe waits for ever."""
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.jpg"))

        assert listed(tmp_path) == {"pipe.jpg": "NOT_A_FILE", "s.jpg": "NOT_A_FILE"}


def test_each_kind_of_file_gets_its_verdict_before_it_is_read(tmp_path: Path) -> None:
    """A video of 4 GB is not hashed to find out that it is none."""
    files = {
        ".DS_Store": b"x", "a.jpg": jpeg(8, 8), "b.jpg.xmp": b"<x/>", "c.txt": b"hello", "d.mp4": b"\0\0\0\x18ftypmp42",
        "e.zip": zip_of({"a.jpg": jpeg(8, 8)}), "empty.jpg": b"", "no-suffix": jpeg(8, 8),
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    assert listed(tmp_path) == {
        ".DS_Store": "SKIPPED_JUNK", "a.jpg": None, "b.jpg.xmp": "SKIPPED_JUNK", "c.txt": "UNSUPPORTED",
        "d.mp4": "UNSUPPORTED", "e.zip": "UNSUPPORTED", "empty.jpg": "EMPTY", "no-suffix": None,
    }  # fmt: skip


def test_an_archive_inside_a_folder_says_how_to_unpack_it(tmp_path: Path) -> None:
    """Refusing it silently would lose photos."""
    (tmp_path / "e.zip").write_bytes(zip_of({"a.jpg": jpeg(8, 8)}))

    (found,) = found_in(tmp_path)

    assert "name it on the command line" in found.detail


def test_the_data_directory_and_the_results_file_are_left_out(tmp_path: Path) -> None:
    """`phototag tag . --out results.csv` must not submit its own previews."""
    photo_folder(tmp_path, 1)
    photo_folder(tmp_path / "phototag-data", 3)
    (tmp_path / "results.csv").write_text("path\n")

    skip = frozenset({tmp_path / "phototag-data", tmp_path / "results.csv"})

    assert list(listed(tmp_path, skip=skip)) == ["album-000/photo-00000.jpg"]


def test_names_that_are_not_text_or_steer_terminals_are_shown_harmless_and_apart(tmp_path: Path) -> None:
    """Two names that look alike once they are clean get numbers."""
    for name in (b"a\x1b[31m.jpg", b"a\x1b[31m\xff.jpg", b"a\xfe.jpg", b"a\xfd.jpg"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(jpeg(8, 8))

    shown = list(listed(tmp_path))

    assert len(set(shown)) == 4
    assert all(name.isprintable() and name.encode() for name in shown)


def test_files_are_counted_only_as_far_as_is_asked(tmp_path: Path) -> None:
    """Junk does not count: a folder that holds nothing else holds no photos."""
    photo_folder(tmp_path, 5)
    (tmp_path / "Thumbs.db").write_bytes(b"x")

    assert [count_files(examine([tmp_path]), (), at_most=limit) for limit in (3, 100)] == [3, 5]


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """With control characters removed: the message goes to a terminal."""
    with pytest.raises(NotFoundError, match="does not exist") as caught:
        examine([tmp_path / "no\x1bthing"])

    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.rar", "a.7z"])
def test_an_archive_that_cannot_be_read_is_an_error_before_anything_is_created(tmp_path: Path, name: str) -> None:
    """It says what to do instead."""
    (tmp_path / name).write_bytes(b"Rar!\x1a\x07\0" if name.endswith("rar") else b"7z\xbc\xaf\x27\x1c")

    with pytest.raises(PhototagError, match=r"Pack the photos as \.zip or \.tar"):
        examine([tmp_path / name])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused_inside_a_folder_and_an_error_on_the_command_line(tmp_path: Path) -> None:
    """One locked folder among thousands must not end the batch."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    try:
        assert listed(tmp_path) == {"locked/": "NOT_READABLE"}
        with pytest.raises(PhototagError, match="Check its permissions"):
            examine([locked])
    finally:
        locked.chmod(0o700)
