"""Photos held out in turn, group by group, so that each is judged by a head that knows neither it nor its group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.epochs import Epoch
from training.fit import choose_temperature, log_loss

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Logit of a label that a head has never seen. Logits of known ones lie about 0: the largest is never so small.
UNKNOWN = -30.0


@dataclass(frozen=True)
class Part:
    """The photos that one head is fitted on.

    Attributes:
        rows: positions of the photos, (m,).
        present: labels that occur among them, (k,).
        targets: of each photo the position of its label in `present`, (m,).
        weights: what each photo counts, (m,), with mean 1.
    """

    rows: Ints
    present: Ints
    targets: Ints
    weights: Floats


def make_part(targets: Ints, rows: Ints, *, balanced: bool) -> Part:
    """The part of `rows`; if `balanced`, each label counts the same in all."""
    present, positions, counts = np.unique(targets[rows], return_inverse=True, return_counts=True)
    weights = len(rows) / (len(present) * counts[positions]) if balanced else np.ones(len(rows))
    return Part(rows, present, positions, weights)


def spread(layer: Floats, present: Ints, labels: int) -> Floats:
    """A layer for the labels `present`, (inputs + 1, k), as one for all, (inputs + 1, labels)."""
    full = np.zeros((len(layer), labels), layer.dtype)
    full[-1] = UNKNOWN
    full[:, present] = layer
    return full


class HeldOut:
    """The parts of a fit that leave some photos out, and what their heads say of those.

    Attributes:
        parts: one for each fold; none if all photos are of one group.
        judged: photos that a head can be asked about, (n,): a label with photos of one group only is known to no head
            that does not know these.
    """

    def __init__(self, targets: Ints, groups: Ints, labels: int, *, folds: int, seed: int, balanced: bool) -> None:
        self._targets, self._labels = targets, labels
        fold_of_each = assign_folds(targets, groups, folds, seed)
        numbers = range(int(fold_of_each.max()) + 1) if fold_of_each.any() else ()
        self._left_out = [np.flatnonzero(fold_of_each == number) for number in numbers]
        rows = (np.flatnonzero(fold_of_each != number) for number in numbers)
        self.parts = [make_part(targets, fitted, balanced=balanced) for fitted in rows]
        self.judged: Flags = np.zeros(len(targets), np.bool_)
        for part, left_out in zip(self.parts, self._left_out, strict=True):
            self.judged[left_out] = np.isin(targets[left_out], part.present)

    def only(self, rows: Flags) -> None:
        """Judges no photo but these."""
        self.judged &= rows

    def epoch(self, number: int, inputs: Floats, layers: Sequence[Floats]) -> tuple[Epoch, Floats]:
        """How heads stand, and of each photo the logits (n, labels) of the one that does not know it.

        `layers` are in the order of `parts`.
        """
        fitted: list[tuple[float, float]] = []
        logits = np.full((len(inputs), self._labels), UNKNOWN, np.float32)
        for part, left_out, layer in zip(self.parts, self._left_out, layers, strict=True):
            said = inputs @ layer[:-1] + layer[-1]  # of all photos at once: picking rows of the inputs copies them
            fitted.append(_loss_and_accuracy(said[part.rows], part.targets))
            logits[np.ix_(left_out, part.present)] = said[left_out]
        loss, accuracy = np.mean(fitted, axis=0).tolist()
        if not self.judged.any():
            return Epoch(number, loss, accuracy, None, None), logits
        judged, targets = logits[self.judged], self._targets[self.judged]
        held_out_loss = log_loss(judged / choose_temperature(judged, targets), targets)
        held_out_accuracy = float((judged.argmax(axis=1) == targets).mean())
        return Epoch(number, loss, accuracy, held_out_loss, held_out_accuracy), logits


def assign_folds(targets: Ints, groups: Ints, folds: int, seed: int) -> Ints:
    """The fold of each photo, (n,), from 0. Groups stay whole; the photos of each label are dealt out evenly.

    Fewer groups than `folds` give as many folds as there are groups.
    """
    chance = np.random.RandomState(seed)
    _, first, of_each, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    order = chance.permutation(len(first))
    # by label, the largest groups first: the small ones even out what they leave
    order = order[np.lexsort((-sizes[order], targets[first[order]]))]
    folds = min(folds, len(first))
    fold_of_group = np.zeros(len(first), np.int64)
    of_label = np.zeros((folds, int(targets.max()) + 1), np.int64)
    in_all = np.zeros(folds, np.int64)
    for group in order:
        label = targets[first[group]]
        fold = int(np.lexsort((in_all, of_label[:, label]))[0])
        fold_of_group[group] = fold
        of_label[fold, label] += sizes[group]
        in_all[fold] += sizes[group]
    return fold_of_group[of_each]


def _loss_and_accuracy(logits: Floats, targets: Ints) -> tuple[float, float]:
    return log_loss(logits, targets), float((logits.argmax(axis=1) == targets).mean())
