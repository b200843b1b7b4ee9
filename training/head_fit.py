"""Fits a head by a recipe: penalty or epochs, temperature and threshold are chosen on photos that are held out in turn."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from db.errors import PhototagError
from training.adam_fit import AdamCourse
from training.discriminant_fit import DiscriminantCourse
from training.epochs import Epoch
from training.fit import FittedHead, choose_temperature, choose_threshold
from training.held_out import HeldOut, Part
from training.path_fit import PathCourse
from training.recipe import Recipe
from worker.heads import head_inputs, scaled, softmax

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

# Photos that a head is fitted on at most, drawn by chance: more make it slower and hardly better. `flatten` works in the
# space that its photos span, which takes the cube of their number: 4,000 take half a minute.
MOST_FITTED = {"gap": 20_000, "flatten": 4_000}
# Temperature and threshold of fewer held-out photos would be chance.
FEWEST_JUDGED = 20


@dataclass(frozen=True)
class Fitted:
    """A head, and what was found about it.

    Attributes:
        head: its arrays, for `worker.heads.LinearHead`.
        temperature: logits are divided by it before softmax; 1 where too few photos could be held out.
        threshold: first score under which a photo is shown as not sure; 1 where too few photos could be held out.
        curves: one for each epoch that was tried, in order.
        best: number of the epoch that the head stands for.
        strength: the strength of that epoch; None for adam.
        held_out: logits of each photo by a head that knows neither it nor its group, (n, labels).
        judged: whether a photo has such logits, (n,): its label may be known from its own group only.
        photos: how many were fitted; very many are thinned out by chance.
    """

    head: FittedHead
    temperature: float
    threshold: float
    curves: list[Epoch]
    best: int
    strength: float | None
    held_out: Floats
    judged: npt.NDArray[np.bool_]
    photos: int


class Course(Protocol):
    """A way of fitting that goes epoch by epoch, for several parts of the photos side by side."""

    inputs: Floats
    epochs: int
    unjudged: int

    def advance(self, number: int, parts: list[Part]) -> list[Floats]:
        """Each part's layer after epoch `number`."""
        ...

    def final(self, number: int, targets: Ints, labels: int) -> FittedHead:
        """The head of all photos after epoch `number`."""
        ...


COURSES = {"discriminant": DiscriminantCourse, "lbfgs": PathCourse, "adam": AdamCourse}


class _Best(NamedTuple):
    epoch: Epoch
    logits: Floats


def fit_head(
    features: npt.NDArray[Any],
    targets: Ints,
    groups: Ints,
    labels: int,
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
    *,
    unseen: npt.NDArray[np.bool_] | None = None,
) -> Fitted:
    """Fits, calibrates, and chooses what counts as sure. The same call gives the same head.

    Args:
        features: (n, h, w, c) as a backbone gives them; or their means (n, c), which is enough for `gap`. With
            `recipe.augmented` = a, 1 + a blocks of n rows: the photos, then their variants in the same order.
        targets: (n,) positions of labels; a label may have no photo.
        groups: (n,) near-duplicates have the same number; a group is held out as a whole.
        labels: how many there are.
        recipe: how.
        on_epoch: told of each epoch when it is over.
        stopping: asked often, at least several times a second once the photos are made ready.
        unseen: (n,) photos that the network was not trained on, which alone may judge heads; None: it was on none.

    Raises:
        PhototagError: fewer than two labels have photos, or the features do not fit the recipe.
        StoppedError: `stopping` said so.
    """
    _check(features, targets, recipe)
    kept = _thinned(len(targets), recipe)
    rows = np.concatenate([kept + block * len(targets) for block in range(1 + recipe.augmented)])
    of_kept = np.tile(targets[kept], 1 + recipe.augmented)
    values = features[rows] if len(rows) < len(features) else features
    values = _inputs(values, recipe)
    held_out = HeldOut(
        of_kept,
        np.tile(groups[kept], 1 + recipe.augmented),
        labels,
        folds=recipe.folds,
        seed=recipe.seed,
        balanced=recipe.class_weights,
    )
    held_out.only(np.arange(len(rows)) < len(kept))  # variants are for fitting: nobody tags them
    if unseen is not None:
        held_out.only(np.tile(unseen[kept], 1 + recipe.augmented))
    course: Course = COURSES[recipe.method](values, recipe, stopping)
    curves, best = _run(course, held_out, recipe, on_epoch)
    number = best.epoch.number if best else course.unjudged
    head = course.final(number, of_kept, labels)
    logits, judged = _of_all(len(targets), labels, kept, held_out, best)
    temperature, threshold = calibrate(logits[judged], targets[judged], recipe.wanted_accuracy)
    strength = None if recipe.method == "adam" else recipe.strengths[number - 1]
    return Fitted(head, temperature, threshold, curves, number, strength, logits, judged, len(kept))


