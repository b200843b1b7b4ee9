"""Objects as files: staged beside their place, fsynced, renamed."""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO


class FolderStore:
    """Objects as files under the data directory: blobs/ab/abcd..., previews/320/ab/abcd....webp, features/..."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_files(self, files: Sequence[tuple[Path, str]]) -> None:
        """Moves staged files to their keys, durably; one that exists already keeps its bytes."""
        targets = [(staged, self._folder / key) for staged, key in files]
        for staged, _ in targets:
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
        staged = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        staged.write_bytes(data)
        if durable:
            _sync(staged)
        staged.replace(target)
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
