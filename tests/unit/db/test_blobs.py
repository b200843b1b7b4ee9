"""Blobs: in a folder, and through the store for remote ones (here in memory)."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest

from db.blobs import RESERVED_BYTES, Blobs, open_blobs, require_space
from db.errors import BlobMissingError, StorageFullError
from db.remote_store import RemoteStore
from db.settings import DataSettings

NOWHERE = "0" * 64


@pytest.fixture(params=["folder", "remote"])
def blobs(request: pytest.FixtureRequest, data_dir: Path) -> Blobs:
    """Both kinds of store."""
    if request.param == "folder":
        return open_blobs(DataSettings(data_dir=data_dir))
    return Blobs(RemoteStore("memory:///"), data_dir / "staging")


def test_bytes_come_back(blobs: Blobs) -> None:
    """By their hash, whole or as a file that can be sought in."""
    sha256 = blobs.add_bytes(b"a photo")

    assert sha256 == hashlib.sha256(b"a photo").hexdigest()
    assert blobs.read(sha256) == b"a photo"
    assert (blobs.has(sha256), blobs.size(sha256)) == (True, 7)
    with blobs.open(sha256) as file:
        file.seek(2)
        assert file.read() == b"photo"


def test_a_file_is_moved_and_a_repeat_is_harmless(blobs: Blobs, tmp_path: Path) -> None:
    """Nothing stays in the staging folder."""
    sha256 = hashlib.sha256(b"x").hexdigest()
    for _ in range(2):
        staged = tmp_path / "staged"
        staged.write_bytes(b"x")

        blobs.add_file(staged, sha256)

        assert not staged.exists()
        assert blobs.read(sha256) == b"x"


def test_what_is_missing_is_said(blobs: Blobs) -> None:
    """By every way to ask."""
    assert not blobs.has(NOWHERE)
    for ask in (blobs.read, blobs.open, blobs.size):
        with pytest.raises(BlobMissingError, match=NOWHERE):
            ask(NOWHERE)
    with pytest.raises(BlobMissingError):
        blobs.read_preview(NOWHERE, 320)
    with pytest.raises(BlobMissingError):
        blobs.read_object("features/none/at-all.safetensors")


def test_deleting_twice_is_deleting_once(blobs: Blobs) -> None:
    """Blobs and objects."""
    sha256 = blobs.add_bytes(b"x")
    blobs.write_object("features/a/b.safetensors", b"y")
    for _ in range(2):
        blobs.delete(sha256)
        blobs.delete_object("features/a/b.safetensors")

    assert not blobs.has(sha256)


def test_only_what_is_old_is_deleted_and_a_repeat_makes_it_new(blobs: Blobs, tmp_path: Path) -> None:
    """Blob and previews go together; a file that took long to arrive counts from when it came to its place."""
    sha256 = blobs.add_bytes(b"x")
    blobs.write_preview(sha256, 320, b"webp")
    time.sleep(0.05)
    between = time.time()
    staged = tmp_path / "staged"
    staged.write_bytes(b"x")
    os.utime(staged, (1_000_000_000, 1_000_000_000))
    blobs.add_file(staged, sha256)

    assert not blobs.delete_photo_older(sha256, between)
    assert blobs.has(sha256)
    assert blobs.delete_photo_older(sha256, time.time() + 1)
    assert not blobs.has(sha256)
    assert list(blobs.list_keys("previews")) == []
    assert blobs.delete_photo_older(sha256, 0), "what is not there is gone"


def test_what_is_put_while_it_is_deleted_stays(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at its age and its removal somebody sends the same photo: it is put back."""
    blobs = open_blobs(DataSettings(data_dir=data_dir))
    path = blobs.local_path(blobs.add_bytes(b"x"))
    assert path is not None
    os.utime(path, (1_000_000_000, 1_000_000_000))
    rename = Path.rename

    def put_first(source: Path, target: Path) -> Path:
        os.utime(source)
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", put_first)

    assert not blobs.delete_photo_older(path.name, time.time() - 60)
    assert path.read_bytes() == b"x"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_all_keys_are_listed(blobs: Blobs) -> None:
    """Of one folder; a folder that is not there holds none."""
    sha256 = blobs.add_bytes(b"x")
    blobs.write_preview(sha256, 320, b"webp")
    blobs.write_object("features/a/b.safetensors", b"y")

    assert list(blobs.list_keys("blobs")) == [f"blobs/{sha256[:2]}/{sha256}"]
    assert list(blobs.list_keys("previews")) == [f"previews/320/{sha256[:2]}/{sha256}.webp"]
    assert list(blobs.list_keys("features")) == ["features/a/b.safetensors"]
    assert list(blobs.list_keys("none")) == []


