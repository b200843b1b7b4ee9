"""Complete files become blobs and rows, several at a time: what waits while a group is written is the next group."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from db.batches import get_batch
from db.blobs import Blobs
from db.errors import ConflictError, NotFoundError
from db.garbage import queue_bytes_without_photo
from db.names import archive_kind
from db.received import ReceivedFile, record_received
from db.schema import User
from db.session import Database
from ui.staging import StagedWriter
from worker.limits import Limits

# A group costs two or three syncs of the disk, whatever its size; more would let the first one wait.
MAX_GROUP = 64


@dataclass(frozen=True, slots=True)
class CompleteFile:
    """A file that has arrived. `writer` is None for one that was refused before its bytes were read."""

    user: User
    batch_id: str
    number: int
    path: str
    size: int
    writer: StagedWriter | None = None
    refused: str | None = None


class Acceptor:
    """Accepts complete files in groups. One per web process."""

    def __init__(self, database: Database, blobs: Blobs, limits: Limits) -> None:
        self._database = database
        self._blobs = blobs
        self._limits = limits
        self._waiting: list[tuple[CompleteFile, asyncio.Future[ReceivedFile]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def accept(self, file: CompleteFile) -> ReceivedFile:
        """Returns once the file's blob and rows are on the disk.

        Raises:
            ConflictError: the batch takes no more files, or the number stands for another file.
            NotFoundError: there is no such batch, or it is someone else's.
        """
        future: asyncio.Future[ReceivedFile] = asyncio.get_running_loop().create_future()
        self._waiting.append((file, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._accept_waiting())
        return await future

    async def _accept_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
            outcomes = await run_in_threadpool(self._accept_group, [file for file, _ in group])
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.cancelled():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _accept_group(self, files: Sequence[CompleteFile]) -> list[ReceivedFile | Exception]:
        """The outcome of each file. One that cannot be accepted does not hold up the others."""
        try:
            return list(self._store(files))
        except Exception as error:  # noqa: BLE001 - handed to the one request it belongs to
            if len(files) == 1:
                return [error]
            return [outcome for file in files for outcome in self._accept_group([file])]

    def _store(self, files: Sequence[CompleteFile]) -> list[ReceivedFile]:
        received = [self._judged(file) for file in files]
        staged = [
            (file.writer.staged.path, one.sha256)
            for file, one in zip(files, received, strict=True)
            if file.writer is not None and one.sha256 is not None and file.writer.staged.path.exists()
        ]
        self._blobs.add_files(staged)
        by_batch: dict[str, list[ReceivedFile]] = defaultdict(list)
        for file, one in zip(files, received, strict=True):
            by_batch[file.batch_id].append(one)
        try:
            with self._database.transaction() as session:
                for batch_id, user in sorted({(file.batch_id, file.user) for file in files}, key=lambda pair: pair[0]):
                    get_batch(session, batch_id, user)
                for batch_id in sorted(by_batch):
                    record_received(session, batch_id, by_batch[batch_id])
        except (ConflictError, NotFoundError):  # cancelled, or deleted meanwhile
            with self._database.transaction() as session:
                queue_bytes_without_photo(session, [sha256 for _, sha256 in staged])
            raise
        return received

    def _judged(self, file: CompleteFile) -> ReceivedFile:
        """What the file is, from its first bytes: a photo, an archive, or nothing that is taken."""
        if file.writer is None:
            return ReceivedFile(file.number, file.path, file.size, refused=file.refused)
        sha256 = file.writer.finish(file.size)
        is_archive = archive_kind(file.writer.staged.head, file.path) is not None
        refused = too_big(file.size, self._limits, is_archive=is_archive)
        if refused is not None:
            file.writer.staged.remove()
            return ReceivedFile(file.number, file.path, file.size, refused=refused)
        return ReceivedFile(file.number, file.path, file.size, sha256=sha256, is_archive=is_archive)


def too_big(size: int, limits: Limits, *, is_archive: bool) -> str | None:
    """The code for a file that is larger than its kind may be."""
    if is_archive:
        return "ARCHIVE_TOO_BIG" if size > limits.max_archive_bytes else None
    return "TOO_BIG" if size > limits.max_photo_bytes else None
