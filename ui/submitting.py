"""How batches come in over HTTP, for the pages and for programs: made, filled chunk by chunk, sealed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

from fastapi import Request
from sqlalchemy.orm import Session

from db.batches import create_batch, get_batch, seal_batch
from db.blobs import require_space
from db.errors import ConflictError, LimitExceededError, PhototagError
from db.names import clean_name
from db.priorities import FOLDER, SMALL_BATCH
from db.schema import Batch, Upload, User
from db.session import Database
from db.settings import DataSettings
from db.uploads import uploads_of
from ui.settings import UiSettings
from ui.upload import Chunk, Received, Receiver

SMALL_BATCH_FILES = 100
# A sender that says nothing for this long has gone.
SILENCE_S = 60.0


class Submitting:
    """Takes batches from whoever sends them. One per web process."""

    def __init__(
        self, database: Database, data_settings: DataSettings, settings: UiSettings, receiver: Receiver
    ) -> None:
        self._database = database
        self._data_settings = data_settings
        self._settings = settings
        self._receiver = receiver

    def create(self, user: User, name: str, *, count: int | None, size_bytes: int, idem_key: str | None) -> Batch:
        """A batch that takes files; with a key that this person has used before, the batch made then.

        Args:
            user: whose.
            name: as the person typed it.
            count: how many files are announced; it orders the queue. None: many.
            size_bytes: how many bytes are announced; finds a full disk early.
            idem_key: made by the client.

        Raises:
            LimitExceededError: more than a batch may have.
            StorageFullError: the disk has no room for so many bytes.
        """
        settings = self._settings
        if (count or 0) > settings.max_batch_files or size_bytes > settings.max_batch_bytes:
            msg = (
                f"A batch may have {settings.max_batch_files:,} files and {settings.max_batch_bytes:,} bytes."
                " Send these as several batches."
            )
            raise LimitExceededError(msg)
        require_space(self._data_settings, size_bytes)
        clean, _ = clean_name(name)
        priority = SMALL_BATCH if count is not None and count <= SMALL_BATCH_FILES else FOLDER
        with self._database.transaction() as session:
            return create_batch(session, user.id, clean, priority=priority, idem_key=idem_key)

    async def receive(self, user: User, chunk: Chunk, request: Request) -> Received:
        """Takes the body of `request` as a chunk. Raises what `Receiver.receive` raises."""
        if chunk.number > self._settings.max_batch_files:
            msg = f"A batch may have {self._settings.max_batch_files:,} files. Received: number {chunk.number}"
            raise LimitExceededError(msg)
        body = body_of(request)
        try:
            received = await self._receiver.receive(user, chunk, body)
        except PhototagError:
            await _read_to_end(body)
            raise
        await _read_to_end(body)
        return received

    def files(
        self, user: User, batch_id: str, *, after: int = 0, limit: int | None = None
    ) -> tuple[Batch, list[Upload]]:
        """A batch, and its files that have begun to arrive, by number; `after`: those with a greater one.

        Raises:
            NotFoundError: there is no such batch of theirs.
        """
        with self._database.reading() as session:
            batch = get_batch(session, batch_id, user)
            return batch, uploads_of(session, batch_id, after=after, limit=limit)

    def seal(self, user: User, batch_id: str, count: int) -> Batch:
        """Says that a batch is complete. Twice is once.

        Raises:
            NotFoundError: there is no such batch of theirs.
            ConflictError: other than `count` files are here.
        """
        with self._database.transaction() as session:
            batch = get_batch(session, batch_id, user)
            if batch.state == "receiving":
                _check_complete(session, batch_id, count)
                seal_batch(session, batch_id)
            batch = get_batch(session, batch_id, user)
        self._receiver.sealed(batch_id, batch.state)
        return batch


def name_of_path(path: str) -> str:
    """The harmless name of a single photo that was sent with this path."""
    name, _ = clean_name(PurePosixPath(path.replace("\\", "/")).name or path)
    return name


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """The parts of a request's body as they come.

    Raises:
        TimeoutError: nothing came for a minute.
    """
    parts = request.stream()
    while True:
        part = await asyncio.wait_for(anext(parts, None), SILENCE_S)
        if part is None:
            return
        yield part


async def _read_to_end(body: AsyncIterator[bytes]) -> None:
    """Reads what is left of a chunk: who is cut off while sending never sees the answer."""
    async for _ in body:
        pass


def _check_complete(session: Session, batch_id: str, count: int) -> None:
    done = sum(upload.done for upload in uploads_of(session, batch_id))
    if done != count:
        msg = f"{done:,} of {count:,} files are here. Send the others, then finish the batch again."
        raise ConflictError(msg)