def test_previews_and_objects_are_replaced_whole(blobs: Blobs) -> None:
    """The last one written counts."""
    sha256 = blobs.add_bytes(b"x")
    for content in (b"first", b"second"):
        blobs.write_preview(sha256, 320, content)
        blobs.write_object("features/a/b.safetensors", content)

    assert blobs.read_preview(sha256, 320) == b"second"
    assert blobs.read_object("features/a/b.safetensors") == b"second"


@pytest.mark.parametrize("name", ["", "../" + "0" * 61, "0" * 63, "A" * 64, "0" * 64 + "/x"])
def test_only_hashes_name_blobs(blobs: Blobs, name: str) -> None:
    """Nothing else becomes a path."""
    with pytest.raises(ValueError, match="hex"):
        blobs.read(name)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "features/../x", "features//x", "features/.hidden", "x"])
def test_keys_stay_below_their_folder(blobs: Blobs, key: str) -> None:
    """Whoever makes them."""
    with pytest.raises(ValueError, match="harmless"):
        blobs.write_object(key, b"")


def test_a_folder_gives_the_path_and_a_remote_store_none(blobs: Blobs, request: pytest.FixtureRequest) -> None:
    """For decoders that read files in place."""
    sha256 = blobs.add_bytes(b"x")

    path = blobs.local_path(sha256)

    if request.node.callspec.params["blobs"] == "remote":
        assert path is None
        assert blobs.free_bytes() is None
    else:
        assert path is not None
        assert path.read_bytes() == b"x"
        assert (blobs.free_bytes() or 0) > 0
        with pytest.raises(BlobMissingError):
            blobs.local_path(NOWHERE)


def test_the_layout_of_the_folder(data_dir: Path) -> None:
    """As backups and people find it."""
    blobs = open_blobs(DataSettings(data_dir=data_dir))

    sha256 = blobs.add_bytes(b"x")
    blobs.write_preview(sha256, 1024, b"webp")

    files = sorted(str(path.relative_to(data_dir)) for path in data_dir.rglob("*") if path.is_file())
    assert files == [f"blobs/{sha256[:2]}/{sha256}", f"previews/1024/{sha256[:2]}/{sha256}.webp"]


def test_bytes_are_on_the_disk_before_their_name_is(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the file, rename, fsync of the folders: in that order, or a power cut leaves a name without bytes."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recording_fsync(handle: int) -> None:
        events.append("folder" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "file")
        fsync(handle)

    def recording_replace(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_replace)

    open_blobs(DataSettings(data_dir=data_dir)).add_bytes(b"x")

    assert events[:2] == ["file", "rename"]
    # blobs/ab, and above it those that are new: the entry of blobs/ab in blobs, of blobs in the data directory
    assert events[2:] == ["folder"] * 3


def test_a_full_disk_is_refused_before_bytes_come(data_dir: Path) -> None:
    """SQLite could not write the rows."""
    settings = DataSettings(data_dir=data_dir / "not" / "made" / "yet")
    free = shutil.disk_usage(data_dir).free
    require_space(settings, 1)

    with pytest.raises(StorageFullError, match="must stay free"):
        require_space(settings, free - RESERVED_BYTES // 2)
