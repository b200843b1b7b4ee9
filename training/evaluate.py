"""Figures of a version on photos whose labels are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from db.intervals import wilson

BINS = 10
# A table of more labels is mostly zeros: then it is kept as a list of what occurs.
MOST_IN_TABLE = 50

Scores = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


def measure(scores: Scores, targets: Ints, labels: Sequence[str], threshold: float) -> dict[str, Any]:
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


def report(scores: Scores, targets: Ints, labels: Sequence[str], threshold: float) -> dict[str, Any]:
    """All that is shown of a version on the photos of an exam; JSON can hold it.

    `confusion` counts by true label (rows) and label said (columns); with more than 50 labels it is a list of
    [true, said, photos]. Shares without photos are None. Macro F1 is over the labels that have photos.

    Args:
        scores: (n, labels), in [0, 1].
        targets: (n,) positions of the true labels.
        labels: names in the order of `scores`.
        threshold: first score from which a photo is shown as sure.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    first = scores.max(axis=1, initial=0.0)
    said = order[:, 0]
    right, sure = said == targets, first >= threshold
    by_label, macro_f1 = _by_label(said, targets, labels)
    return {
        "photos": len(targets),
        "top1": _share(right),
        "top1_interval": _interval(int(right.sum()), len(targets)),
        "top5": _share((order == targets[:, None]).any(axis=1)),
        "macro_f1": macro_f1,
        "by_label": by_label,
        "confusion": _confusion(said, targets, len(labels)),
        "calibration": _calibration(first, right),
        "calibration_error": round(calibration_error(first, right), 4),
        "threshold": float(threshold),
        "coverage": _share(sure),
        "accuracy_when_sure": _share(right[sure]),
    }


def compare(
    candidate_scores: Scores,
    base_scores: Scores | None,
    targets: Ints,
    labels: Sequence[str],
    threshold: float,
    base_threshold: float,
) -> dict[str, Any]:
    """Two versions on the same photos: a report of each, and the photos (positions) that one names rightly, one not.

    Args:
        candidate_scores: (n, labels).
        base_scores: likewise, 0 for labels that the active version does not know; None if there is nothing to compare.
        targets: (n,) positions of the true labels.
        labels: names in the order of the scores.
        threshold: of the candidate.
        base_threshold: of the active version.
    """
    candidate = report(candidate_scores, targets, labels, threshold)
    if base_scores is None:
        return {"candidate": candidate, "base": None, "better": [], "worse": []}
    right = candidate_scores.argmax(axis=1) == targets
    was_right = base_scores.argmax(axis=1) == targets
    return {
        "candidate": candidate,
        "base": report(base_scores, targets, labels, base_threshold),
        "better": np.flatnonzero(right & ~was_right).tolist(),
        "worse": np.flatnonzero(~right & was_right).tolist(),
    }


def calibration_error(first: Scores, right: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of the first score (Guo et al. 2017), in [0, 1]."""
    bins = np.minimum((first * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(first[bins == number].mean()) - float(right[bins == number].mean())) * float((bins == number).mean())
        for number in np.unique(bins)
    ]
    return float(sum(gaps))


def _share(flags: npt.NDArray[Any]) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None


def _by_label(said: Ints, targets: Ints, labels: Sequence[str]) -> tuple[list[dict[str, Any]], float | None]:
    """Precision and recall of each label with their intervals; and the mean of F1 over labels that have photos."""
    photos = np.bincount(targets, minlength=len(labels))
    times_said = np.bincount(said, minlength=len(labels))
    hits = np.bincount(targets[said == targets], minlength=len(labels))
    rows: list[dict[str, Any]] = []
    for label, name in enumerate(labels):
        hit, of_label, of_said = int(hits[label]), int(photos[label]), int(times_said[label])
        rows.append(
            {
                "label": name,
                "photos": of_label,
                "said": of_said,
                "precision": _ratio(hit, of_said),
                "precision_interval": _interval(hit, of_said),
                "recall": _ratio(hit, of_label),
                "recall_interval": _interval(hit, of_label),
            }
        )
    shown = photos > 0
    f1 = 2.0 * hits[shown] / (photos[shown] + times_said[shown])
    return rows, round(float(f1.mean()), 4) if shown.any() else None


def _confusion(said: Ints, targets: Ints, labels: int) -> list[list[int]]:
    if labels <= MOST_IN_TABLE:
        return np.bincount(targets * labels + said, minlength=labels**2).reshape(labels, labels).tolist()
    cells, counts = np.unique(targets * labels + said, return_counts=True)
    return [[int(cell) // labels, int(cell) % labels, int(count)] for cell, count in zip(cells, counts, strict=True)]


def _calibration(first: Scores, right: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Ten bins of the first score; those without photos too."""
    bins = np.minimum((first * BINS).astype(int), BINS - 1)
    return [
        {
            "from": number / BINS,
            "to": (number + 1) / BINS,
            "photos": int((bins == number).sum()),
            "mean_score": _share(first[bins == number]),
            "accuracy": _share(right[bins == number]),
        }
        for number in range(BINS)
    ]


def _ratio(hits: int, photos: int) -> float | None:
    return round(hits / photos, 4) if photos else None


def _interval(hits: int, photos: int) -> list[float] | None:
    interval = wilson(hits, photos)
    return [round(end, 4) for end in interval] if interval else None
