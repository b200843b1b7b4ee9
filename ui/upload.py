"""Receiving files for a batch, chunk by chunk, so that a broken connection costs one chunk.

Bytes go to staging, become a blob (fsynced, renamed), then rows in one transaction; only then the chunk is answered.
"""

import datetime as dt
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from db.batches import NewItem, add_archive, add_items, cancel_batch, get_batch
from db.blobs import Blobs, require_space
from db.errors import ConflictError, LimitExceededError
from db.names import archive_kind, is_junk
from db.schema import Batch, Upload, User
from db.session import Database, utc_now
from db.settings import DataSettings
from db.uploads import advance_upload, finish_upload, open_upload, uploads_of
from ui.nudge import Nudger
from ui.settings import UiSettings
from ui.staging import StagedFile, StagedWriter, remove_batch_staging, uploads_dir
from worker.limits import Limits

log = logging.getLogger(__name__)

CHUNK_BYTES = 8 * 1024**2
# Nobody comes back after this long; until then dropping the same files again goes on where it stopped.
STALE_AFTER_S = 24 * 3600.0
# Uploads under way whose running hash is remembered; the others are read again at their end.
MAX_REMEMBERED = 1000


class WrongOffsetError(ConflictError):
    """Raised when a chunk does not start where the file's bytes end so far.

    Attributes:
        received: where it should start.
    """

    def __init__(self, received: int) -> None:
        super().__init__(f"The chunk was expected to start at byte {received:,}. Send it from there.")
        self.received = received


@dataclass(frozen=True)
class Chunk:
    """A part of a file of a batch. `path` is clean already; `size` is the whole file's."""

    batch_id: str
    number: int
    path: str
    size: int
    offset: int


@dataclass(frozen=True)
class Received:
    """How much of a file is here. `code`: why it was refused, if it was."""

    received: int
    done: bool
    code: str | None = None


