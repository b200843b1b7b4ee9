"""Objects as files: staged beside their place, fsynced, renamed."""

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO


class FolderStore:
    """Objects as files under the data directory: blobs/ab/abcd..., previews/320/ab/abcd....webp, features/..."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_files(self, files: Sequence[tuple[Path, str]]) -> None:
        """Moves staged files to their keys, durably. They count as written now, however long they took to arrive."""
        targets = [(staged, self._folder / key) for staged, key in files]
        for staged, _ in targets:
            os.utime(staged)
            _sync(staged)
        folders = {target.parent for _, target in targets}
        made = [_make_folder(folder) for folder in sorted(folders)]
        for staged, target in targets:
            staged.replace(target)
        for folder in sorted(folders.union(*made)):
            _sync(folder)

    def put(self, key: str, data: bytes, *, durable: bool) -> None:
        """Writes an object, all or nothing."""
        target = self._folder / key
        made = _make_folder(target.parent)
        staged = _beside(target)
        try:
            staged.write_bytes(data)
            if durable:
                _sync(staged)
            staged.replace(target)
        except OSError:
            staged.unlink(missing_ok=True)  # on a full disk it holds the last room there is
            raise
        if durable:
            for folder in sorted({target.parent, *made}):
                _sync(folder)

    def path(self, key: str) -> Path:
        """Where the object lies, if it is there."""
        return self._folder / key

    def get(self, key: str) -> bytes | None:
        """The object's bytes; None if it is missing."""
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None

    def open(self, key: str) -> BinaryIO | None:
        """A seekable file; None if it is missing."""
        try:
            return (self._folder / key).open("rb")
        except FileNotFoundError:
            return None

    def size(self, key: str) -> int | None:
        """The object's size in bytes; None if it is missing."""
        try:
            return (self._folder / key).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Removes the object, if it is there."""
        (self._folder / key).unlink(missing_ok=True)

    def delete_older(self, key: str, before: float) -> bool:
        """Removes the object if it was last written before that time; whether it is gone.

        It is moved aside before its age is looked at for good: what is put at this very moment is put back.
        """
        target = self._folder / key
        aside = _beside(target)
        try:
            if target.stat().st_mtime >= before:
                return False
            target.rename(aside)
        except FileNotFoundError:
            return True
        if aside.stat().st_mtime >= before:
            aside.replace(target)
            return False
        aside.unlink()
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """Keys of the objects below a folder, and what a killed process left of some; one folder in memory at a time."""
        for folder, _, names in os.walk(self._folder / prefix):
            below = Path(folder).relative_to(self._folder).as_posix()
            yield from (f"{below}/{name}" for name in names)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}")


def _make_folder(folder: Path) -> set[Path]:
    """Makes the folder and its parents; returns those whose entry lies in a folder that is not synced yet."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return {path.parent for path in missing}


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows has no handle for it
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
