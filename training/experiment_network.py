"""The network of an experiment with its weights, cut where the part begins that is trained."""
# pyright: basic

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.architectures import BASE_OUTPUT, cut_after, freeze_until, transfer_network, whole_network
from training.experiment_recipe import Augmentation, ExperimentRecipe
from worker import device, weights
from worker.backbone import imagenet_file
from worker.download import IMAGENET, weights_path
from worker.settings import WorkerSettings

import keras  # isort: skip
from keras import layers  # isort: skip

CONVOLUTIONS = {"vgg16": weights.CONVOLUTIONS, "vgg19": weights.VGG19_CONVOLUTIONS}
# The last layer that stays as it is.
FROZEN_UNTIL = {"head": BASE_OUTPUT, "block5": "block4_pool"}
FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class WeightsUsed:
    """Which weights the convolutions have: drawn, file, imagenet or seeded; in words; and their hash."""

    kind: str
    said: str
    sha256: str | None = None


@dataclass(frozen=True)
class ExperimentNetwork:
    """A network in two.

    Attributes:
        whole: from pixels to scores, as published.
        frozen: from pixels to what the trained part reads; None where all is trained.
        trained: the rest; `whole` itself where all is trained. Shares its layers with `whole`.
    """

    whole: keras.Model
    frozen: keras.Model | None
    trained: keras.Model
    weights: WeightsUsed


def build_network(
    recipe: ExperimentRecipe, labels: int, settings: WorkerSettings, data_dir: Path, *, seed: int
) -> ExperimentNetwork:
    """The recipe's network for so many labels.

    Raises:
        ArtifactError: the weights are damaged or those of another network.
    """
    device.prepare()
    # in float32 throughout, on a GPU too: a report is to say the same wherever it was made
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(seed)
    if recipe.trains == "all":
        whole = whole_network(recipe.architecture, labels, recipe.scaling)
        return ExperimentNetwork(whole, None, whole, WeightsUsed("drawn", "All weights are drawn with the seed."))
    whole = transfer_network(recipe.architecture, labels, recipe.scaling)
    used = _set_base(whole, recipe, settings, data_dir)
    cut = FROZEN_UNTIL[recipe.trains]
    freeze_until(whole, cut)
    frozen, trained = cut_after(whole, cut)
    return ExperimentNetwork(whole, frozen, trained, used)


def frozen_output(network: keras.Model) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float16]]:
    """The frozen part as one graph call: from uint8 pixels to float16, which holds what the head needs."""
    compute = device.compiled(network)
    return lambda pixels: np.minimum(compute(pixels), FLOAT16_MAX).astype(np.float16)


def augmented(network: keras.Model, changes: Augmentation, *, seed: int) -> keras.Model:
    """`network` behind layers that change each photo anew while training, and leave it alone otherwise."""
    pixels = keras.Input(network.input_shape[1:], name="unchanged")
    tensor = layers.RandomFlip("horizontal", seed=seed)(pixels) if changes.flip else pixels
    if changes.shift:
        tensor = layers.RandomTranslation(changes.shift, changes.shift, seed=seed + 1)(tensor)
    if changes.zoom:
        tensor = layers.RandomZoom((-changes.zoom, changes.zoom), seed=seed + 2)(tensor)
    return keras.Model(pixels, network(tensor), name="augmented")


def _set_base(network: keras.Model, recipe: ExperimentRecipe, settings: WorkerSettings, data_dir: Path) -> WeightsUsed:
    convolutions = CONVOLUTIONS[recipe.architecture]
    kind, path, said = _source(recipe, settings, data_dir)
    if path is not None:
        arrays = weights.read_convolutions(path, convolutions)
    elif recipe.architecture == "vgg16":
        arrays = weights.seeded_weights()
    else:
        arrays = weights.drawn_weights(convolutions, weights.SEED)
    for name, layer in zip(convolutions, arrays, strict=True):
        network.get_layer(name).set_weights(layer)
    return WeightsUsed(kind, said, weights.weights_sha256(arrays))


def _source(recipe: ExperimentRecipe, settings: WorkerSettings, data_dir: Path) -> tuple[str, Path | None, str]:
    """The kind of weights, their file, and both in words."""
    if recipe.weights_file is not None:
        return "file", recipe.weights_file, f"The file {recipe.weights_file.name}, which the recipe names."
    if recipe.architecture != "vgg16":
        said = (
            "Seeded: the convolutions are random and know nothing, because the recipe names no weights_file. phototag"
            f" fetches no weights of {recipe.architecture.upper()}."
        )
        return "seeded", None, said
    if settings.backbone_weights is not None:
        return "file", settings.backbone_weights, "The file that PHOTOTAG_BACKBONE_WEIGHTS names."
    if weights_path(data_dir, IMAGENET).exists():
        return "imagenet", imagenet_file(data_dir), "ImageNet, as `phototag models fetch imagenet` brought them."
    said = (
        "Seeded: the convolutions are random and know nothing. `phototag models fetch imagenet` brings ImageNet's, or"
        " set PHOTOTAG_BACKBONE_WEIGHTS."
    )
    return "seeded", None, said
