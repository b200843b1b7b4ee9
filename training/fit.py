"""Fits a softmax head on features, calibrates it, and chooses the score under which a photo is "not sure"."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

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


class Fitting:
    """Photos made ready for fits of several strengths: standardised, and reduced when they are few.

    With more inputs than photos the fits run in the space the photos span, which has the same optimum (the penalty
    keeps the weights in it): 1,800 photos of 25,088 values take seconds instead of minutes.
    """

    def __init__(self, inputs: Floats, targets: Targets) -> None:
        self._targets = targets
        self._mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
        floor = DEAD_CHANNEL * max(float(deviation.max()), 1e-12)
        self._scale = 1.0 / (np.maximum(deviation, floor) * math.sqrt(inputs.shape[1]))
        self._centred = (inputs - self._mean) * self._scale
        if inputs.shape[1] > len(inputs):
            self._reduced, self._back = _reduced(self._centred)
        else:
            self._reduced, self._back = self._centred, None

    def fit(self, strength: float) -> FittedHead:
        """Logistic regression with an L2 penalty of `strength`."""
        # sklearn's C weighs the sum over photos, so the penalty per photo is 1 / (C n)
        regression = LogisticRegression(C=1.0 / (strength * len(self._targets)), max_iter=2000, tol=1e-5)
        regression.fit(self._reduced, self._targets)
        kernel, bias = _both_classes(regression)
        if self._back is not None:
            kernel = self._centred.T @ (self._back @ kernel).astype(np.float32)
        weights = kernel * self._scale[:, None]
        return FittedHead(weights.astype(np.float32), (bias - self._mean @ weights).astype(np.float32))


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
    candidates: list[float] = np.geomspace(0.1, 10.0, 461).tolist()
    losses = [log_loss(logits / temperature, targets) for temperature in candidates]
    return round(candidates[int(np.argmin(losses))], 4)


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
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))  # (n,), (n, n)
    kept = values > values.max() * 1e-7  # float32 products hold no more
    lengths = np.sqrt(values[kept])
    return vectors[:, kept] * lengths, vectors[:, kept] / lengths


def _both_classes(regression: Any) -> tuple[Floats, Floats]:
    kernel, bias = regression.coef_.T, regression.intercept_  # (inputs, labels), (labels,)
    if kernel.shape[1] == 1:  # two labels: sklearn keeps one column, the logit of the second against the first
        return np.concatenate([-kernel / 2, kernel / 2], axis=1), np.array([-bias[0] / 2, bias[0] / 2])
    return kernel, bias
