"""VGG16 up to block5_pool in Keras, preprocessing inside: uint8 RGB in, float16 features out."""
# pyright: basic

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from worker import device  # before keras: it chooses the backend
from worker.batching import Batching
from worker.card import FEATURE_SHAPES
from worker.weights import CONVOLUTIONS, LAYER, LayerWeights

import keras  # isort: skip
from keras import ops  # isort: skip

# ImageNet's mean colour, blue first: how VGG16 was trained ("caffe" mode of keras.applications).
MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)
SIZE = 224
FLOAT16_MAX = float(np.finfo(np.float16).max)


class Vgg16Backbone:
    """A loaded VGG16; see `worker.backbone.Backbone`."""

    def __init__(self, weights: Sequence[LayerWeights], space: str, *, chunk_size: int | None = None) -> None:
        self.space = space
        self.feature_shape = FEATURE_SHAPES["vgg16"]
        is_gpu = device.prepare()
        self._batching = Batching(
            device.compiled(build_network(weights)),
            size=chunk_size or device.default_chunk_size(),
            pads=is_gpu,
            out_of_memory=device.OUT_OF_MEMORY,
        )

    def features(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """(n, 224, 224, 3) RGB to (n, 7, 7, 512)."""
        return self._batching.run(pixels) if len(pixels) else np.zeros((0, *self.feature_shape), np.float16)


def build_network(weights: Sequence[LayerWeights]) -> keras.Model:
    """The graph with `weights` in the order of `CONVOLUTIONS`."""
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")  # (n, 224, 224, 3) RGB
    centred = ops.subtract(ops.flip(ops.cast(pixels, "float32"), axis=-1), MEAN_BGR)
    vgg16 = keras.applications.VGG16(weights=None, include_top=False, input_tensor=centred)  # pyright: ignore[reportArgumentType]
    for name, layer in zip(CONVOLUTIONS, weights, strict=True):
        vgg16.get_layer(name).set_weights(layer)
    deep = ops.cast(vgg16.get_layer(LAYER).output, "float32")
    # Features are kept as float16; a value beyond its range must not become infinite.
    features = ops.cast(ops.minimum(deep, FLOAT16_MAX), "float16")
    network = keras.Model(pixels, features, name="vgg16_block5_pool")
    network.trainable = False
    return network
