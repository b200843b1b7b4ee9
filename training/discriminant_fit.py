"""Linear discriminants along a path of shrinkages: a head in closed form, from each label's mean and one covariance."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training.epochs import StoppedError
from training.fit import FittedHead, for_plain_inputs, standardise
from training.held_out import Part, make_part, spread
from training.recipe import Recipe
from training.softmax import one_blas_thread

Floats = npt.NDArray[Any]

# Variance within labels counts as at least this share of that of all photos: labels whose photos are all alike would
# otherwise be told apart by rounding errors.
LEAST_WITHIN = 1e-3
# Distances of photos that a covariance of 512 inputs has not seen are larger than it says, and logits 3 to 9 times too
# far apart (measured on scenes and landmarks). Divided by this they lie where a temperature about 1 is right.
TOO_SURE = 5.0


class _Spread(NamedTuple):
    """How photos lie about the means of their labels: variances (inputs,) along axes (inputs, inputs)."""

    variances: Floats
    axes: Floats
    means: Floats  # (labels, inputs)
    shares: Floats  # of photos, (labels,)


class DiscriminantCourse:
    """Fits by shrunk linear discriminant analysis (Friedman 1989, doi:10.1080/01621459.1989.10478752).

    An epoch is one shrinkage: the share of the covariance within labels that is replaced by the same variance for all
    directions. See `training.path_fit.PathCourse` for the attributes.
    """

    def __init__(self, values: Floats, recipe: Recipe, stopping: Callable[[], bool]) -> None:
        self._mean, self._scale = standardise(values)
        self.inputs: Floats = ((values - self._mean) * self._scale).astype(np.float64)
        self.epochs, self.unjudged = len(recipe.strengths), (len(recipe.strengths) + 1) // 2
        self._recipe, self._stopping = recipe, stopping
        self._spreads: list[_Spread] = []

    def advance(self, number: int, parts: Sequence[Part]) -> list[Floats]:
        """A layer for each part under shrinkage `number`, from 1: (inputs + 1, labels of the part)."""
        if number == 1:
            self._spreads = [self._spread(part) for part in parts]
        return [_layer(found, self._recipe.strengths[number - 1]) for found in self._spreads]

    def final(self, number: int, targets: npt.NDArray[np.int64], labels: int) -> FittedHead:
        """The head of all photos under shrinkage `number`."""
        part = make_part(targets, np.arange(len(targets)), balanced=self._recipe.class_weights)
        full = spread(_layer(self._spread(part), self._recipe.strengths[number - 1]), part.present, labels)
        return for_plain_inputs(full[:-1], full[-1], self._mean, self._scale)

    def _spread(self, part: Part) -> _Spread:
        if self._stopping():
            msg = "The fit was ended before it was done."
            raise StoppedError(msg)
        rows, labels = self.inputs[part.rows], len(part.present)
        sums, totals = np.zeros((labels, rows.shape[1])), np.bincount(part.targets, part.weights, labels)
        np.add.at(sums, part.targets, rows * part.weights[:, None])
        means = sums / totals[:, None]
        around = (rows - means[part.targets]) * np.sqrt(part.weights)[:, None]
        with one_blas_thread():
            variances, axes = np.linalg.eigh(around.T @ around / max(len(rows) - labels, 1))
        return _Spread(np.maximum(variances, 0.0), axes, means, totals / totals.sum())


def _layer(found: _Spread, shrinkage: float) -> Floats:
    """Means of labels in units of the shrunk covariance, and a bias that makes logits of the distances."""
    even = max(float(found.variances.mean()), LEAST_WITHIN / len(found.variances))
    shrunk = (1.0 - shrinkage) * found.variances + shrinkage * even
    kernel = (found.axes / shrunk) @ (found.axes.T @ found.means.T) / TOO_SURE  # (inputs, labels)
    bias = np.log(found.shares) - 0.5 * (found.means.T * kernel).sum(axis=0)
    return np.concatenate([kernel, bias[None]])
