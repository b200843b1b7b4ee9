"""Where a VGG's weights come from: drawn with a fixed seed, or read from a Keras HDF5 file, as plain arrays.

Files are read with h5py and strict checks: a dataset must lie in the file itself and have its layer's shape before
a byte of it is read, so a crafted file can neither point elsewhere nor ask for more memory than VGG16 takes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from db.errors import ArtifactError

Floats = npt.NDArray[np.float32]
LayerWeights = tuple[Floats, Floats]  # kernel and bias

# Channels in and out of the 13 convolutions, 3 x 3 each (Simonyan and Zisserman 2014, configuration D).
CONVOLUTIONS: dict[str, tuple[int, int]] = {
    "block1_conv1": (3, 64),
    "block1_conv2": (64, 64),
    "block2_conv1": (64, 128),
    "block2_conv2": (128, 128),
    "block3_conv1": (128, 256),
    "block3_conv2": (256, 256),
    "block3_conv3": (256, 256),
    "block4_conv1": (256, 512),
    "block4_conv2": (512, 512),
    "block4_conv3": (512, 512),
    "block5_conv1": (512, 512),
    "block5_conv2": (512, 512),
    "block5_conv3": (512, 512),
}
# The 16 convolutions of VGG19 (configuration E).
VGG19_CONVOLUTIONS: dict[str, tuple[int, int]] = {
    f"block{block}_conv{number}": (channels_in if number == 1 else channels_out, channels_out)
    for block, (count, channels_in, channels_out) in enumerate(
        ((2, 3, 64), (2, 64, 128), (4, 128, 256), (4, 256, 512), (4, 512, 512)), start=1
    )
    for number in range(1, count + 1)
}
TOP: dict[str, tuple[int, int]] = {"fc1": (25088, 4096), "fc2": (4096, 4096), "predictions": (4096, 1000)}
LAYER = "block5_pool"

SEED = 20140904  # the day the VGG paper appeared
SEEDED_SHA256 = "3afe504e3c4a0be1c58246d04603945a3ad4f70784521713bd6570ff49ae145e"


def seeded_weights() -> list[LayerWeights]:
    """He-normal kernels and zero biases, the same on every machine.

    `RandomState` is frozen by NumPy's compatibility policy (NEP 19), `default_rng` is not.

    Raises:
        ArtifactError: this NumPy draws other numbers.
    """
    weights = drawn_weights(CONVOLUTIONS, SEED)
    if weights_sha256(weights) != SEEDED_SHA256:
        msg = (
            "The seeded weights come out differently here: this NumPy draws other random numbers than the ones the"
            f" starter was trained with. Install the pinned NumPy. Received: NumPy {np.__version__}"
        )
        raise ArtifactError(msg)
    return weights


def drawn_weights(convolutions: Mapping[str, tuple[int, int]], seed: int) -> list[LayerWeights]:
    """He-normal kernels and zero biases of 3 x 3 convolutions with these channels in and out."""
    rng = np.random.RandomState(seed)
    return [_he_normal(rng, *channels) for channels in convolutions.values()]


def weights_sha256(weights: Sequence[LayerWeights]) -> str:
    """Hash of the values in order, the same whatever file they came from."""
    digest = hashlib.sha256()
    for kernel, bias in weights:
        digest.update(np.ascontiguousarray(kernel, dtype="<f4").data)
        digest.update(np.ascontiguousarray(bias, dtype="<f4").data)
    return digest.hexdigest()


def read_convolutions(path: Path, convolutions: Mapping[str, tuple[int, int]] = CONVOLUTIONS) -> list[LayerWeights]:
    """The convolutions of a Keras file of VGG16 (or VGG19), with or without the top, of Keras 1 to 3.

    Raises:
        ArtifactError: the file is missing, damaged, of another network, or holds values that are not finite.
    """
    return _read(path, {name: (3, 3, *channels) for name, channels in convolutions.items()})


def read_top(path: Path) -> list[LayerWeights]:
    """fc1, fc2 and predictions of a Keras VGG16 file with the top.

    Raises:
        ArtifactError: as `read_convolutions`.
    """
    return _read(path, TOP)


def _he_normal(rng: np.random.RandomState, channels_in: int, channels_out: int) -> LayerWeights:
    deviation = np.sqrt(2.0 / (9 * channels_in))
    kernel = rng.standard_normal((3, 3, channels_in, channels_out)) * deviation
    # Through float16: log() of another C library may differ in the last bit of a double, which this rounds away.
    return kernel.astype(np.float16).astype(np.float32), np.zeros(channels_out, np.float32)


def _read(path: Path, shapes: dict[str, Any]) -> list[LayerWeights]:
    try:
        with h5py.File(path, "r") as file:
            places = _places(file, shapes)
            weights = [_layer(file, places[name], name, shape, path) for name, shape in shapes.items()]
    except (OSError, LookupError, RuntimeError, ValueError, TypeError) as error:  # what h5py raises for damaged files
        raise _unusable(path, str(error)) from error
    for name, layer in zip(shapes, weights, strict=True):
        if not all(np.isfinite(array).all() for array in layer):
            raise _unusable(path, f"layer {name} holds values that are not finite numbers")
    return weights


def _places(file: h5py.File, shapes: dict[str, Any]) -> dict[str, str]:
    """Where each layer's group lies; Keras 3 numbers layers by kind instead of naming them."""
    if not _is_inside(file, "layers"):
        prefix = "model_weights/" if _is_inside(file, "model_weights") else ""
        return {name: prefix + name for name in shapes}
    kind = "conv2d" if len(next(iter(shapes.values()))) == 4 else "dense"
    return {name: f"layers/{kind}_{number}" if number else f"layers/{kind}" for number, name in enumerate(shapes)}


def _layer(file: h5py.File, place: str, name: str, shape: tuple[int, ...], path: Path) -> LayerWeights:
    group = file[place] if _is_inside(file, place) else None
    if not isinstance(group, h5py.Group):
        raise _unusable(path, f"it has no layer {name}")
    found: list[h5py.Dataset] = []
    _collect(group, found, path)
    kernels = [dataset for dataset in found if dataset.shape == shape]
    biases = [dataset for dataset in found if dataset.shape == shape[-1:]]
    if len(found) != 2 or len(kernels) != 1 or len(biases) != 1:
        raise _unusable(path, f"layer {name} must hold {shape} and {shape[-1:]}, but has {[d.shape for d in found]}")
    return _values(kernels[0]), _values(biases[0])


def _collect(group: h5py.Group, found: list[h5py.Dataset], path: Path, depth: int = 0) -> None:
    for key in map(str, group):
        if not _is_inside(group, key) or depth > 4:
            raise _unusable(path, "it points outside itself")
        child = group[key]
        if isinstance(child, h5py.Dataset):
            if child.is_virtual or child.external:
                raise _unusable(path, "it points to values in other files")
            found.append(child)
        elif isinstance(child, h5py.Group):
            _collect(child, found, path, depth + 1)


def _is_inside(group: h5py.Group, place: str) -> bool:
    # every step must be a hard link: soft and external links can name anything on the machine
    step: Any = group
    for part in place.split("/"):
        if not isinstance(step, h5py.Group) or part not in step:
            return False
        if not isinstance(step.get(part, getlink=True), h5py.HardLink):
            return False
        step = step[part]
    return True


def _values(dataset: h5py.Dataset) -> Floats:
    return np.asarray(dataset[()], dtype=np.float32)


def _unusable(path: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"The weights in {path} cannot be used: {what}. A file of the network as Keras publishes it was expected"
        " (vgg16_weights_tf_dim_ordering_tf_kernels*.h5); fetch it again."
    )
