"""Finds labels that look wrong: each photo is judged by a head that was fitted without it (Northcutt et al. 2021).

"Confident Learning: Estimating Uncertainty in Dataset Labels", doi:10.1613/jair.1.12125, through cleanlab. A label is
doubted when heads that know the other photos expect another one more surely than such labels usually deserve.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from cleanlab import filter as cleanlab_filter
from cleanlab import rank

from db.doubts import Doubt
from training.fit import FOLDS, SEED, Fitting, Floats, choose_temperature
from training.held_out import assign_folds
from worker.heads import softmax

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FEWEST_PHOTOS = 40
FEWEST_LABELS = 2
# A label with fewer photos, near-duplicates counted once, is not known well enough to be doubted or to be expected.
FEWEST_OF_LABEL = FOLDS
# Penalty of the heads: of 1e-3 to 1e-1 the one that finds most on generated photos of several kinds.
STRENGTH = 1e-2
# A label to which calibrated heads give less than this is doubted by itself. Of 15 wrong ones among 300 to 400 generated
# photos this finds 14 instead of 11, and no right one.
HARDLY = 0.05
# More photos make a head slower, and hardly better: 20,000 of 512 channels take minutes.
MOST_FITTED = 10_000


@dataclass(frozen=True)
class LabelledPhotos:
    """Photos that people labelled: ids, label ids and groups of near-duplicates (n,), means of features (n, channels)."""

    photo_ids: Ints
    label_ids: Ints
    groups: Ints
    vectors: Floats


class Doubts(NamedTuple):
    """What was found; or, in words, what is missing until something can be."""

    found: list[Doubt]
    missing: str = ""


def find_doubts(photos: LabelledPhotos, stopping: Callable[[], bool] = lambda: False) -> Doubts:
    """Labels that look wrong. The same photos give the same answer."""
    photos = _of_known_labels(photos)
    labels, targets = np.unique(photos.label_ids, return_inverse=True)
    if len(targets) < FEWEST_PHOTOS or len(labels) < FEWEST_LABELS:
        missing = (
            f"Labels are checked once at least {FEWEST_PHOTOS} photos are labelled, with {FEWEST_LABELS} labels or more"
            f" that have {FEWEST_OF_LABEL} different photos each. Until now: {len(targets)} photos, {len(labels)} labels."
        )
        return Doubts([], missing)
    logits, judged = _held_out_logits(photos, targets, len(labels), stopping)
    if stopping():
        return Doubts([], "It was ended before all photos were judged.")
    wrong, quality = _judge(targets[judged], logits[judged])
    of = np.flatnonzero(judged)[wrong]
    found = [
        Doubt(int(photo_id), int(label_id), 1.0 - float(fit))
        for photo_id, label_id, fit in zip(photos.photo_ids[of], photos.label_ids[of], quality[wrong], strict=True)
    ]
    return Doubts(found)


def _of_known_labels(photos: LabelledPhotos) -> LabelledPhotos:
    pairs = np.unique(np.stack([photos.label_ids, photos.groups]), axis=1)
    labels, counts = np.unique(pairs[0], return_counts=True)
    kept = np.isin(photos.label_ids, labels[counts >= FEWEST_OF_LABEL])
    return LabelledPhotos(photos.photo_ids[kept], photos.label_ids[kept], photos.groups[kept], photos.vectors[kept])


def _held_out_logits(
    photos: LabelledPhotos, targets: Ints, labels: int, stopping: Callable[[], bool]
) -> tuple[Floats, Flags]:
    """For each photo logits (n, labels) of a head that knows neither it nor its near-duplicates; whether it has some.

    A label all of whose photos lie in one fold, of one group of near-duplicates, is not known to the head that judges
    them: such a fold is left out.
    """
    logits = np.zeros((len(targets), labels), np.float32)
    judged = np.zeros(len(targets), np.bool_)
    for fitted, held_out in _folds(photos, targets):
        if stopping():
            break
        present, positions = np.unique(targets[fitted], return_inverse=True)
        if len(present) == labels:
            logits[held_out] = Fitting(photos.vectors[fitted], positions).fit(STRENGTH).logits(photos.vectors[held_out])
            judged[held_out] = True
    return logits, judged


def _folds(photos: LabelledPhotos, targets: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Rows to fit, and rows to judge by the head."""
    chance = np.random.RandomState(SEED)
    folds = assign_folds(targets, photos.groups, FOLDS, SEED)
    for number in range(int(folds.max()) + 1):
        yield chance.permutation(np.flatnonzero(folds != number))[:MOST_FITTED], np.flatnonzero(folds == number)


def _judge(targets: Ints, logits: Floats) -> tuple[Flags, Floats]:
    """Whether each label looks wrong, and how well it fits, [0, 1]. Labels of which no photo is judged are left out."""
    labels, targets = np.unique(targets, return_inverse=True)
    if len(labels) < FEWEST_LABELS:
        return np.zeros(len(targets), np.bool_), np.ones(len(targets), np.float32)
    logits = logits[:, labels]
    probabilities = softmax(logits, choose_temperature(logits, targets))
    find_issues, scores = cast("Any", cleanlab_filter).find_label_issues, cast("Any", rank).get_label_quality_scores
    quality: Floats = scores(targets, probabilities)
    # as many of the worst as confident learning counts; of rare mistakes it counts too few: each pair of labels has less
    # than one
    worst: Flags = find_issues(targets, probabilities, filter_by="low_self_confidence", n_jobs=1)
    unexpected: Flags = find_issues(targets, probabilities, filter_by="predicted_neq_given", n_jobs=1)
    return worst | (unexpected & (quality < HARDLY)), quality
