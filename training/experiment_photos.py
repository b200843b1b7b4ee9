"""Photos of an experiment as one array on disk: their pixels, or what the frozen part of a network makes of them."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from db.errors import Refusal
from training.dataset import ClassFolders
from worker.decoding import decode
from worker.limits import Limits

CHUNK = 16

Pixels = npt.NDArray[np.uint8]
# Told how many photos are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LeftOut:
    """A photo that could not be decoded, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class PhotoArray:
    """Photos that could be decoded.

    Attributes:
        values: (n, ...), pixels or features; lies in a file without a name that ends with the process.
        targets: (n,), positions of their labels.
        left_out: the others.
    """

    values: npt.NDArray[Any]
    targets: npt.NDArray[np.int64]
    left_out: list[LeftOut]


@dataclass(frozen=True)
class Loading:
    """How photos are read.

    Attributes:
        size: side in px of what `compute` gets.
        compute: from pixels (n, size, size, 3) to what is kept, (n, *shape) of `dtype`.
        folder: where there is room for the array.
    """

    size: int
    compute: Callable[[Pixels], npt.NDArray[Any]]
    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    folder: Path
    limits: Limits


def load(photos: ClassFolders, loading: Loading, progress: Progress) -> PhotoArray:
    """Decodes as tagging does, chunk by chunk; photos that cannot be decoded are left out."""
    total = len(photos.paths)
    if total == 0:
        return PhotoArray(np.zeros((0, *loading.shape), loading.dtype), np.zeros(0, np.int64), [])
    values = _on_disk(loading, total)
    kept: list[int] = []
    left_out: list[LeftOut] = []
    for start in range(0, total, CHUNK):
        good: list[Pixels] = []
        for number in range(start, min(start + CHUNK, total)):
            pixels = _decoded(photos.paths[number], loading)
            if isinstance(pixels, LeftOut):
                left_out.append(pixels)
            else:
                good.append(pixels)
                kept.append(number)
        if good:
            values[len(kept) - len(good) : len(kept)] = loading.compute(np.stack(good))
        progress(min(start + CHUNK, total), total)
    return PhotoArray(values[: len(kept)], photos.targets[kept], left_out)


def chunks(
    photos: PhotoArray, size: int, order: npt.NDArray[np.int64] | None = None
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Values as float32 and targets, `size` photos at a time, in this order or as they lie."""
    order = np.arange(len(photos.targets)) if order is None else order
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield photos.values[rows].astype(np.float32), photos.targets[rows]


def _on_disk(loading: Loading, total: int) -> npt.NDArray[Any]:
    # 150 KB a photo of pixels, 50 KB of features: a large folder need not fit into memory
    with tempfile.TemporaryFile(dir=loading.folder) as file:  # the mapping outlives it
        return np.memmap(file, loading.dtype, "w+", shape=(total, *loading.shape))


def _decoded(path: Path, loading: Loading) -> Pixels | LeftOut:
    try:
        if path.stat().st_size > loading.limits.max_photo_bytes:
            return LeftOut(path, "TOO_BIG")
        return decode(path.read_bytes(), loading.limits, size=loading.size, previews=()).pixels
    except Refusal as refusal:
        return LeftOut(path, refusal.code)
    except OSError as error:
        return LeftOut(path, error.strerror or "cannot be read")
