"""Figures of a version on photos whose labels are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 10


def measure(
    scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], labels: Sequence[str], threshold: float
) -> dict[str, Any]:
    """Accuracy, coverage and calibration.

    Args:
        scores: (n, labels), rows sum to 1.
        targets: (n,) positions of the true labels.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    first = scores.max(axis=1)
    right = order[:, 0] == targets
    sure = first >= threshold
    return {
        "photos": len(targets),
        "top1": _share(right),
        "top2": _share((order[:, :2] == targets[:, None]).any(axis=1)),
        "by_label": {label: _share(right[targets == position]) for position, label in enumerate(labels)},
        "coverage": _share(sure),
        "accuracy_when_sure": _share(right[sure]),
        "calibration_error": round(calibration_error(first, right), 4),
    }


def calibration_error(first: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of the first score (Guo et al. 2017), in [0, 1]."""
    bins = np.minimum((first * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(first[bins == number].mean()) - float(right[bins == number].mean())) * float((bins == number).mean())
        for number in np.unique(bins)
    ]
    return float(sum(gaps))


def _share(flags: npt.NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None
