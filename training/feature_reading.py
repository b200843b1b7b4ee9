"""Features of many photos, shard by shard: means for heads of the kind gap, all of them, or what a head says of them."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row

from db.blobs import Blobs
from db.errors import FeaturesMissingError
from db.feature_codes import pooled
from db.features import ShardFile, read_shard
from worker.heads import Features, Floats

log = logging.getLogger(__name__)

Rows = Sequence[Row[*tuple[Any, ...]]]


class Part(NamedTuple):
    """Photos of one shard with their features (n, h, w, c)."""

    photo_ids: list[int]
    features: Features


def read_parts(blobs: Blobs, photos: Rows) -> Iterator[Part]:
    """Features of those photos that have some, a shard in memory at a time.

    Args:
        blobs: where shards are.
        photos: rows with photo_id, key, rows and row, in the order of shards; key is null for photos without features.
    """
    known = [photo for photo in photos if photo.key is not None]
    for (key, rows), of_shard in groupby(known, key=lambda photo: (photo.key, photo.rows)):
        group = list(of_shard)
        try:
            array = read_shard(blobs, ShardFile(key, rows))[[photo.row for photo in group]]
        except FeaturesMissingError as error:
            log.warning("%s", error)
            continue
        there = ~np.isnan(array[:, 0, 0, 0])  # a row of NaN was erased with its photo
        ids = [photo.photo_id for photo, is_there in zip(group, there, strict=True) if is_there]
        if ids:
            yield Part(ids, array if there.all() else array[there])


def by_shard(photos: Rows) -> list[Row[*tuple[Any, ...]]]:
    """Those photos that have features, in the order in which they are read."""
    return sorted((photo for photo in photos if photo.key is not None), key=lambda photo: (photo.key, photo.row))


def read_means(blobs: Blobs, photos: Rows, on_photos: Callable[[int], None]) -> dict[int, Floats]:
    """Means (channels,) by photo id, 2 KB a photo of 512 channels. Photos without readable features are left out."""
    means: dict[int, Floats] = {}
    for part in read_parts(blobs, photos):
        means.update(zip(part.photo_ids, pooled(part.features), strict=True))
        on_photos(len(part.photo_ids))
    return means


def read_all(blobs: Blobs, photos: Rows, shape: tuple[int, int, int]) -> Features:
    """Features (n, h, w, c) in the order of `photos`, which may be any: 50 KB a photo of VGG16.

    Raises:
        FeaturesMissingError: a photo has none: its file has gone just now.
    """
    position = {photo.photo_id: number for number, photo in enumerate(photos)}
    features = np.empty((len(photos), *shape), np.float16)
    read = read_into(features, blobs, photos, position)
    if read < len(photos):
        msg = f"Features of {len(photos) - read:,} photos were there a moment ago and are not any more. Train again."
        raise FeaturesMissingError(msg)
    return features


def read_into(into: Features, blobs: Blobs, photos: Rows, position: Mapping[int, int]) -> int:
    """Writes features of those photos that have some to their places in (n, h, w, c); returns of how many."""
    read = 0
    for part in read_parts(blobs, by_shard(photos)):
        into[[position[photo_id] for photo_id in part.photo_ids]] = part.features
        read += len(part.photo_ids)
    return read


def scores_of(
    blobs: Blobs, photos: Rows, predict: Callable[[Features], Floats], labels: int
) -> tuple[list[int], npt.NDArray[np.float32]]:
    """Ids and scores (n, labels) of those photos that have features; only one shard of them is in memory."""
    ids: list[int] = []
    scores: list[Floats] = []
    for part in read_parts(blobs, photos):
        ids += part.photo_ids
        scores.append(predict(part.features))
    return ids, np.concatenate(scores) if scores else np.zeros((0, labels), np.float32)
