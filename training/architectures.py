"""The networks of the lecture as Keras models: AlexNet, VGG16 and VGG19. Numbers in [0, 255] in, scores out.

Each is one chain of layers, so that it can be cut in two: what lies before the cut is computed once for each photo.
"""
# pyright: basic

from typing import Any, Literal

import numpy as np

from worker import device  # noqa: F401 - before keras: it chooses the backend
from worker.vgg16 import MEAN_BGR

import keras  # isort: skip
from keras import layers, ops  # isort: skip

Architecture = Literal["alexnet", "vgg16", "vgg19"]
Scaling = Literal["rescaled", "caffe"]

# Side of the photos in px. AlexNet's paper says 224, its figures only work out with 227.
SIZES: dict[Architecture, int] = {"alexnet": 227, "vgg16": 224, "vgg19": 224}
VGG: dict[str, Any] = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
BASE_OUTPUT = "block5_pool"
SCALING_LAYER = "scaling"
# Between the convolutions and the head: by 1 unless a recipe wants features of size 1.
UNIT_LAYER = "unit"


class CaffeScaling(layers.Layer):
    """RGB to BGR without ImageNet's mean colour: how VGG was trained."""

    def call(self, pixels: Any) -> Any:
        """(n, height, width, 3) to the same shape."""
        return ops.subtract(ops.flip(ops.cast(pixels, "float32"), axis=-1), MEAN_BGR)


def scaling_layer(scaling: Scaling) -> keras.layers.Layer:
    """What turns pixels into what the first convolution reads: [0, 1], or as VGG was trained."""
    if scaling == "caffe":
        return CaffeScaling(name=SCALING_LAYER)
    return layers.Rescaling(1.0 / 255.0, name=SCALING_LAYER)


def whole_network(architecture: Architecture, labels: int, scaling: Scaling) -> keras.Model:
    """The network as published, with its own top and `labels` outputs; weights are drawn."""
    pixels = pixels_input(architecture)
    scaled = scaling_layer(scaling)(pixels)
    if architecture == "alexnet":
        return keras.Model(pixels, _alexnet(scaled, labels), name="alexnet")
    vgg = VGG[architecture](weights=None, input_tensor=scaled, classes=labels)
    return keras.Model(pixels, vgg.output, name=architecture)


def transfer_network(architecture: Architecture, labels: int, scaling: Scaling) -> keras.Model:
    """The convolutions of VGG with the lecture's head: Flatten, then one Dense layer with softmax."""
    pixels = pixels_input(architecture)
    base = VGG[architecture](weights=None, include_top=False, input_tensor=scaling_layer(scaling)(pixels))
    unit = layers.Rescaling(1.0, name=UNIT_LAYER)(base.output)
    flat = layers.Flatten(name="flatten")(unit)
    return keras.Model(pixels, layers.Dense(labels, "softmax", name="predictions")(flat), name=architecture)


def pixels_input(architecture: Architecture) -> Any:
    """The input of a network: (n, side, side, 3), RGB in [0, 255]."""
    return keras.Input((SIZES[architecture], SIZES[architecture], 3), name="pixels")


def freeze_until(network: keras.Model, name: str) -> None:
    """The layers up to `name` keep their weights; those after it are trained."""
    frozen = True
    for layer in network.layers:
        layer.trainable = not frozen
        frozen = frozen and layer.name != name


def cut_after(network: keras.Model, name: str) -> tuple[keras.Model, keras.Model]:
    """The network in two: up to layer `name`, and from there on. Both share their layers with `network`."""
    names = [layer.name for layer in network.layers]
    middle = network.get_layer(name).output
    tensor = given = keras.Input(middle.shape[1:], name="features")
    for layer in network.layers[names.index(name) + 1 :]:
        tensor = layer(tensor)
    return keras.Model(network.input, middle, name="frozen"), keras.Model(given, tensor, name="trained")


def bring_to_unit(trained: keras.Model, values: np.ndarray) -> float:
    """Divides what the head reads by its root mean square, which is returned; `values` are what `trained` reads.

    Before the network is used for the first time. One number for all: the head sees the same features in other units.
    """
    names = [layer.name for layer in trained.layers]
    before = trained.layers[1 : names.index(UNIT_LAYER)]
    if before:
        values = np.asarray(keras.Sequential([keras.Input(values.shape[1:]), *before]).predict_on_batch(values))
    size = float(np.sqrt(np.square(values.astype(np.float64)).mean()))
    trained.get_layer(UNIT_LAYER).scale = 1.0 / size if size else 1.0
    return size


def parameters(network: keras.Model) -> tuple[int, int]:
    """Trainable and frozen parameters."""
    return _count(network.trainable_weights), _count(network.non_trainable_weights)


def output_shapes(network: keras.Model) -> list[dict[str, object]]:
    """Each layer with its kind, the shape of its output for one photo, its parameters and whether they are trained."""
    return [
        {
            "name": layer.name,
            "kind": type(layer).__name__,
            "shape": [int(side) for side in layer.output.shape[1:]],
            "parameters": _count(layer.weights),
            "trained": bool(layer.trainable and layer.weights),
        }
        for layer in network.layers
    ]


def _count(weights: list[keras.Variable]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def _alexnet(tensor: keras.KerasTensor, labels: int) -> keras.KerasTensor:
    """AlexNet (Krizhevsky, Sutskever, Hinton 2012) in one tower: every filter sees all channels.

    62,378,344 parameters at 1,000 labels. The paper's two towers, split over two GPUs, have 60,965,224. Without local
    response normalisation, which brings nothing (Simonyan and Zisserman 2014, section 4.1).
    """
    tensor = layers.Conv2D(96, 11, strides=4, **_relu("conv1"))(tensor)  # (55, 55, 96)
    tensor = layers.MaxPooling2D(3, 2, name="pool1")(tensor)  # (27, 27, 96)
    tensor = layers.Conv2D(256, 5, padding="same", **_relu("conv2"))(tensor)
    tensor = layers.MaxPooling2D(3, 2, name="pool2")(tensor)  # (13, 13, 256)
    tensor = layers.Conv2D(384, 3, padding="same", **_relu("conv3"))(tensor)
    tensor = layers.Conv2D(384, 3, padding="same", **_relu("conv4"))(tensor)
    tensor = layers.Conv2D(256, 3, padding="same", **_relu("conv5"))(tensor)
    tensor = layers.MaxPooling2D(3, 2, name="pool5")(tensor)  # (6, 6, 256)
    tensor = layers.Flatten(name="flatten")(tensor)
    for name in ("fc6", "fc7"):
        tensor = layers.Dense(4096, **_relu(name))(tensor)
        tensor = layers.Dropout(0.5, name=f"{name}_dropout")(tensor)
    return layers.Dense(labels, "softmax", name="predictions")(tensor)


def _relu(name: str) -> dict[str, Any]:
    # He-normal keeps the signal's size through ReLUs; the paper's fixed deviation of 0.01 needs its 90 epochs
    return {"activation": "relu", "kernel_initializer": "he_normal", "name": name}
