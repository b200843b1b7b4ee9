"""Trains block 5 with a head, epoch by epoch, until the loss of held-out photos no longer gets smaller."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.block4 import Outputs
from training.epochs import Epoch
from training.fit import choose_temperature, log_loss, standardise
from training.head_fit import fit_head
from training.held_out import assign_folds, make_part
from training.recipe import Recipe, Tuning
from training.tuning_network import Block5, Start
from worker.block5 import Layer
from worker.heads import head_inputs

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Photos that go through block 5 at once where nothing is trained: 26 MB of its values.
CHUNK = 64


@dataclass(frozen=True)
class TuningPhotos:
    """Photos to train on.

    Attributes:
        outputs: of block 4, as `training.block4` keeps them, (n, 14, 14, 512).
        targets: positions of labels, (n,).
        groups: near-duplicates have the same number, (n,).
        labels: how many there are.
    """

    outputs: Outputs
    targets: Ints
    groups: Ints
    labels: int


@dataclass(frozen=True)
class Tuned:
    """What came out.

    Attributes:
        block5: its convolutions after the best epoch.
        best: number of that epoch.
        unseen: photos that no step was made for, (n,): they ended the training.
    """

    block5: list[Layer]
    best: int
    unseen: Flags


def tuning_steps(photos: int, tuning: Tuning) -> int:
    """Steps of an epoch, at most."""
    return math.ceil(photos / tuning.batch_size)


def tune_block5(
    block: Block5,
    photos: TuningPhotos,
    recipe: Recipe,
    tuning: Tuning,
    *,
    on_epoch: Callable[[Epoch], None],
    on_steps: Callable[[int], None],
) -> Tuned:
    """Trains `block`, which holds the values of the best epoch afterwards.

    Args:
        block: with the values to begin with.
        photos: one fold of their groups is held out and never trained on.
        recipe: of the head, its folds and its seed.
        tuning: how.
        on_epoch: told of each epoch when it is over.
        on_steps: told how many more steps are made, several times a minute; may raise to end it.

    Raises:
        PhototagError: fewer than two labels have photos that are not held out.
    """
    unseen = assign_folds(photos.targets, photos.groups, recipe.folds, recipe.seed) == 0
    if unseen.all():  # of a single group nothing can be held out
        unseen = np.zeros(len(unseen), np.bool_)
    block.begin(_start(block, photos, np.flatnonzero(~unseen), recipe), tuning)
    course = _Course(block, photos, np.flatnonzero(~unseen), np.flatnonzero(unseen), recipe, tuning)
    best, kept, least = 0, block.values(), math.inf
    for number in range(1, tuning.epochs + 1):
        figures = course.run_epoch(on_steps)
        loss, accuracy = course.judge()
        on_epoch(Epoch(number, figures["loss"], figures["accuracy"], loss, accuracy))
        if loss is None or loss < least:
            best, kept, least = number, block.values(), math.inf if loss is None else loss
        if number - best >= tuning.patience:
            break
    block.set_values(kept)
    return Tuned(kept, best, unseen)


def features_of(block: Block5, outputs: Outputs) -> npt.NDArray[np.float16]:
    """What a head reads of a chunk of photos. All chunks have one size inside, so that a graph is compiled once."""
    missing = CHUNK - len(outputs)
    padded = np.pad(outputs, [(0, missing), (0, 0), (0, 0), (0, 0)]) if missing else outputs
    return block.features(padded)[: len(outputs)]


def _start(block: Block5, photos: TuningPhotos, rows: Ints, recipe: Recipe) -> Start:
    """The ordinary head for what block 5 makes of photos now: a drawn one would send it meaningless gradients."""
    averages = recipe.head == "gap"
    parts = [
        head_inputs(features_of(block, photos.outputs[rows[start : start + CHUNK]]), averages=averages)
        for start in range(0, len(rows), CHUNK)
    ]
    inputs = np.concatenate(parts)
    # of values that are flat already only their number matters to a head
    features = inputs if averages else inputs[:, None, None, :]
    fitted = fit_head(features, photos.targets[rows], photos.groups[rows], photos.labels, recipe)
    mean, scale = standardise(inputs)
    return Start(fitted.head, mean.astype(np.float32), scale.astype(np.float32), averages)


class _Course:
    """The epochs of one training."""

    def __init__(
        self, block: Block5, photos: TuningPhotos, fitted: Ints, held_out: Ints, recipe: Recipe, tuning: Tuning
    ) -> None:
        part = make_part(photos.targets, fitted, balanced=recipe.class_weights)
        self._network: Any = block.network
        self._photos, self._fitted, self._weights = photos, fitted, part.weights.astype(np.float32)
        # a label that is held out as a whole cannot be known
        self._judged = held_out[np.isin(photos.targets[held_out], part.present)]
        self._size = min(tuning.batch_size, len(fitted))
        self._steps = tuning_steps(len(fitted), tuning)
        self._chance = np.random.RandomState(recipe.seed)

    def run_epoch(self, on_steps: Callable[[int], None]) -> dict[str, float]:
        """Once through the photos in an order of its own; all steps are of one size. Returns loss and accuracy."""
        order = self._chance.permutation(len(self._fitted))
        self._network.reset_metrics()
        figures: dict[str, Any] = {}
        for step in range(self._steps):
            taken = order.take(range(step * self._size, (step + 1) * self._size), mode="wrap")
            rows = self._fitted[taken]
            figures = self._network.train_on_batch(
                self._photos.outputs[rows],
                self._photos.targets[rows],
                sample_weight=self._weights[taken],
                return_dict=True,
            )
            on_steps(1)
        return {name: float(figures[name]) for name in ("loss", "accuracy")}

    def judge(self) -> tuple[float | None, float | None]:
        """Loss at the temperature that suits them best, and accuracy, of held-out photos; None without any."""
        if len(self._judged) == 0:
            return None, None
        parts: list[npt.NDArray[Any]] = []
        for start in range(0, len(self._judged), self._size):
            rows = self._judged.take(range(start, start + self._size), mode="clip")
            logits = np.asarray(self._network.predict_on_batch(self._photos.outputs[rows]))
            parts.append(logits[: len(self._judged) - start])
        logits, targets = np.concatenate(parts), self._photos.targets[self._judged]
        temperature = choose_temperature(logits, targets)
        return log_loss(logits / temperature, targets), float((logits.argmax(axis=1) == targets).mean())
