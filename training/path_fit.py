"""Heads along a path of penalties, from strong to weak, each fit starting where the last one ended."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.epochs import StoppedError
from training.fit import FittedHead, Inputs
from training.held_out import Part, make_part, spread
from training.recipe import Recipe
from training.softmax import fit_softmax

Floats = npt.NDArray[Any]


class PathCourse:
    """Fits by L-BFGS. An epoch is one penalty; weaker ones fit the photos better, and others at some point worse.

    Attributes:
        inputs: what layers are for, (n, inputs).
        epochs: how many there are at most.
        unjudged: the epoch to take when no photo can be held out.
    """

    def __init__(self, values: Floats, recipe: Recipe, stopping: Callable[[], bool]) -> None:
        self._prepared = Inputs(values)
        self.inputs: Floats = self._prepared.rows.astype(np.float64)
        self.epochs, self.unjudged = len(recipe.strengths), (len(recipe.strengths) + 1) // 2
        self._recipe, self._stopping = recipe, stopping
        self._layers: list[Floats] | None = None

    def advance(self, number: int, parts: Sequence[Part]) -> list[Floats]:
        """A layer for each part under penalty `number`, from 1: (inputs + 1, labels of the part)."""
        strength = self._recipe.strengths[number - 1]
        starts = self._layers or [None] * len(parts)
        self._layers = [self._fit(part, strength, start) for part, start in zip(parts, starts, strict=True)]
        return self._layers

    def final(self, number: int, targets: npt.NDArray[np.int64], labels: int) -> FittedHead:
        """The head of all photos under penalty `number`."""
        part = make_part(targets, np.arange(len(targets)), balanced=self._recipe.class_weights)
        layer = self._fit(part, self._recipe.strengths[number - 1], None)
        return self._prepared.head(spread(layer, part.present, labels))

    def _fit(self, part: Part, strength: float, start: Floats | None) -> Floats:
        rows, labels = self.inputs[part.rows], len(part.present)
        return fit_softmax(
            rows, part.targets, labels, strength, weights=part.weights, start=start, on_step=self._stop_if_asked
        )

    def _stop_if_asked(self) -> None:
        if self._stopping():
            msg = "The fit was ended before it was done."
            raise StoppedError(msg)
