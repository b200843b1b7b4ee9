"""VGG16 in two: blocks 1 to 4, through which each photo goes once, and block 5 with a head, which are trained."""
# pyright: basic

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.block4 import DIVISOR, Outputs
from training.fit import FittedHead
from training.recipe import Tuning
from worker import device  # before keras: it chooses the backend
from worker.batching import Batching
from worker.block5 import NAMES, Layer
from worker.vgg16 import FLOAT16_MAX, build_network

import keras  # isort: skip
from keras import layers, ops  # isort: skip

CUT = "block4_pool"


@dataclass(frozen=True)
class Start:
    """The head that a training begins with.

    Attributes:
        head: as it reads features.
        mean: of each of its inputs, (inputs,).
        scale: (inputs - mean) * scale are photos of about length 1, so that one learning rate suits head and block.
        averages: whether it reads means of channels, or all values.
    """

    head: FittedHead
    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    averages: bool


def frozen_part(convolutions: Sequence[Layer], chunk_size: int | None) -> Callable[[npt.NDArray[np.uint8]], Outputs]:
    """Blocks 1 to 4, ready to use: (n, 224, 224, 3) RGB to what `training.block4` keeps, (n, 14, 14, 512)."""
    is_gpu = device.prepare()
    whole = build_network(convolutions)
    shallow = ops.cast(whole.get_layer(CUT).output, "float32")
    kept = ops.cast(ops.minimum(ops.divide(shallow, DIVISOR), FLOAT16_MAX), "float16")
    batching = Batching(
        device.compiled(keras.Model(whole.input, kept, name="vgg16_block4_pool")),
        size=chunk_size or device.default_chunk_size(),
        pads=is_gpu,
        out_of_memory=device.OUT_OF_MEMORY,
    )
    return batching.run


class Block5:
    """Block 5 and a head behind it.

    Attributes:
        network: from kept outputs of block 4 to logits; compiled for training.
    """

    def __init__(self, convolutions: Sequence[Layer], shape: tuple[int, int, int]) -> None:
        device.prepare()
        self._kept = keras.Input(shape, dtype="float16")  # (n, 14, 14, 512)
        # float32 throughout, on a GPU too: steps of 1e-5 are lost in float16
        values = ops.multiply(ops.cast(self._kept, "float32"), DIVISOR)
        self._layers = [
            layers.Conv2D(layer[0].shape[-1], 3, padding="same", activation="relu", name=name, dtype="float32")
            for name, layer in zip(NAMES, convolutions, strict=True)
        ]
        for layer in self._layers:
            values = layer(values)
        self._deep = layers.MaxPooling2D(2, name="block5_pool", dtype="float32")(values)  # (n, 7, 7, 512)
        features = ops.cast(ops.minimum(self._deep, FLOAT16_MAX), "float16")
        self._features = keras.Model(self._kept, features, name="block5_features")
        self.network: Any = None
        self.set_values(convolutions)

    def values(self) -> list[Layer]:
        """Kernel and bias of each convolution."""
        return [(kernel, bias) for kernel, bias in (layer.get_weights() for layer in self._layers)]

    def set_values(self, convolutions: Sequence[Layer]) -> None:
        """Puts others in their place."""
        for layer, arrays in zip(self._layers, convolutions, strict=True):
            layer.set_weights(list(arrays))

    def features(self, outputs: Outputs) -> npt.NDArray[np.float16]:
        """What a head reads of photos, (n, 7, 7, 512); to be called with about as many photos each time."""
        return np.asarray(self._features.predict_on_batch(np.ascontiguousarray(outputs)))

    def begin(self, start: Start, tuning: Tuning) -> None:
        """Puts the head behind the block and makes both ready to be trained."""
        pool = layers.GlobalAveragePooling2D(dtype="float32") if start.averages else layers.Flatten(dtype="float32")
        inputs = ops.multiply(ops.subtract(pool(self._deep), start.mean), start.scale)
        dense = layers.Dense(start.head.weights.shape[1], name="head", dtype="float32")
        self.network = keras.Model(self._kept, dense(inputs), name="block5_and_head")
        bias = start.head.bias + start.mean @ start.head.weights
        dense.set_weights([start.head.weights / start.scale[:, None], bias])
        self.network.compile(
            optimizer=keras.optimizers.Adam(tuning.learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=device.prepare(),  # as for tagging: XLA on a GPU only
        )
