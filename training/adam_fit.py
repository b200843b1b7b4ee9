"""Heads by Adam in Keras, batch by batch, with dropout and weight decay."""
# pyright: basic

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.epochs import StoppedError
from training.fit import FittedHead, for_plain_inputs, standardise
from training.held_out import Part, make_part, spread
from training.recipe import Recipe

Floats = npt.NDArray[Any]


class AdamCourse:
    """Fits by Adam. An epoch is once through the photos. See `training.path_fit.PathCourse` for the attributes."""

    def __init__(self, values: Floats, recipe: Recipe, stopping: Callable[[], bool]) -> None:
        self._mean, self._scale = standardise(values)
        self.inputs: Floats = ((values - self._mean) * self._scale).astype(np.float32)
        self.epochs = self.unjudged = recipe.epochs
        self._recipe, self._stopping = recipe, stopping
        self._layers: list[_Layer] = []

    def advance(self, number: int, parts: Sequence[Part]) -> list[Floats]:
        """Each part's layer after epoch `number`, from 1: (inputs + 1, labels of the part)."""
        if number == 1:
            self._layers = [self._begin(part, fold) for fold, part in enumerate(parts, 1)]
        for layer in self._layers:
            layer.run_epoch(number)
        return [layer.values() for layer in self._layers]

    def final(self, number: int, targets: npt.NDArray[np.int64], labels: int) -> FittedHead:
        """The head of all photos after `number` epochs."""
        part = make_part(targets, np.arange(len(targets)), balanced=self._recipe.class_weights)
        layer = self._begin(part, 0)
        for epoch in range(1, number + 1):
            layer.run_epoch(epoch)
        full = spread(layer.values(), part.present, labels)
        return for_plain_inputs(full[:-1], full[-1], self._mean, self._scale)

    def _begin(self, part: Part, fold: int) -> "_Layer":
        return _Layer(self.inputs, part, self._recipe, fold, self._stopping)


class _Layer:
    """One dense layer while it is fitted."""

    def __init__(self, inputs: Floats, part: Part, recipe: Recipe, fold: int, stopping: Callable[[], bool]) -> None:
        self._inputs, self._part, self._stopping = inputs, part, stopping
        self._size = min(recipe.batch_size, len(part.rows))
        # numbers of their own for each layer and use: (recipe's seed, fold, use)
        seeds = np.random.SeedSequence([recipe.seed, fold]).generate_state(3)
        self._chance = np.random.RandomState(seeds[0])
        self._network = _network(inputs.shape[1], len(part.present), recipe, [int(seed) >> 1 for seed in seeds[1:]])

    def run_epoch(self, number: int) -> None:
        """Once through the photos in an order of its own. All batches are of one size: the last one takes from the first."""
        part, count = self._part, len(self._part.rows)
        order = self._chance.permutation(count)
        for batch in range(math.ceil(count / self._size)):
            if self._stopping():
                msg = f"The fit was ended in epoch {number}."
                raise StoppedError(msg)
            rows = order.take(range(batch * self._size, (batch + 1) * self._size), mode="wrap")
            self._network.train_on_batch(
                self._inputs[part.rows[rows]], part.targets[rows], sample_weight=part.weights[rows].astype(np.float32)
            )

    def values(self) -> Floats:
        """(inputs + 1, labels): the kernel, and under it the bias."""
        kernel, bias = self._network.get_weights()
        return np.concatenate([kernel, bias[None]])


def _network(inputs: int, labels: int, recipe: Recipe, seeds: Sequence[int]) -> Any:
    from worker import device  # noqa: PLC0415 - Keras takes 5 s, and other recipes do without; device before keras

    device.prepare()
    import keras  # noqa: PLC0415

    initial: Any = keras.initializers.GlorotUniform(seed=seeds[1])
    network = keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dropout(recipe.dropout, seed=seeds[0]),
            keras.layers.Dense(labels, kernel_initializer=initial, dtype="float32"),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,  # pyright: ignore[reportArgumentType] - one matrix product: compiling it takes longer than it saves
    )
    return network
