"""Fits a softmax head on features, calibrates it, and chooses the score under which a photo is "not sure"."""

import math
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


def fit_head(inputs: Floats, targets: Targets, *, strength: float) -> FittedHead:
    """Logistic regression with an L2 penalty of `strength` on standardised inputs.

    With more inputs than photos the fit runs in the space the photos span, which has the same optimum (the
    penalty keeps the weights in it): 1,800 photos of 25,088 values take seconds instead of minutes.
    """
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    scale = 1.0 / np.maximum(deviation, DEAD_CHANNEL * max(float(deviation.max()), 1e-12))
    centred = (inputs - mean) * scale / np.sqrt(inputs.shape[1])
    basis = _basis(centred) if inputs.shape[1] > len(inputs) else None
    reduced = centred if basis is None else centred @ basis
    # sklearn's C weighs the sum over photos, so the penalty per photo is 1 / (C n)
    regression = LogisticRegression(C=1.0 / (strength * len(inputs)), max_iter=2000, tol=1e-5)
    regression.fit(reduced, targets)
    kernel, bias = _both_classes(regression)
    kernel = kernel if basis is None else basis @ kernel
    weights = kernel * (scale / np.sqrt(inputs.shape[1]))[:, None]
    return FittedHead(weights.astype(np.float32), (bias - mean @ weights).astype(np.float32))


def held_out_logits(inputs: Floats, targets: Targets, *, strength: float) -> Floats:
    """For each photo the logits of a head that was fitted without its fold. (n, labels)"""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    logits = np.zeros((len(targets), int(targets.max()) + 1), np.float32)
    for fitted, held_out in folds.split(inputs, targets):
        head = fit_head(inputs[fitted], targets[fitted], strength=strength)
        logits[held_out] = head.logits(inputs[held_out])
    return logits


def choose_temperature(logits: Floats, targets: Targets) -> float:
    """The temperature under which the true labels are likeliest (Guo et al. 2017), to 1 %."""
    candidates = np.exp(np.linspace(np.log(0.1), np.log(10.0), 461))
    losses = [log_loss(logits / float(temperature), targets) for temperature in candidates]
    return float(round(candidates[int(np.argmin(losses))], 4))


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


def _basis(centred: Floats) -> Floats:
    """Orthonormal columns that span the rows of `centred`. (inputs, rank)"""
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))  # (n,), (n, n)
    kept = values > values.max() * 1e-7  # float32 products hold no more
    return centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))


def _both_classes(regression: Any) -> tuple[Floats, Floats]:
    kernel, bias = regression.coef_.T, regression.intercept_  # (inputs, labels), (labels,)
    if kernel.shape[1] == 1:  # two labels: sklearn keeps one column, the logit of the second against the first
        return np.concatenate([-kernel / 2, kernel / 2], axis=1), np.array([-bias[0] / 2, bias[0] / 2])
    return kernel, bias