def calibrate(logits: Floats, targets: Ints, wanted_accuracy: float) -> tuple[float, float]:
    """Temperature and threshold from logits of held-out photos; 1 and 1 (never sure) from too few."""
    if len(targets) < FEWEST_JUDGED:
        return 1.0, 1.0
    temperature = choose_temperature(logits, targets)
    scores = softmax(logits, temperature)
    return temperature, choose_threshold(scores.max(axis=1), scores.argmax(axis=1) == targets, wanted_accuracy)


def _run(
    course: Course, held_out: HeldOut, recipe: Recipe, on_epoch: Callable[[Epoch], None]
) -> tuple[list[Epoch], _Best | None]:
    """Epochs until the loss of held-out photos has not become smaller for some; and the best of them."""
    curves: list[Epoch] = []
    best: _Best | None = None
    least = math.inf
    if not held_out.parts:
        return curves, best
    for number in range(1, course.epochs + 1):
        epoch, logits = held_out.epoch(number, course.inputs, course.advance(number, held_out.parts))
        curves.append(epoch)
        on_epoch(epoch)
        if epoch.held_out_loss is not None and epoch.held_out_loss < least:
            least, best = epoch.held_out_loss, _Best(epoch, logits)
        if best and number - best.epoch.number >= recipe.patience:
            break
    return curves, best


def _of_all(
    photos: int, labels: int, kept: Ints, held_out: HeldOut, best: _Best | None
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    logits, judged = np.zeros((photos, labels), np.float32), np.zeros(photos, np.bool_)
    if best:
        logits[kept], judged[kept] = best.logits[: len(kept)], held_out.judged[: len(kept)]
    return logits, judged


def _inputs(values: npt.NDArray[Any], recipe: Recipe) -> Floats:
    if values.ndim == 4:
        return head_inputs(values, averages=recipe.head == "gap", unit_length=recipe.unit_length)
    return scaled(values.astype(np.float32)) if recipe.unit_length else values.astype(np.float32)


def _thinned(photos: int, recipe: Recipe) -> Ints:
    """Positions of the photos to fit, in order."""
    most = max(2, MOST_FITTED[recipe.head] // (1 + recipe.augmented))
    if photos <= most:
        return np.arange(photos)
    return np.sort(np.random.RandomState(recipe.seed).permutation(photos)[:most])


def _check(features: npt.NDArray[Any], targets: Ints, recipe: Recipe) -> None:
    if len(np.unique(targets)) < 2:
        msg = "A head tells labels apart: label photos of at least two. Received: photos of one label, or none"
        raise PhototagError(msg)
    if features.ndim == 2 and recipe.head == "flatten":
        msg = f"`flatten` reads all values of features, (n, h, w, channels). Received: means of shape {features.shape}"
        raise PhototagError(msg)
    if len(features) != len(targets) * (1 + recipe.augmented):
        msg = (
            f"The recipe wants {1 + recipe.augmented} rows of features for each of {len(targets)} photos."
            f" Received: {len(features)}"
        )
        raise PhototagError(msg)
