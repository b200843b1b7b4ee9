"""Fits a softmax head on features, calibrates it, and chooses the score under which a photo is "not sure"."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import optimize
from sklearn.model_selection import StratifiedKFold

from training.softmax import fit_softmax, one_blas_thread

Floats = npt.NDArray[Any]
Targets = npt.NDArray[np.int64]

FOLDS = 5
SEED = 0
# A threshold is only believed when it is backed by this many photos above it.
MIN_PHOTOS_ABOVE = 20
# Standard deviations smaller than this share of the largest come from channels that are (nearly) dead.
DEAD_CHANNEL = 1e-3


@dataclass(frozen=True)
class FittedHead:
    """One dense layer: logits = inputs @ weights + bias. Standardisation is folded in."""

    weights: npt.NDArray[np.float32]  # (inputs, labels)
    bias: npt.NDArray[np.float32]  # (labels,)

    def logits(self, inputs: Floats) -> Floats:
        """(n, inputs) to (n, labels)."""
        return inputs @ self.weights + self.bias


def standardise(inputs: Floats) -> tuple[Floats, Floats]:
    """Mean and scale of each input, (inputs,): (inputs - mean) * scale are photos of about length 1."""
    deviation = inputs.std(axis=0)
    floor = DEAD_CHANNEL * max(float(deviation.max()), 1e-12)
    return inputs.mean(axis=0), 1.0 / (np.maximum(deviation, floor) * math.sqrt(inputs.shape[1]))


def for_plain_inputs(kernel: Floats, bias: Floats, mean: Floats, scale: Floats) -> FittedHead:
    """The head for inputs as they come, of a layer fitted to standardised ones; `mean`, `scale`: see `standardise`."""
    weights = kernel * scale[:, None]
    return FittedHead(weights.astype(np.float32), (bias - mean @ weights).astype(np.float32))


class Inputs:
    """Photos made ready for fits: standardised, and reduced when they are few.

    With more inputs than photos the fits run in the space the photos span, which has the same optimum (the penalty
    keeps the weights in it): 1,800 photos of 25,088 values take seconds instead of minutes.

    Attributes:
        rows: one for each photo, (n, rank).
    """

    def __init__(self, inputs: Floats) -> None:
        self._mean, self._scale = standardise(inputs)
        self._centred = (inputs - self._mean) * self._scale
        self.rows, self._back = self._centred, None
        if inputs.shape[1] > len(inputs):
            self.rows, self._back = _reduced(self._centred)

    def head(self, layer: Floats) -> FittedHead:
        """The head for inputs as they come, of a layer fitted to `rows`: (rank + 1, labels), its bias last."""
        kernel, bias = layer[:-1], layer[-1]
        if self._back is not None:
            kernel = self._centred.T @ (self._back @ kernel).astype(np.float32)
        return for_plain_inputs(kernel, bias, self._mean, self._scale)


class Fitting:
    """Photos made ready for fits of several strengths."""

    def __init__(self, inputs: Floats, targets: Targets) -> None:
        self._inputs, self._targets = Inputs(inputs), targets

    def fit(self, strength: float) -> FittedHead:
        """Logistic regression with an L2 penalty of `strength`. Each label up to the last must have a photo."""
        rows = self._inputs.rows.astype(np.float64)
        return self._inputs.head(fit_softmax(rows, self._targets, int(self._targets.max()) + 1, strength))


def held_out_logits(inputs: Floats, targets: Targets, strengths: Sequence[float]) -> dict[float, Floats]:
    """For each strength and photo the logits of a head that was fitted without the photo's fold. (n, labels)"""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    splits: list[tuple[Targets, Targets]] = list(folds.split(inputs, targets))
    logits = {strength: np.zeros((len(targets), int(targets.max()) + 1), np.float32) for strength in strengths}
    for fitted, held_out in splits:
        fitting = Fitting(inputs[fitted], targets[fitted])
        for strength in strengths:
            logits[strength][held_out] = fitting.fit(strength).logits(inputs[held_out])
    return logits


def choose_temperature(logits: Floats, targets: Targets) -> float:
    """The temperature under which the true labels are likeliest (Guo et al. 2017), to 1 %."""

    def loss(power: float) -> float:
        return log_loss(logits / 10.0**power, targets)

    found = cast("Any", optimize).minimize_scalar(loss, bounds=(-1.0, 1.0), options={"xatol": 0.002})
    return round(10.0 ** float(found.x), 4)


def choose_threshold(scores: Floats, right: npt.NDArray[np.bool_], wanted_accuracy: float) -> float:
    """The smallest score above which photos are right `wanted_accuracy` of the time; the largest score if none is.

    Args:
        scores: first scores of held-out photos, (n,).
        right: whether their first label is the true one, (n,).
    """
    order = np.argsort(-scores, kind="stable")
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero((accuracy >= wanted_accuracy) & (np.arange(1, len(order) + 1) >= MIN_PHOTOS_ABOVE))
    # floor and ceil so that the rounded threshold lets through the photos it was chosen by, and no others
    if len(good) == 0:
        return min(1.0, math.ceil(float(scores.max()) * 1000) / 1000)
    # a calibrated score of that size is right that often by itself: no reason to ask for more
    return min(wanted_accuracy, math.floor(float(scores[order[good[-1]]]) * 1000) / 1000)


def log_loss(logits: Floats, targets: Targets) -> float:
    """Mean of -log p(true label)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    normal = np.log(np.exp(shifted).sum(axis=1))
    return float((normal - shifted[np.arange(len(targets)), targets]).mean())


def _reduced(centred: Floats) -> tuple[Floats, Floats]:
    """`centred` in coordinates of the space its rows span, (n, rank), and the way back, (n, rank).

    Weights w in these coordinates are `centred.T @ (back @ w)` in the inputs. From the products of photos alone:
    the basis itself (25,088 x 1,800) is never formed.
    """
    products = (centred @ centred.T).astype(np.float64)
    with one_blas_thread():  # of 2,000 photos 3 s on two busy cores, and 34 on two threads
        values, vectors = np.linalg.eigh(products)  # (n,), (n, n)
    kept = values > values.max() * 1e-7  # float32 products hold no more
    lengths = np.sqrt(values[kept])
    return vectors[:, kept] * lengths, vectors[:, kept] / lengths
