"""Reads a file of the person's once: its hash and size, and a staged copy if one is wanted."""

import hashlib
import os
import stat
import uuid
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from db.blobs import require_space
from db.errors import Refusal
from db.settings import DataSettings

READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Content:
    """What was read. `staged` is the copy, to be handed to the blob store."""

    sha256: str
    size_bytes: int
    staged: Path | None = None


def read_in_place(source: Path, max_bytes: int) -> Content:
    """Hashes a file that stays where it is.

    Raises:
        Refusal: NOT_READABLE, NOT_A_FILE or TOO_BIG.
    """
    with _open(source, max_bytes) as file:
        digest = hashlib.file_digest(file, "sha256")
        return Content(digest.hexdigest(), file.tell())


def read_copy(source: Path, max_bytes: int, data: DataSettings) -> Content:
    """Hashes a file while copying it to the staging folder.

    Raises:
        Refusal: as `read_in_place`.
        StorageFullError: the disk has no room for it.
    """
    with _open(source, max_bytes) as file:
        require_space(data, os.fstat(file.fileno()).st_size)
        data.staging_dir.mkdir(parents=True, exist_ok=True)
        staged = data.staging_dir / uuid.uuid4().hex
        try:
            digest = hashlib.sha256()
            with staged.open("xb") as copy:
                while piece := file.read(READ_BYTES):
                    digest.update(piece)
                    copy.write(piece)
            return Content(digest.hexdigest(), staged.stat().st_size, staged)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise


def _open(source: Path, max_bytes: int) -> BufferedReader:
    """Opens a regular file only: what was listed may have become a link or a pipe, on which opening would wait."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Refusal("NOT_READABLE", error.strerror or "") from error
    file = os.fdopen(descriptor, "rb")
    facts = os.fstat(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= max_bytes:
        return file
    file.close()
    if not stat.S_ISREG(facts.st_mode):
        raise Refusal("NOT_A_FILE")
    raise Refusal("TOO_BIG", f"{facts.st_size / 1e6:,.0f} MB, at most {max_bytes / 1e6:,.0f} MB")
