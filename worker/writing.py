"""Writes finished chunks behind the network's back: features, previews, then one fenced transaction."""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tenacity import Retrying, before_sleep_log, retry_if_exception_type, stop_after_delay, wait_random_exponential

from db.blobs import Blobs, full_disk_noticed
from db.errors import DatabaseUnavailableError, StorageFullError
from db.features import ShardFile, record_shard, store_shard
from db.garbage import queue_bytes_without_photo
from db.items import Finished, finish_items, release_items
from db.session import Database

log = logging.getLogger(__name__)

# Chunks that may wait to be written; more would only hide that the database is slow.
WAITING_CHUNKS = 2
# Until photos are tried again that a full disk had no room for.
FULL_DISK_DELAY_S = 30.0


@dataclass(frozen=True)
class FinishedChunk:
    """What one chunk came to.

    Attributes:
        results: one verdict an item.
        space: address of the features.
        photo_ids: photos whose features are new, in the order of `features`.
        features: float16, (len(photo_ids), h, w, c).
        previews: WebP bytes by SHA-256 and size in px.
    """

    results: Sequence[Finished]
    space: str = ""
    photo_ids: Sequence[int] = ()
    features: np.ndarray | None = None
    previews: Mapping[str, Mapping[int, bytes]] = field(default_factory=dict[str, Mapping[int, bytes]])


class ChunkWriter:
    """One thread that writes chunks in order.

    A database that is away and a disk that is full are retried for as long as the leases may hold; then the chunk is
    dropped and its items are given back, or come back by the sweep: late writes are fenced anyway.
    """

    def __init__(self, database: Database, blobs: Blobs, owner: str, *, retry_s: float) -> None:
        self._database = database
        self._blobs = blobs
        self._owner = owner
        self._retry_s = retry_s
        self._waiting: queue.Queue[tuple[FinishedChunk, Callable[[], None]] | None] = queue.Queue(WAITING_CHUNKS)
        self._thread = threading.Thread(target=self._run, name="chunk-writer", daemon=True)
        self._thread.start()

    def put(self, chunk: FinishedChunk, done: Callable[[], None]) -> None:
        """Hands over a chunk; `done` is called when it was written or given up."""
        self._waiting.put((chunk, done))

    def flush(self) -> None:
        """Returns when all chunks handed over are written or given up."""
        self._waiting.join()

    def close(self) -> None:
        """Writes what waits and ends the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (entry := self._waiting.get()) is not None:
            chunk, done = entry
            try:
                self._write(chunk)
            except StorageFullError as error:
                log.warning("%d photos are given back, to be tagged once there is room. %s", len(chunk.results), error)
                self._give_back(chunk)
            except Exception:
                # The thread must live on: the items' leases run out and the sweep brings them back.
                log.exception(
                    "A chunk of %d items could not be written; its items will be retried.", len(chunk.results)
                )
            finally:
                done()
                self._waiting.task_done()
        self._waiting.task_done()

    def _write(self, chunk: FinishedChunk) -> None:
        shard = None
        for attempt in self._retrying():
            with attempt, full_disk_noticed():
                shard = self._store(chunk)
        for attempt in self._retrying():
            with attempt, self._database.transaction() as session:
                written = finish_items(session, self._owner, chunk.results)
                if len(written) < len(chunk.results):  # their photos may have been deleted meanwhile
                    queue_bytes_without_photo(session, chunk.previews)
                if shard is not None:
                    record_shard(session, chunk.space, shard, chunk.photo_ids)

    def _give_back(self, chunk: FinishedChunk) -> None:
        """Without a strike: the disk is at fault, not the photos."""
        try:
            with self._database.transaction() as session:
                release_items(session, self._owner, chunk.results, FULL_DISK_DELAY_S)
        except DatabaseUnavailableError as error:
            log.warning("%s", error)

    def _store(self, chunk: FinishedChunk) -> ShardFile | None:
        """Writes previews and features; returns where the latter are."""
        for sha256, sizes in chunk.previews.items():
            for size, webp in sizes.items():
                self._blobs.write_preview(sha256, size, webp)
        if chunk.features is None or len(chunk.photo_ids) == 0:
            return None
        return store_shard(self._blobs, chunk.space, chunk.features)

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type((DatabaseUnavailableError, StorageFullError)),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            stop=stop_after_delay(self._retry_s),
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        )
