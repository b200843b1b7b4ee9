"""The tagging pipeline: claim, decode, network and write overlap, so that the network does not wait.

    claim ──► decoder pool ──► chunk ──► network, head ──► writer
    (rows)    (processes)                (this thread)     (one thread)

Items live in `_held` from claim to write; their leases are extended while they do.
"""

import faulthandler
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.blobs import Blobs
from db.errors import BlobMissingError, DeviceLostError, Refusal
from db.features import read_features
from db.items import (
    ClaimedItem,
    Finished,
    Refused,
    already_tagged,
    claim_items,
    extend_leases,
    finish_known,
    release_items,
)
from db.predictions import PhotoFacts, Tagged
from db.session import Database
from worker.active import ActiveClassifier
from worker.classifier import Classifier
from worker.decoder_pool import DecoderPool
from worker.decoding import Decoded
from worker.settings import WorkerSettings
from worker.writing import ChunkWriter, FinishedChunk

log = logging.getLogger(__name__)

# Chunks claimed ahead: one in the network, one being decoded.
CHUNKS_AHEAD = 2
# How long a chunk waits to become full before it goes as it is.
FILL_S = 0.3
# Someone watches the page: a single photo.
URGENT_PRIORITY = 0
# Time for a new worker to start before photos of one whose device failed are claimed again.
DEVICE_LOST_DELAY_S = 10.0
# Pause when there is nothing to claim but items are still being decoded.
POLL_S = 0.05


