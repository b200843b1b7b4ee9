"""Photos as they were sent: one file, or many as a .zip that is written while it is sent."""

import contextlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from db.blobs import Blobs
from db.errors import BlobMissingError
from db.places import Place
from ui.downloads import COPY_BYTES

MISSING = "not included.txt"


def open_original(blobs: Blobs, place: Place) -> BinaryIO:
    """The photo's file, or the copy in the blob store.

    Raises:
        BlobMissingError: neither is there, or the file has another length than the photo had.
    """
    if place.source_path is None:
        return blobs.open(place.sha256)
    try:
        file = Path(place.source_path).open("rb")  # noqa: SIM115 - whoever sends it closes it
    except OSError as error:
        msg = f"The file of {place.name} was moved, deleted or may not be read. Received: {error.strerror}"
        raise BlobMissingError(msg) from error
    if file.seek(0, 2) != place.size_bytes:
        file.close()
        msg = f"The file of {place.name} was changed after it was tagged; it is another photo now."
        raise BlobMissingError(msg)
    file.seek(0)
    return file


def zip_parts(blobs: Blobs, places: Iterable[Place]) -> Iterator[bytes]:
    """A .zip of the photos, stored without compression; what could not be read is listed in a text file."""
    sink = _Sink()
    taken: set[str] = set()
    missing: list[str] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for place in places:
            try:
                file = open_original(blobs, place)
            except BlobMissingError as error:
                missing.append(f"{place.path}: {str(error).split(' Received:', maxsplit=1)[0]}")
                continue
            with contextlib.closing(file), archive.open(_free_name(place.name, taken), "w", force_zip64=True) as entry:
                while data := file.read(COPY_BYTES):
                    entry.write(data)
                    yield sink.take()
        if missing:
            archive.writestr(MISSING, "\n".join(missing) + "\n")
    yield sink.take()


def _free_name(name: str, taken: set[str]) -> str:
    """The name, with a number where another photo has it; file systems differ on upper and lower case."""
    stem, dot, suffix = name.rpartition(".") if "." in name[1:] else (name, "", "")
    free, number = name, 2
    while free.casefold() in taken or free == MISSING:
        free, number = f"{stem} ({number}){dot}{suffix}", number + 1
    taken.add(free.casefold())
    return free


class _Sink:
    """What a ZipFile writes to; it cannot seek, so sizes follow their entries."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
