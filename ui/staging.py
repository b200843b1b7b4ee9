"""Half-received uploads on disk: one file per upload, written at its offset, with a running hash."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Protocol

from starlette.concurrency import run_in_threadpool

# What archive_kind looks at: the magic numbers, tar's at 257 included.
HEAD_BYTES = 4096
# Bytes gathered before a write: one hop to a thread each. Most photos of a phone's camera roll are gathered whole.
WRITE_BYTES = 1024**2
READ_BYTES = 4 * 1024**2


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class StagedFile:
    """An upload on its way. Only one request at a time may hold it (see `ui.upload`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hash: _Hash = hashlib.sha256()
        self._hashed = 0
        self._digest: str | None = None
        self._head = b""

    @property
    def head(self) -> bytes:
        """The first bytes, to tell an archive from a photo."""
        if not self._head:
            with self.path.open("rb") as stream:
                self._head = stream.read(HEAD_BYTES)
        return self._head

    def begin_at(self, offset: int) -> None:
        """A request starts at `offset`: what was hashed beyond it came from one that broke off."""
        if self._hashed != offset:
            self._hash, self._hashed = hashlib.sha256(), 0
        if offset == 0:
            self._head = b""

    def write_at(self, offset: int, data: bytes) -> None:
        """Writes `data` at `offset`. What an interrupted request left behind it is overwritten."""
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if offset == 0 else 0)
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, flags, 0o600)
        try:
            view, at = memoryview(data), offset
            while view:
                written = os.pwrite(descriptor, view, at)
                view, at = view[written:], at + written
        finally:
            os.close(descriptor)
        if offset == 0:
            self._head = data[:HEAD_BYTES]
        if offset == self._hashed:
            self._hash.update(data)
            self._hashed += len(data)

    def sync(self) -> None:
        """Returns when what was written would survive a power cut."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def finish(self, size: int) -> str:
        """The SHA-256 of the complete file; read again only if this process did not see all of it arrive."""
        if self._digest is None:
            os.truncate(self.path, size)
            if self._hashed != size:
                self._hash, self._hashed = hashlib.sha256(), size
                with self.path.open("rb") as stream:
                    while data := stream.read(READ_BYTES):
                        self._hash.update(data)
            self._digest = self._hash.hexdigest()
        return self._digest

    def remove(self) -> None:
        """Deletes what was received."""
        self.path.unlink(missing_ok=True)


class StagedWriter:
    """Gathers the small parts in which a body arrives, counts them and writes them in larger ones."""

    def __init__(self, staged: StagedFile, offset: int) -> None:
        self.staged = staged
        self._offset = offset
        self._buffer = bytearray()
        self.received = 0
        staged.begin_at(offset)

    async def add(self, part: bytes) -> None:
        """Takes the next part of the body."""
        self._buffer += part
        self.received += len(part)
        if len(self._buffer) >= WRITE_BYTES:
            await run_in_threadpool(self.flush)

    def flush(self) -> None:
        """Writes what is gathered. Waits for the disk."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self.staged.write_at(self._offset, data)
            self._offset += len(data)

    def finish(self, size: int) -> str:
        """Writes the rest; returns the SHA-256 of the complete file. Waits for the disk."""
        self.flush()
        return self.staged.finish(size)


def uploads_dir(staging_dir: Path) -> Path:
    """The folder of half-received uploads, one folder per batch below it."""
    return staging_dir / "uploads"


def remove_batch_staging(staging_dir: Path, batch_id: str) -> None:
    """Deletes everything half-received of a batch."""
    shutil.rmtree(uploads_dir(staging_dir) / batch_id, ignore_errors=True)
