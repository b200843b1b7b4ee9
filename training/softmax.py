"""Softmax regression by L-BFGS: one dense layer with an L2 penalty, fitted to the optimum."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import threadpoolctl
from scipy import optimize

Floats = npt.NDArray[Any]
Targets = npt.NDArray[np.int64]

# Largest part of the gradient, in scaled weights, at which a fit counts as done: scores are then right to about 1e-4, and
# to 5e-3 under the weakest penalties, where steps of unscaled weights left up to 3e-2.
TOLERANCE = 1e-5
# A photo's loss bends by p (1 - p) of a score: about this at the start with ten labels, and less the better it is fitted.
BEND = 0.1
MOST_STEPS = 2000


def fit_softmax(
    rows: Floats,
    targets: Targets,
    labels: int,
    strength: float,
    *,
    weights: Floats | None = None,
    start: Floats | None = None,
    on_step: Callable[[], None] | None = None,
) -> Floats:
    """The layer with the smallest mean loss plus `strength` / 2 times its squared weights. The bias is not penalised.

    Args:
        rows: (n, inputs), float64.
        targets: (n,) labels; each from 0 to `labels` - 1 occurs, or its bias would run away.
        labels: number of outputs.
        strength: of the penalty, more than 0.
        weights: of photos, (n,), with mean 1; all count the same if None.
        start: a layer to start from, (inputs + 1, labels).
        on_step: called after each step; what it raises ends the fit.

    Returns:
        (inputs + 1, labels): the kernel, and under it the bias.
    """
    # transposed, one row a label: the products take half as long as with one column a label
    shape = labels, rows.shape[1] + 1
    numbers = np.arange(len(rows))
    shares = np.full(len(rows), 1.0 / len(rows)) if weights is None else weights / len(rows)
    hot = np.zeros((labels, len(rows)))
    hot[targets, numbers] = 1.0
    scale = _scale(rows, shares, strength)

    def loss_and_gradient(flat: Floats) -> tuple[float, Floats]:
        layer = flat.reshape(shape) * scale
        logits = layer[:, :-1] @ rows.T + layer[:, -1:]
        logits -= logits.max(axis=0)
        powers = np.exp(logits)
        sums = powers.sum(axis=0)
        losses = np.log(sums) - logits[targets, numbers]
        wrong = (powers / sums - hot) * shares
        gradient = np.concatenate([wrong @ rows + strength * layer[:, :-1], wrong.sum(axis=1, keepdims=True)], axis=1)
        return float(losses @ shares + strength / 2 * (layer[:, :-1] ** 2).sum()), (gradient * scale).ravel()

    def after_step(_: Floats) -> None:
        if on_step:
            on_step()

    with one_blas_thread():
        found = cast("Any", optimize).minimize(
            loss_and_gradient,
            (np.zeros(shape) if start is None else start.T / scale).ravel(),
            method="L-BFGS-B",
            jac=True,
            callback=after_step,
            options={"maxiter": MOST_STEPS, "gtol": TOLERANCE, "ftol": 1e-10},
        )
    layer: Floats = (found.x.reshape(shape) * scale).T
    return layer


def one_blas_thread() -> AbstractContextManager[Any]:
    """Products on one thread: those of a fit are short, and threads wait for each other longer than they work.

    Of 1,000 photos, 512 inputs and 10 labels L-BFGS takes 2 s on one thread of two busy cores, and 12 s on two.
    """
    return cast("AbstractContextManager[Any]", _blas().limit(limits=1, user_api="blas"))


def _scale(rows: Floats, shares: Floats, strength: float) -> Floats:
    """Of each weight, (inputs + 1,): in weights that are divided by it the loss bends about alike in all directions.

    Where inputs are the axes of a decomposition L-BFGS then takes half as many steps, and it ends nearer to the optimum.
    """
    squares = np.append(shares @ rows**2, 1.0)
    penalties = np.append(np.full(rows.shape[1], strength), 0.0)
    return 1.0 / np.sqrt(BEND * squares + penalties)


@cache
def _blas() -> Any:
    return cast("Any", threadpoolctl).ThreadpoolController()
