"""From a chunk of decoded photos to what is written of it: features, scores, top five."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from db.errors import DeviceLostError, Refusal
from db.facts import PhotoFacts
from db.items import ClaimedItem, Finished, Refused
from db.predictions import Tagged
from worker.active import ActiveClassifier
from worker.decoding import Decoded
from worker.hanging import ends_when_hung
from worker.writing import FinishedChunk

log = logging.getLogger(__name__)


@dataclass
class Held:
    """An item between claim and write: being decoded, or with features known from before."""

    item: ClaimedItem
    decoding: Future[Decoded] | None
    features: np.ndarray | None = None  # float16 (h, w, c)

    @property
    def is_known(self) -> bool:
        """Whether it needs no network."""
        return self.decoding is None

    @property
    def ready(self) -> bool:
        """Whether it can go into a chunk."""
        return self.decoding is None or self.decoding.done()

    @property
    def order(self) -> tuple[int, int]:
        """Urgent ones first, then as claimed."""
        return (self.item.priority, self.item.item_id)


class ChunkInference:
    """Runs the active version's network and head over chunks."""

    def __init__(self, active: ActiveClassifier, *, chunk_limit_s: float) -> None:
        self._active = active
        self._chunk_limit_s = chunk_limit_s

    def run(self, chunk: Sequence[Held]) -> FinishedChunk:
        """A verdict on every item of `chunk`, all by one version.

        Raises:
            DeviceLostError: the network fails on every photo of a chunk of several.
        """
        refused, decoded, known = _sort_out(chunk)
        results: list[Finished] = list(refused)
        if known:
            features = np.stack([held.features for held in known if held.features is not None])  # (n, h, w, c)
            results += self._results([held.item for held in known], features, [None] * len(known))
        failed, decoded, fresh = self._features(decoded)
        results += failed
        if fresh is not None:
            results += self._results([held.item for held, _ in decoded], fresh, [photo.facts for _, photo in decoded])
        return FinishedChunk(
            results=results,
            space=self._active.space,
            photo_ids=[held.item.photo_id for held, _ in decoded],
            features=fresh,
            previews={held.item.sha256: photo.previews for held, photo in decoded},
        )

    def _features(
        self, decoded: list[tuple[Held, Decoded]]
    ) -> tuple[list[Refused], list[tuple[Held, Decoded]], np.ndarray | None]:
        """Failures, the photos that went through, and their features."""
        if not decoded:
            return [], [], None
        try:
            return [], decoded, self._guarded_features([photo.pixels for _, photo in decoded])
        except Exception:
            log.exception("The network failed on a chunk of %d; its photos are tried one by one.", len(decoded))
            return self._features_one_by_one(decoded)

    def _features_one_by_one(
        self, decoded: Sequence[tuple[Held, Decoded]]
    ) -> tuple[list[Refused], list[tuple[Held, Decoded]], np.ndarray | None]:
        """Finds the photo a network fails on. When it fails on all of several, it is not the photos' fault."""
        failed: list[Refused] = []
        good: list[tuple[Held, Decoded]] = []
        features: list[np.ndarray] = []
        for held, photo in decoded:
            try:
                features.append(self._guarded_features([photo.pixels]))
                good.append((held, photo))
            except Exception:
                log.exception("The network failed on item %d.", held.item.item_id)
                failed.append(Refused(held.item.item_id, held.item.attempt, "MODEL_ERROR"))
        if len(failed) == len(decoded) > 1:
            msg = "The network fails on every photo, so the device is at fault: this worker ends and is started anew."
            raise DeviceLostError(msg)
        return failed, good, np.concatenate(features) if features else None

    def _guarded_features(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Features of a chunk; a network that hangs ends this process, and the sweep brings the items back."""
        with ends_when_hung(self._chunk_limit_s):
            return self._active.loaded.features(np.stack(pixels))  # (n, 224, 224, 3) -> (n, h, w, c)

    def _results(
        self, items: Sequence[ClaimedItem], features: np.ndarray, facts: Sequence[PhotoFacts | None]
    ) -> list[Tagged]:
        classifier, label_ids = self._active.loaded, self._active.label_ids
        tops = classifier.top5(classifier.predict(features))
        return [
            Tagged(
                item_id=item.item_id,
                attempt=item.attempt,
                photo_id=item.photo_id,
                model_version_id=self._active.loaded_version_id,
                facts=fact,
                top=[(label_ids[position], score) for position, score in top],
                not_sure=top[0][1] < classifier.threshold,
                is_retag=item.retag_version_id is not None,
            )
            for item, fact, top in zip(items, facts, tops, strict=True)
        ]


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
