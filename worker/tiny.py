"""A backbone of colours and edges in NumPy: for tests and for trying phototag out, not for real tagging."""

import hashlib

import numpy as np
import numpy.typing as npt

# Its "weights" are this code: raise the number when the features change.
TINY_SHA256 = hashlib.sha256(b"phototag tiny backbone 1").hexdigest()
LAYER = "pool"
GRID = 7  # 7 x 7 cells of 32 x 32 px, the shape that VGG16 has


def tiny_features(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
    """Means over cells: red, green, blue, lightness, saturation, edges across, edges down, contrast; about [0, 1].

    Args:
        pixels: (n, 224, 224, 3) RGB.

    Returns:
        (n, 7, 7, 8)
    """
    return np.stack([_of_one(photo) for photo in pixels]) if len(pixels) else np.zeros((0, GRID, GRID, 8), np.float16)


def _of_one(photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
    rgb = photo.astype(np.float32) / 255.0  # (224, 224, 3)
    lightness = rgb.mean(axis=-1)
    saturation = rgb.max(axis=-1) - rgb.min(axis=-1)
    across = np.abs(np.diff(lightness, axis=1, append=lightness[:, -1:]))
    down = np.abs(np.diff(lightness, axis=0, append=lightness[-1:]))
    channels = (rgb[..., 0], rgb[..., 1], rgb[..., 2], lightness, saturation, across, down)
    means = [_cell_means(channel) for channel in channels]
    spread = np.sqrt(np.maximum(_cell_means(lightness**2) - means[3] ** 2, 0.0))
    return np.stack([*means, spread], axis=-1).astype(np.float16)  # (7, 7, 8)


def _cell_means(channel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    size = channel.shape[0] // GRID
    return channel.reshape(GRID, size, GRID, size).mean(axis=(1, 3))  # (7, 7)
