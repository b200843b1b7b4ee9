"""Objects in S3, Google Cloud Storage or Azure, through obstore. Credentials come from the usual environment."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from obstore.store import from_url


class RemoteStore:
    """Keys below a URL's bucket or container and prefix. A put is all or nothing, and durable, by their contract."""

    def __init__(self, url: str) -> None:
        self._store = from_url(url)

    def put_files(self, files: Sequence[tuple[Path, str]]) -> None:
        """Uploads staged files and removes them; large ones in parts.

        Also one that is there already: it may be about to be deleted, and counts as written now.
        """
        for staged, key in files:
            self._store.put(key, staged)
            staged.unlink()

    def put(self, key: str, data: bytes, *, durable: bool) -> None:
        """Writes an object, all or nothing."""
        self._store.put(key, data)

    def get(self, key: str) -> bytes | None:
        """The object's bytes; None if it is missing."""
        try:
            return bytes(self._store.get(key).bytes())
        except FileNotFoundError:
            return None

    def open(self, key: str) -> BinaryIO | None:
        """A temporary file with the object's bytes; it is gone once closed."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller, who closes it
        try:
            for part in self._store.get(key):
                file.write(part)
        except FileNotFoundError:
            file.close()
            return None
        file.seek(0)
        return cast("BinaryIO", file)

    def size(self, key: str) -> int | None:
        """The object's size in bytes; None if it is missing."""
        try:
            return self._store.head(key)["size"]
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Removes the object, if it is there."""
        try:
            self._store.delete(key)
        except FileNotFoundError:
            return

    def delete_older(self, key: str, before: float) -> bool:
        """Removes the object if it was last written before that time; whether it is gone."""
        try:
            written = self._store.head(key)["last_modified"].timestamp()
        except FileNotFoundError:
            return True
        if written >= before:
            return False
        self.delete(key)
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """Keys of the objects below a prefix, a page of the store's answers at a time."""
        for page in self._store.list(prefix):
            yield from (found["path"] for found in page)
