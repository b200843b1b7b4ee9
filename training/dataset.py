"""Class folders: one folder a label, photos inside at any depth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from db.errors import PhototagError, Refusal
from worker.backbone import Backbone
from worker.decoding import decode
from worker.limits import Limits

CHUNK = 16


@dataclass(frozen=True)
class ClassFolders:
    """Photos with their labels.

    Attributes:
        labels: folder names in alphabetical order.
        paths: all photos.
        targets: for each photo the position of its label.
    """

    labels: list[str]
    paths: list[Path]
    targets: npt.NDArray[np.int64]

    @property
    def counts(self) -> dict[str, int]:
        """Photos of each label."""
        return {label: int((self.targets == position).sum()) for position, label in enumerate(self.labels)}


@dataclass(frozen=True)
class FeatureSet:
    """Features of the photos that could be decoded: (n, height, width, channels) float16, and (n,) targets."""

    labels: list[str]
    features: npt.NDArray[np.float16]
    targets: npt.NDArray[np.int64]
    refused: int


def read_class_folders(folder: Path) -> ClassFolders:
    """The photos under `folder`, by the names of its folders.

    Raises:
        PhototagError: fewer than two of its folders hold files.
    """
    by_label = {
        child.name: files
        for child in sorted(folder.iterdir() if folder.is_dir() else [])
        if child.is_dir() and not child.name.startswith(".") and (files := _files(child))
    }
    if len(by_label) < 2:
        msg = f"At least two folders with photos were expected, one for each label. Received: {folder}"
        raise PhototagError(msg)
    targets = [position for position, files in enumerate(by_label.values()) for _ in files]
    return ClassFolders(list(by_label), [path for files in by_label.values() for path in files], np.array(targets))


def compute_features(photos: ClassFolders, backbone: Backbone, progress: Callable[[int, int], None]) -> FeatureSet:
    """Decodes as tagging does and runs the backbone; photos that cannot be decoded are left out.

    `progress` is told how many photos are done, and of how many.
    """
    parts: list[npt.NDArray[np.float16]] = []
    kept: list[int] = []
    for start in range(0, len(photos.paths), CHUNK):
        decoded = [(number, _pixels(photos.paths[number])) for number in _chunk(start, len(photos.paths))]
        good = [(number, pixels) for number, pixels in decoded if pixels is not None]
        if good:
            parts.append(backbone.features(np.stack([pixels for _, pixels in good])))
            kept += [number for number, _ in good]
        progress(min(start + CHUNK, len(photos.paths)), len(photos.paths))
    features = np.concatenate(parts) if parts else np.zeros((0, *backbone.feature_shape), np.float16)
    return FeatureSet(photos.labels, features, photos.targets[kept], len(photos.paths) - len(kept))


def in_order_of(labels: Sequence[str], features: FeatureSet) -> FeatureSet:
    """The same photos with targets that count in `labels`.

    Raises:
        PhototagError: it has a label that `labels` lacks.
    """
    if unknown := sorted(set(features.labels) - set(labels)):
        msg = f"Folders that the training photos do not have: {', '.join(unknown)}. Use the same labels in both."
        raise PhototagError(msg)
    positions = np.array([labels.index(label) for label in features.labels])
    return FeatureSet(list(labels), features.features, positions[features.targets], features.refused)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _chunk(start: int, total: int) -> range:
    return range(start, min(start + CHUNK, total))


def _pixels(path: Path) -> npt.NDArray[np.uint8] | None:
    try:
        return decode(path.read_bytes(), Limits(), previews=()).pixels
    except Refusal:
        return None
