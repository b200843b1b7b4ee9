"""Receiving files for a batch, chunk by chunk, so that a broken connection costs one chunk.

Bytes go to staging, become a blob (fsynced, renamed), then rows in one transaction; only then the chunk is answered.
"""

import datetime as dt
import logging
import os
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from db.batches import cancel_batch, get_batch
from db.blobs import Blobs, full_disk_noticed, require_space
from db.errors import ConflictError, LimitExceededError
from db.names import archive_kind, is_junk
from db.schema import Batch, Upload, User
from db.session import Database, utc_now
from db.settings import DataSettings
from db.uploads import advance_upload, open_upload
from ui.accepting import Acceptor, CompleteFile, too_big
from ui.nudge import Nudger
from ui.settings import UiSettings
from ui.staging import StagedFile, StagedWriter, remove_batch_staging, uploads_dir
from worker.limits import Limits

log = logging.getLogger(__name__)

CHUNK_BYTES = 8 * 1024**2
# Nobody comes back after this long; until then dropping the same files again goes on where it stopped.
STALE_AFTER_S = 24 * 3600.0
# Staging without a receiving batch is a left-over of a killed process, unless it is this young.
YOUNG_S = 3600.0
# Uploads under way whose running hash is remembered; the others are read again at their end.
MAX_REMEMBERED = 1000
# A batch that was looked up this long ago is still there, most likely; what is written is checked again.
SEEN_FOR_S = 5.0


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

    @property
    def key(self) -> tuple[str, int]:
        """What the file is known by while it arrives."""
        return self.batch_id, self.number


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
        self._acceptor = Acceptor(database, blobs, limits)
        self._data_settings = data_settings
        self._limits = limits
        self._settings = settings
        self._nudger = nudger
        self._busy: set[tuple[str, int]] = set()
        self._staged: dict[tuple[str, int], StagedFile] = {}
        self._seen: dict[tuple[str, int], float] = {}
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
        with self._held(chunk), full_disk_noticed():
            if not self._is_new_and_small(user, chunk):
                known = await run_in_threadpool(self._known, user, chunk)
                if known.done:
                    return known
                if chunk.offset != known.received:
                    raise WrongOffsetError(known.received)
            code = self._refused_unseen(chunk)
            if code is not None:
                return await self._accept(user, chunk, refused=code)
            writer = StagedWriter(self._staged_file(chunk), chunk.offset)
            async for part in body:
                await writer.add(part)
                if chunk.offset + writer.received > chunk.size:
                    msg = f"More bytes arrived than the {chunk.size:,} that were announced. Send the file again."
                    raise LimitExceededError(msg)
            return await self._advance(user, chunk, writer)

    @contextmanager
    def _held(self, chunk: Chunk) -> Generator[None]:
        """Two tabs may send the same file: the second one is told to come back."""
        if chunk.key in self._busy:
            raise WrongOffsetError(chunk.offset)
        self._busy.add(chunk.key)
        try:
            yield
        finally:
            self._busy.discard(chunk.key)

    def _is_new_and_small(self, user: User, chunk: Chunk) -> bool:
        """Whether a look into the database can be spared: a whole file in one chunk, for a batch seen just now.

        What is recorded in the end is checked in any case, in the transaction that records it.
        """
        seen_at = self._seen.get((chunk.batch_id, user.id), 0.0)
        if chunk.offset or chunk.size > CHUNK_BYTES or time.monotonic() - seen_at > SEEN_FOR_S:
            return False
        if chunk.key in self._staged:
            return False
        self._count_bytes(chunk.batch_id, chunk.size)
        return True

    def _known(self, user: User, chunk: Chunk) -> Received:
        with self._database.reading() as session:
            get_batch(session, chunk.batch_id, user)
            upload = _upload_of(session, chunk)
            if upload is None or not upload.done:  # a repeat is answered as before, though the batch be sealed by now
                _receiving_batch(session, user, chunk.batch_id)
            if chunk.batch_id not in self._batch_bytes:
                self._batch_bytes[chunk.batch_id] = _bytes_of(session, chunk.batch_id)
        self._seen[chunk.batch_id, user.id] = time.monotonic()
        if upload is not None and (upload.path != chunk.path or upload.size_bytes != chunk.size):
            msg = f"File {chunk.number} of this batch is another one. Start a new batch for these files."
            raise ConflictError(msg)
        if upload is not None and upload.done:
            return Received(chunk.size, done=True)
        if upload is None:
            self._count_bytes(chunk.batch_id, chunk.size)
        require_space(self._data_settings, chunk.size - chunk.offset)
        # Staging may have been cleared meanwhile: what is not on the disk is not here.
        on_disk = _size(self._staged_file(chunk).path)
        return Received(min(upload.received_bytes, on_disk) if upload else 0, done=False)

    def _count_bytes(self, batch_id: str, size: int) -> None:
        counted = self._batch_bytes.get(batch_id, 0) + size
        if counted > self._settings.max_batch_bytes:
            msg = f"A batch may have {self._settings.max_batch_bytes:,} bytes; this file goes beyond. Send it in a new one."
            raise LimitExceededError(msg)
        self._batch_bytes[batch_id] = counted

    def _refused_unseen(self, chunk: Chunk) -> str | None:
        if is_junk(chunk.path):
            return "SKIPPED_JUNK"
        if chunk.size == 0:
            return "EMPTY"
        return "TOO_BIG" if chunk.size > max(self._limits.max_photo_bytes, self._limits.max_archive_bytes) else None

    async def _advance(self, user: User, chunk: Chunk, writer: StagedWriter) -> Received:
        received = chunk.offset + writer.received
        if received == chunk.size:
            return await self._accept(user, chunk, writer)
        # Known from the first chunk on: the other gigabytes of a film need not be sent.
        code = await run_in_threadpool(self._record_part, user, chunk, writer, received)
        if code is not None:
            return await self._accept(user, chunk, refused=code)
        return Received(received, done=False)

    def _record_part(self, user: User, chunk: Chunk, writer: StagedWriter, received: int) -> str | None:
        writer.flush()
        if received == 0:
            return None
        is_archive = archive_kind(writer.staged.head, chunk.path) is not None
        code = too_big(chunk.size, self._limits, is_archive=is_archive)
        if code is None:
            writer.staged.sync()  # a power cut must not leave zeros that the row calls received
            with self._database.transaction() as session:
                _receiving_batch(session, user, chunk.batch_id)
                upload = open_upload(session, chunk.batch_id, chunk.number, chunk.path, chunk.size)
                advance_upload(session, upload.id, received)
            _touch(writer.staged.path.parent)
        return code

    async def _accept(
        self, user: User, chunk: Chunk, writer: StagedWriter | None = None, refused: str | None = None
    ) -> Received:
        file = CompleteFile(user, chunk.batch_id, chunk.number, chunk.path, chunk.size, writer, refused)
        accepted = await self._acceptor.accept(file)
        staged = self._staged.pop(chunk.key, None)
        if accepted.refused and staged is not None:
            await run_in_threadpool(staged.remove)
        if accepted.is_archive:
            self._nudger.unpack(chunk.batch_id)
        elif not accepted.refused:
            self._nudger.tag()
        return Received(chunk.size, done=True, code=accepted.refused)

    def _staged_file(self, chunk: Chunk) -> StagedFile:
        staged = self._staged.get(chunk.key)
        if staged is None:
            folder = uploads_dir(self._data_settings.staging_dir) / chunk.batch_id
            staged = self._staged[chunk.key] = StagedFile(folder / f"{chunk.number}.part")
            if len(self._staged) > MAX_REMEMBERED:
                del self._staged[next(iter(self._staged))]
        return staged

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
        # What is young may belong to a batch, or to a single photo, that is newer than the look above.
        forgotten = path.name not in receiving and _touched_at(path) < time.time() - YOUNG_S
        if forgotten or path.name in stale:
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


def _bytes_of(session: Session, batch_id: str) -> int:
    return session.scalar(select(func.coalesce(func.sum(Upload.size_bytes), 0)).where(Upload.batch_id == batch_id)) or 0


def _upload_of(session: Session, chunk: Chunk) -> Upload | None:
    return session.scalars(
        select(Upload).where(Upload.batch_id == chunk.batch_id, Upload.number == chunk.number)
    ).one_or_none()
