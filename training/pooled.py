"""Means of photos' features, read shard by shard and kept from one reading to the next: 1 KB a photo of 512 channels."""

import logging
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row

from db.blobs import Blobs
from db.errors import FeaturesMissingError
from db.feature_codes import pooled
from db.features import ShardFile, read_shard

log = logging.getLogger(__name__)

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
        missing = [photo for photo in photos if photo.photo_id not in self._kept]
        for (key, rows), of_shard in groupby(missing, key=lambda photo: (photo.key, photo.rows)):
            if stopping():
                break
            self._read_shard(ShardFile(key, rows), list(of_shard))
        return self._kept

    def _read_shard(self, shard: ShardFile, photos: Sequence[Row[*tuple[Any, ...]]]) -> None:
        try:
            array = read_shard(self._blobs, shard)[[photo.row for photo in photos]]  # (n, h, w, channels)
        except FeaturesMissingError as error:
            log.warning("%s", error)
            return
        erased = np.isnan(array[:, 0, 0, 0])  # deleted since the query
        for photo, vector, is_erased in zip(photos, pooled(array).astype(np.float16), erased, strict=True):
            if not is_erased:
                self._kept[photo.photo_id] = vector
