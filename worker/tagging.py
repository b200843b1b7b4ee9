"""The tagging pipeline: claim, decode, network and write overlap, so that the network does not wait.

    claim ──► decoder pool ──► chunk ──► network, head ──► writer
    (rows)    (processes)                (this thread)     (one thread)

Items are held from claim to write; their leases are extended while they are.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path

from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.errors import BlobMissingError, DeviceLostError, Refusal
from db.features import read_features
from db.items import (
    ClaimedItem,
    Refused,
    already_tagged,
    claim_items,
    extend_leases,
    finish_items,
    finish_known,
    release_items,
)
from db.places import best_places
from db.session import Database
from worker.active import ActiveClassifier
from worker.decoder_pool import DecoderPool
from worker.decoding import Decoded
from worker.inference import ChunkInference, Held
from worker.settings import WorkerSettings
from worker.writing import ChunkWriter

# Chunks claimed ahead: one in the network, one being decoded.
CHUNKS_AHEAD = 2
# Photos that need no network are claimed and written this many at a time: a re-tag spends its time on statements, whose
# number this divides. More would only be more to try again one by one after a crash.
KNOWN_GROUP = 256
# How long a chunk waits to become full before it goes as it is.
FILL_S = 0.3
# Someone watches the page: a single photo.
URGENT_PRIORITY = 0
# Time for a new worker to start before photos of one whose device failed are claimed again.
DEVICE_LOST_DELAY_S = 10.0
# Time for the version of a re-tag to be loaded here, or for the re-tag to be cancelled.
OTHER_VERSION_DELAY_S = 2.0


class Tagger:
    """Tags ready items of all batches. One per process; `tag` may be called from several threads, one runs."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        settings: WorkerSettings,
        active: ActiveClassifier,
        pool: DecoderPool,
        worker_id: str,
        *,
        chunk_size: int,
        stopping: Callable[[], bool],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._lease_s = settings.lease_s
        self._active = active
        self._pool = pool
        self._worker_id = worker_id
        self._chunk_size = chunk_size
        self._stopping = stopping
        self._inference = ChunkInference(active, chunk_limit_s=settings.chunk_limit_s)
        self._writer = ChunkWriter(database, blobs, worker_id, retry_s=settings.lease_s)
        self._waiting: list[Held] = []  # claimed, not yet in a chunk
        self._all_known = False  # the last claim found nothing to decode, so that the next one may be larger
        self._claimed_for: int | None = None  # the version whose features those that wait have
        self._held: set[int] = set()  # item ids claimed, not yet written
        self._held_lock = threading.Lock()
        self._extended_at = time.monotonic()
        self._turn = threading.Lock()
        self.last_turn_at = 0.0

    def tag(self, limit_s: float) -> bool:
        """Tags for at most about `limit_s` seconds, plus one chunk.

        Returns:
            Whether work remains. False at once while another thread is tagging.

        Raises:
            DatabaseUnavailableError: the database went away; what was held comes back by its lease.
            DeviceLostError: the network failed on every photo of a chunk.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            return self._tag_until(time.monotonic() + limit_s)
        finally:
            self.last_turn_at = time.monotonic()
            self._turn.release()

    @property
    def has_waiting(self) -> bool:
        """Whether items are claimed that the last turn did not reach."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Returns when what went through the network so far is written."""
        self._writer.flush()

    def close(self) -> None:
        """Gives back what is not in a chunk yet, writes what is, and ends."""
        with self._turn:
            self._writer.close()
            self._release([held.item for held in self._waiting])
            self._waiting.clear()

    def _tag_until(self, deadline: float) -> bool:
        while time.monotonic() < deadline and not self._stopping():
            if not self._active.follow():
                return False
            self._give_back_others()
            held_before = bool(self._held)
            claimed = self._claim()
            self._extend_leases()
            if chunk := self._next_chunk():
                self._tag_chunk(chunk)
            elif not claimed and not self._waiting:
                if not held_before:  # what was written just now does not count: the claim did not know of it
                    return False
                self._writer.flush()  # a suspect may be next, and it is handed out only to who holds nothing
        return True

    # -- claim -----------------------------------------------------------------------------------------------

    def _claim(self) -> int:
        """Claims what there is room for; returns how many items it took."""
        room = max(self._ahead, KNOWN_GROUP if self._all_known else 0) - len(self._waiting)
        if room <= 0 or any(held.item.suspect for held in self._waiting):
            return 0  # a suspect is worked on alone, so that it cannot take neighbours down
        self._claimed_for = self._active.loaded_version_id
        with self._database.transaction() as session:
            items = claim_items(
                session,
                self._worker_id,
                room,
                self._lease_s,
                suspects=not self._held,
                retags=self._active.is_current,
            )
            done = self._finish_at_once(session, items, self._active.loaded_version_id)
        self._all_known = bool(items)
        self._hold([item for item in items if item.item_id not in done])
        return len(items)

    @property
    def _ahead(self) -> int:
        """How many photos may be held that are decoded here."""
        return CHUNKS_AHEAD * self._chunk_size

    def _finish_at_once(self, session: Session, items: Sequence[ClaimedItem], version_id: int) -> set[int]:
        """What needs no network: photos that the version has tagged, photos that are gone, re-tags of other versions."""
        known_ids = already_tagged(session, [item.photo_id for item in items], version_id)
        # claimed in the moment between an activation and our look at it
        others = [item for item in items if item.retag_version_id not in (None, version_id)]
        gone = [item for item in items if not item.sha256 and item not in others]
        known = [item for item in items if item.photo_id in known_ids and item not in others]
        finish_known(session, self._worker_id, known, version_id)
        if gone:
            deleted = [Refused(item.item_id, item.attempt, "PHOTO_DELETED") for item in gone]
            finish_items(session, self._worker_id, deleted)
        if others:
            release_items(session, self._worker_id, others, OTHER_VERSION_DELAY_S)
        return {item.item_id for item in (*known, *gone, *others)}

    def _give_back_others(self) -> None:
        """What was claimed for another version comes back, with features that the loaded one reads."""
        if not self._waiting or self._claimed_for == self._active.loaded_version_id:
            return
        items = [held.item for held in self._waiting]
        self._release(items)
        self._waiting.clear()
        with self._held_lock:
            self._held.difference_update(item.item_id for item in items)

    def _hold(self, items: Sequence[ClaimedItem]) -> None:
        """Starts decoding, except where the backbone has seen the photo before; gives back what is too many to decode."""
        if not items:
            return
        with self._database.reading() as session:
            features = read_features(session, self._blobs, self._active.space, [item.photo_id for item in items])
            unknown = [item for item in items if item.photo_id not in features]
            retagged = [item.photo_id for item in unknown if item.retag_version_id]
            paths = {place.photo_id: place.source_path for place in best_places(session, retagged, None)}
        self._all_known = not unknown
        decoding = sum(held.decoding is not None for held in self._waiting)
        too_many = unknown[max(0, self._ahead - decoding) :]
        self._release(too_many)
        kept = [item for item in items if item not in too_many] if too_many else items
        with self._held_lock:
            self._held.update(item.item_id for item in kept)
        for found in kept:
            known = features.get(found.photo_id)
            item = replace(found, source_path=paths[found.photo_id]) if found.photo_id in paths else found
            self._waiting.append(Held(item, None if known is not None else self._decode(item), known))

    def _decode(self, item: ClaimedItem) -> Future[Decoded]:
        try:
            path = Path(item.source_path) if item.source_path else self._blobs.local_path(item.sha256)
            content = path if path is not None else self._blobs.read(item.sha256)
        except BlobMissingError:
            gone: Future[Decoded] = Future()
            gone.set_exception(Refusal("BLOB_MISSING"))
            return gone
        return self._pool.submit(content, item.sha256)

    def _extend_leases(self) -> None:
        """Keeps what is held, before a quarter of the lease has passed."""
        if time.monotonic() - self._extended_at < self._lease_s / 4:
            return
        with self._held_lock:
            held = list(self._held)
        if held:
            with self._database.transaction() as session:
                extend_leases(session, self._worker_id, held, self._lease_s)
        self._extended_at = time.monotonic()

    def _release(self, items: Sequence[ClaimedItem], delay_s: float = 0) -> None:
        if items:
            with self._database.transaction() as session:
                release_items(session, self._worker_id, items, delay_s)

    # -- chunk -----------------------------------------------------------------------------------------------

    def _next_chunk(self) -> list[Held]:
        """Up to a chunk of ready items, urgent ones first; a full one if that takes no longer than `FILL_S`.

        Those that are decoded and those whose features are known go apart, so that a single photo does not wait for a
        large group behind it.
        """
        deadline = time.monotonic() + FILL_S
        while not self._enough_ready() and (left_s := deadline - time.monotonic()) > 0:
            pending = [held.decoding for held in self._waiting if held.decoding is not None and not held.ready]
            wait(pending, timeout=left_s, return_when=FIRST_COMPLETED)
        ready = sorted((held for held in self._waiting if held.ready), key=lambda held: held.order)
        alike = [held for held in ready if held.is_known == ready[0].is_known]
        chunk = alike[: KNOWN_GROUP if alike and alike[0].is_known else self._chunk_size]
        taken = {held.item.item_id for held in chunk}
        self._waiting = [held for held in self._waiting if held.item.item_id not in taken]
        return chunk

    def _enough_ready(self) -> bool:
        """Whether waiting for more would only cost time: an urgent photo goes at once, with whom it finds."""
        urgent = [held for held in self._waiting if held.item.priority == URGENT_PRIORITY]
        if urgent:
            return all(held.ready for held in urgent)
        ready = sum(held.ready for held in self._waiting)
        return ready >= self._chunk_size or ready == len(self._waiting)

    def _tag_chunk(self, chunk: Sequence[Held]) -> None:
        items = [held.item for held in chunk]

        def written() -> None:
            with self._held_lock:
                self._held.difference_update(item.item_id for item in items)

        try:
            finished = self._inference.run(chunk)
        except DeviceLostError:
            self._release(items, DEVICE_LOST_DELAY_S)
            raise
        self._writer.put(finished, written)
