"""Means of photos' features, read shard by shard and kept from one reading to the next: 1 KB a photo of 512 channels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row

from db.blobs import Blobs
from db.feature_codes import pooled
from training.feature_reading import read_parts

Halves = npt.NDArray[np.float16]


class PooledFeatures:
    """Reads features once. One shard is in memory at a time, and the means of the photos that were asked for last."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._space = ""
        self._kept: dict[int, Halves] = {}

    def read(
        self, space: str, photos: Sequence[Row[*tuple[Any, ...]]], stopping: Callable[[], bool]
    ) -> dict[int, Halves]:
        """Means (channels,) by photo id. Photos whose file is gone or damaged are left out, with a warning.

        Args:
            space: of the features.
            photos: rows with photo_id, key, rows and row, in the order of shards.
            stopping: asked before each file.
        """
        known = self._kept if space == self._space else {}
        wanted = {photo.photo_id for photo in photos}
        self._space, self._kept = space, {photo_id: known[photo_id] for photo_id in known.keys() & wanted}
        parts = read_parts(self._blobs, [photo for photo in photos if photo.photo_id not in self._kept])
        while not stopping() and (part := next(parts, None)) is not None:
            self._kept.update(zip(part.photo_ids, pooled(part.features).astype(np.float16), strict=True))
        return self._kept