class Receiver:
    """Receives the files of batches. One per web process."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        data_settings: DataSettings,
        limits: Limits,
        settings: UiSettings,
        nudger: Nudger,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._data_settings = data_settings
        self._limits = limits
        self._settings = settings
        self._nudger = nudger
        self._busy: set[tuple[str, int]] = set()
        self._staged: dict[tuple[str, int], StagedFile] = {}
        self._batch_bytes: dict[str, int] = {}

    async def receive(self, user: User, chunk: Chunk, body: AsyncIterator[bytes]) -> Received:
        """Takes one chunk; the file becomes an item or an archive with its last one.

        Raises:
            WrongOffsetError: it does not start where the bytes end so far, or another request is sending this file.
            ConflictError: the batch takes no more files.
            LimitExceededError: more bytes than announced, or than a batch may have.
            NotFoundError: there is no such batch, or it is someone else's.
            StorageFullError: the disk has no room for the rest of the file.
        """
        with self._held(chunk):
            known = await run_in_threadpool(self._known, user, chunk)
            if known.done:
                return known
            if chunk.offset != known.received:
                raise WrongOffsetError(known.received)
            code = self._refused_unseen(chunk)
            if code is not None:
                return await run_in_threadpool(self._refuse, user, chunk, code)
            staged = self._staged_file(chunk)
            staged.rewind(chunk.offset)
            writer = StagedWriter(staged, chunk.offset)
            async for part in body:
                await writer.add(part)
                if chunk.offset + writer.received > chunk.size:
                    msg = f"More bytes arrived than the {chunk.size:,} that were announced. Send the file again."
                    raise LimitExceededError(msg)
            await writer.flush()
            return await run_in_threadpool(self._advance, user, chunk, staged, chunk.offset + writer.received)

    @contextmanager
    def _held(self, chunk: Chunk) -> Iterator[None]:
        """Two tabs may send the same file: the second one is told to come back."""
        key = (chunk.batch_id, chunk.number)
        if key in self._busy:
            raise WrongOffsetError(chunk.offset)
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    def _known(self, user: User, chunk: Chunk) -> Received:
        with self._database.reading() as session:
            _receiving_batch(session, user, chunk.batch_id)
            upload = _upload_of(session, chunk)
        if upload is not None and (upload.path != chunk.path or upload.size_bytes != chunk.size):
            msg = f"File {chunk.number} of this batch is another one. Start a new batch for these files."
            raise ConflictError(msg)
        if upload is not None and upload.done:
            return Received(chunk.size, done=True)
        self._count_bytes(chunk, is_new=upload is None)
        require_space(self._data_settings, chunk.size - chunk.offset)
        # Staging may have been cleared meanwhile: what is not on the disk is not here.
        on_disk = _size(self._staged_file(chunk).path)
        return Received(min(upload.received_bytes, on_disk) if upload else 0, done=False)

    def _count_bytes(self, chunk: Chunk, *, is_new: bool) -> None:
        if chunk.batch_id not in self._batch_bytes:
            with self._database.reading() as session:
                before = sum(upload.size_bytes for upload in uploads_of(session, chunk.batch_id))
            self._batch_bytes[chunk.batch_id] = before
        if not is_new:
            return
        if self._batch_bytes[chunk.batch_id] + chunk.size > self._settings.max_batch_bytes:
            msg = f"A batch may have {self._settings.max_batch_bytes:,} bytes; this file goes beyond. Send it in a new one."
            raise LimitExceededError(msg)
        self._batch_bytes[chunk.batch_id] += chunk.size

    def _refused_unseen(self, chunk: Chunk) -> str | None:
        if is_junk(chunk.path):
            return "SKIPPED_JUNK"
        if chunk.size == 0:
            return "EMPTY"
        return "TOO_BIG" if chunk.size > max(self._limits.max_photo_bytes, self._limits.max_archive_bytes) else None

    def _advance(self, user: User, chunk: Chunk, staged: StagedFile, received: int) -> Received:
        is_archive = archive_kind(staged.head(), chunk.path) is not None
        # Known from the first chunk on: the other gigabytes of a film need not be sent.
        if not is_archive and chunk.size > self._limits.max_photo_bytes:
            return self._refuse(user, chunk, "TOO_BIG")
        if is_archive and chunk.size > self._limits.max_archive_bytes:
            return self._refuse(user, chunk, "ARCHIVE_TOO_BIG")
        if received < chunk.size:
            staged.sync()  # a power cut must not leave zeros that the row calls received
            with self._database.transaction() as session:
                _receiving_batch(session, user, chunk.batch_id)
                upload = open_upload(session, chunk.batch_id, chunk.number, chunk.path, chunk.size)
                advance_upload(session, upload.id, received)
            _touch(staged.path.parent)
            return Received(received, done=False)
        self._accept(user, chunk, staged, is_archive=is_archive)
        return Received(received, done=True)

    def _accept(self, user: User, chunk: Chunk, staged: StagedFile, *, is_archive: bool) -> None:
        sha256 = staged.finish(chunk.size)
        self._blobs.add_file(staged.path, sha256)
        with self._database.transaction() as session:
            _receiving_batch(session, user, chunk.batch_id)
            upload = open_upload(session, chunk.batch_id, chunk.number, chunk.path, chunk.size)
            if is_archive:
                add_archive(session, chunk.batch_id, chunk.number, chunk.path, sha256=sha256)
            else:
                item = NewItem(position=chunk.number, path=chunk.path, sha256=sha256, size_bytes=chunk.size)
                add_items(session, chunk.batch_id, [item])
            finish_upload(session, upload.id)
        self._forget(chunk)
        if is_archive:
            self._nudger.unpack(chunk.batch_id)
        else:
            self._nudger.tag()

    def _refuse(self, user: User, chunk: Chunk, code: str) -> Received:
        with self._database.transaction() as session:
            _receiving_batch(session, user, chunk.batch_id)
            upload = open_upload(session, chunk.batch_id, chunk.number, chunk.path, chunk.size)
            item = NewItem(position=chunk.number, path=chunk.path, size_bytes=chunk.size, refused=code)
            add_items(session, chunk.batch_id, [item])
            finish_upload(session, upload.id)
        self._staged_file(chunk).remove()
        self._forget(chunk)
        return Received(chunk.size, done=True, code=code)

    def _staged_file(self, chunk: Chunk) -> StagedFile:
        key = (chunk.batch_id, chunk.number)
        staged = self._staged.get(key)
        if staged is None:
            folder = uploads_dir(self._data_settings.staging_dir) / chunk.batch_id
            staged = StagedFile(folder / f"{chunk.number}.part")
            self._staged[key] = staged
            if len(self._staged) > MAX_REMEMBERED:
                del self._staged[next(iter(self._staged))]
        return staged

    def _forget(self, chunk: Chunk) -> None:
        self._staged.pop((chunk.batch_id, chunk.number), None)

    def sealed(self, batch_id: str, state: str) -> None:
        """The batch is complete: nothing of it is left in staging, and the workers hear of it."""
        self._batch_bytes.pop(batch_id, None)
        remove_batch_staging(self._data_settings.staging_dir, batch_id)
        if state == "unpacking":
            self._nudger.unpack(batch_id)
        self._nudger.tag()


def remove_stale_uploads(
    database: Database, data_settings: DataSettings, older_than_s: float = STALE_AFTER_S
) -> list[str]:
    """Cancels uploads that nobody touched for `older_than_s` and deletes their half-received bytes.

    Returns:
        The ids of the batches that were cancelled.
    """
    folder = uploads_dir(data_settings.staging_dir)
    before = utc_now() - dt.timedelta(seconds=older_than_s)
    # What the command line submits has a source_key; it is resumed by the same command, at any time.
    query = select(Batch).where(Batch.state == "receiving", Batch.source_key.is_(None))
    with database.reading() as session:
        receiving = {batch.id: batch.created_at for batch in session.scalars(query)}
    stale = [
        batch_id
        for batch_id, created_at in receiving.items()
        if created_at < before and _touched_at(folder / batch_id) < before.timestamp()
    ]
    for batch_id in stale:
        with database.transaction() as session:
            cancel_batch(session, batch_id)
        log.info("Batch %s was cancelled: its upload was not continued.", batch_id)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in receiving or path.name in stale:
            remove_batch_staging(data_settings.staging_dir, path.name)
    return stale


def _receiving_batch(session: Session, user: User, batch_id: str) -> Batch:
    batch = get_batch(session, batch_id, user)
    if batch.state != "receiving":
        msg = f"This batch takes no more files: it is {batch.state}. Send them as a new batch."
        raise ConflictError(msg)
    return batch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _touched_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _touch(folder: Path) -> None:
    now = time.time()
    os.utime(folder, (now, now))


def _upload_of(session: Session, chunk: Chunk) -> Upload | None:
    return session.scalars(
        select(Upload).where(Upload.batch_id == chunk.batch_id, Upload.number == chunk.number)
    ).one_or_none()