@dataclass
class Held:
    """An item between claim and write: being decoded, or with features known from before."""

    item: ClaimedItem
    decoding: Future[Decoded] | None
    features: np.ndarray | None = None  # float16 (h, w, c)

    @property
    def ready(self) -> bool:
        """Whether it can go into a chunk, or be refused."""
        return self.decoding is None or self.decoding.done()

    @property
    def order(self) -> tuple[int, int]:
        """Urgent ones first, then as claimed."""
        return (self.item.priority, self.item.item_id)


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
        self._settings = settings
        self._active = active
        self._pool = pool
        self._worker_id = worker_id
        self._chunk_size = chunk_size
        self._stopping = stopping
        self._writer = ChunkWriter(database, blobs, worker_id, retry_s=settings.lease_s)
        self._waiting: list[Held] = []  # claimed, not yet in a chunk
        self._held: set[int] = set()  # item ids claimed, not yet written
        self._held_lock = threading.Lock()
        self._extended_at = time.monotonic()
        self._turn = threading.Lock()
        self.last_turn_at = 0.0
        self.tagged_count = 0

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

    def close(self) -> None:
        """Gives back what is not in a chunk yet, writes what is, and ends."""
        with self._turn:
            self._writer.close()
            if self._waiting:
                with self._database.transaction() as session:
                    release_items(session, self._worker_id, [held.item for held in self._waiting])
                self._waiting.clear()

    def _tag_until(self, deadline: float) -> bool:
        while time.monotonic() < deadline and not self._stopping():
            if not self._active.follow():
                return False
            claimed = self._claim()
            self._extend_leases()
            chunk = self._next_chunk()
            if chunk:
                self._tag_chunk(chunk)
            elif self._waiting:
                time.sleep(POLL_S)
            elif not claimed:
                if not self._held:
                    return False
                self._writer.flush()  # a suspect may be next, and it is handed out only to who holds nothing
        return True

    # -- claim -----------------------------------------------------------------------------------------------

    @property
    def _classifier(self) -> Classifier:
        classifier = self._active.classifier
        assert classifier is not None
        return classifier

    @property
    def _version_id(self) -> int:
        version_id = self._active.version_id
        assert version_id is not None
        return version_id

    def _claim(self) -> int:
        """Claims what there is room for; returns how many items it took."""
        if any(held.item.suspect for held in self._waiting):
            return 0  # a suspect is worked on alone, so that it cannot take neighbours down
        room = CHUNKS_AHEAD * self._chunk_size - len(self._waiting)
        if room <= 0:
            return 0
        with self._database.transaction() as session:
            items = claim_items(
                session, self._worker_id, room, self._settings.lease_s, suspects=not self._waiting and not self._held
            )
            known_ids = already_tagged(session, [item.photo_id for item in items], self._version_id)
            known = [item for item in items if item.photo_id in known_ids]
            if known:
                finish_known(session, self._worker_id, known, self._version_id)
        new = [item for item in items if item.photo_id not in known_ids]
        self._hold(new)
        return len(items)

    def _hold(self, items: Sequence[ClaimedItem]) -> None:
        if not items:
            return
        with self._database.reading() as session:
            features = read_features(session, self._blobs, self._classifier.space, [item.photo_id for item in items])
        with self._held_lock:
            self._held.update(item.item_id for item in items)
        for item in items:
            known = features.get(item.photo_id)
            decoding = None if known is not None else self._decode(item)
            self._waiting.append(Held(item, decoding, known))

    def _decode(self, item: ClaimedItem) -> Future[Decoded]:
        try:
            path = Path(item.source_path) if item.source_path else self._blobs.local_path(item.sha256)
            source = path if path is not None else self._blobs.read(item.sha256)
        except BlobMissingError:
            gone: Future[Decoded] = Future()
            gone.set_exception(Refusal("BLOB_MISSING"))
            return gone
        return self._pool.submit(source, item.sha256)

    def _extend_leases(self) -> None:
        """Keeps what is held, before a quarter of the lease has passed."""
        if time.monotonic() - self._extended_at < self._settings.lease_s / 4:
            return
        with self._held_lock:
            held = list(self._held)
        if held:
            with self._database.transaction() as session:
                extend_leases(session, self._worker_id, held, self._settings.lease_s)
        self._extended_at = time.monotonic()

    # -- chunk -----------------------------------------------------------------------------------------------

    def _next_chunk(self) -> list[Held]:
        """Up to a chunk of ready items, urgent ones first; a full one if that takes no longer than `FILL_S`."""
        deadline = time.monotonic() + FILL_S
        while not self._enough_ready() and (left_s := deadline - time.monotonic()) > 0:
            pending = [held.decoding for held in self._waiting if held.decoding is not None and not held.ready]
            wait(pending, timeout=left_s, return_when=FIRST_COMPLETED)
        chunk = sorted((held for held in self._waiting if held.ready), key=lambda held: held.order)[: self._chunk_size]
        taken = {id(held) for held in chunk}
        self._waiting = [held for held in self._waiting if id(held) not in taken]
        return chunk

    def _enough_ready(self) -> bool:
        """Whether waiting for more would only cost time: an urgent photo goes at once, with whom it finds."""
        urgent = [held for held in self._waiting if held.item.priority == URGENT_PRIORITY]
        if urgent:
            return all(held.ready for held in urgent)
        ready = sum(held.ready for held in self._waiting)
        return ready >= self._chunk_size or ready == len(self._waiting)

    def _tag_chunk(self, chunk: Sequence[Held]) -> None:
        refused, decoded, known = _sort_out(chunk)
        results: list[Finished] = list(refused)
        features = np.stack([held.features for held in known if held.features is not None]) if known else None
        results += self._infer_known(known, features)
        fresh: np.ndarray | None = None
        if decoded:
            try:
                fresh = self._features([pixels.pixels for _, pixels in decoded])
            except Exception:
                log.exception("The network failed on a chunk of %d; its photos are tried one by one.", len(decoded))
                failed, decoded, fresh = self._features_one_by_one(decoded)
                results += failed
        if decoded and fresh is not None:
            facts = [_facts(picture) for _, picture in decoded]
            results += self._infer([held.item for held, _ in decoded], fresh, facts)
        self._write(results, decoded, fresh, [held.item.item_id for held in chunk])

    def _features(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Features of a chunk; a network that hangs ends this process, and the sweep brings the items back."""
        faulthandler.dump_traceback_later(self._settings.chunk_limit_s, exit=True)
        try:
            return self._classifier.features(np.stack(pixels))  # (n, 224, 224, 3) -> (n, h, w, c)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _features_one_by_one(
        self, decoded: Sequence[tuple[Held, Decoded]]
    ) -> tuple[list[Finished], list[tuple[Held, Decoded]], np.ndarray | None]:
        """Finds the photo a network fails on. When it fails on all of several, it is not the photos' fault."""
        failed: list[Finished] = []
        good: list[tuple[Held, Decoded]] = []
        features: list[np.ndarray] = []
        for held, picture in decoded:
            try:
                features.append(self._features([picture.pixels]))
                good.append((held, picture))
            except Exception:
                log.exception("The network failed on item %d.", held.item.item_id)
                failed.append(Refused(held.item.item_id, held.item.attempt, "MODEL_ERROR", ""))
        if len(failed) == len(decoded) > 1:
            with self._database.transaction() as session:
                release_items(session, self._worker_id, [held.item for held, _ in decoded], delay_s=DEVICE_LOST_DELAY_S)
            msg = "The network fails on every photo, so the device is at fault: this worker ends and is started anew."
            raise DeviceLostError(msg)
        return failed, good, np.concatenate(features) if features else None

    def _infer_known(self, known: Sequence[Held], features: np.ndarray | None) -> list[Finished]:
        return [] if features is None else self._infer([held.item for held in known], features, [None] * len(known))

    def _infer(
        self, items: Sequence[ClaimedItem], features: np.ndarray, facts: Sequence[PhotoFacts | None]
    ) -> list[Finished]:
        classifier = self._classifier
        tops = classifier.top5(classifier.predict(features))
        label_ids = self._active.label_ids
        return [
            Tagged(
                item_id=item.item_id,
                attempt=item.attempt,
                photo_id=item.photo_id,
                model_version_id=self._version_id,
                facts=fact,
                top=[(label_ids[position], score) for position, score in top],
                not_sure=top[0][1] < classifier.threshold,
            )
            for item, fact, top in zip(items, facts, tops, strict=True)
        ]

    def _write(
        self,
        results: Sequence[Finished],
        decoded: Sequence[tuple[Held, Decoded]],
        features: np.ndarray | None,
        item_ids: Sequence[int],
    ) -> None:
        def written() -> None:
            with self._held_lock:
                self._held.difference_update(item_ids)

        self._writer.put(
            FinishedChunk(
                results=results,
                space=self._classifier.space,
                photo_ids=[held.item.photo_id for held, _ in decoded],
                features=features,
                previews={held.item.sha256: picture.previews for held, picture in decoded},
            ),
            written,
        )
        self.tagged_count += len(results)


def _sort_out(chunk: Sequence[Held]) -> tuple[list[Refused], list[tuple[Held, Decoded]], list[Held]]:
    """The refused, the decoded, and those whose features are known."""
    refused: list[Refused] = []
    decoded: list[tuple[Held, Decoded]] = []
    known: list[Held] = []
    for held in chunk:
        if held.decoding is None:
            known.append(held)
            continue
        try:
            decoded.append((held, held.decoding.result()))
        except Refusal as refusal:
            refused.append(Refused(held.item.item_id, held.item.attempt, refusal.code, refusal.detail))
    return refused, decoded, known


def _facts(picture: Decoded) -> PhotoFacts:
    facts = picture.facts
    return PhotoFacts(
        format=facts.format, width=facts.width, height=facts.height, taken_at=facts.taken_at, notes=facts.notes
    )
