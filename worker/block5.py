"""Block 5 of VGG16 as a file of its own: what a version has trained of its backbone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from db.errors import ArtifactError

BLOCK5_FILE = "block5.safetensors"
# Its three convolutions, 3 x 3 from 512 channels to 512.
NAMES = ("block5_conv1", "block5_conv2", "block5_conv3")
CHANNELS = 512
BLOCK5_BYTES = len(NAMES) * (9 * CHANNELS + 1) * CHANNELS * 4  # float32, without the file's header

Floats = npt.NDArray[np.float32]
Layer = tuple[Floats, Floats]  # kernel and bias


def block5_bytes(layers: Sequence[Layer]) -> bytes:
    """The file's content; the same values give the same bytes.

    Raises:
        ArtifactError: they are not those of block 5, or not finite.
    """
    arrays = {
        f"{name}.{part}": np.ascontiguousarray(array, dtype=np.float32)
        for name, layer in zip(NAMES, layers, strict=True)
        for part, array in zip(("kernel", "bias"), layer, strict=True)
    }
    _check(arrays)
    return save(arrays)


def layers_of(data: bytes) -> list[Layer]:
    """Kernel and bias of each convolution.

    Raises:
        ArtifactError: it is no safetensors file, or does not hold block 5.
    """
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        msg = f"{BLOCK5_FILE} is not a safetensors file ({error})"
        raise ArtifactError(msg) from error
    _check(arrays)
    return [(arrays[f"{name}.kernel"], arrays[f"{name}.bias"]) for name in NAMES]


def with_block5(base: Sequence[Layer], block5: Sequence[Layer]) -> list[Layer]:
    """All convolutions: those of `base` before block 5, and then these."""
    return [*base[: -len(NAMES)], *block5]


def _check(arrays: dict[str, npt.NDArray[Any]]) -> None:
    expected: dict[str, tuple[int, ...]] = {}
    for name in NAMES:
        expected |= {f"{name}.kernel": (3, 3, CHANNELS, CHANNELS), f"{name}.bias": (CHANNELS,)}
    received = {name: array.shape for name, array in arrays.items()}
    if received != expected:
        msg = f"{BLOCK5_FILE} must have the arrays {expected}, but has {received}"
        raise ArtifactError(msg)
    for name, array in arrays.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            msg = f"{name} must be finite float32 numbers, but is {array.dtype} or holds others"
            raise ArtifactError(msg)
