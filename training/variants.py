"""Changed variants of photos to train on: mirrored, seen from nearer and a little aside, brighter or darker.

The same photo has the same variants, whenever they are drawn. Whoever changes that raises
`db.feature_spaces.VARIANTS_VERSION`.
"""

import hashlib

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

# Half of them: left and right are alike for nearly all that photos are sorted by. Never upside down: photos have a top.
MIRRORED = 0.5
# At 1.25 the piece that is left has 80 % of each side, so what the photo was labelled for is nearly always in it.
NEAREST = 1.25
# Up to a third of a stop, as automatic exposure differs from shot to shot; more would clip skies and snow to white.
BRIGHTEST = 1.25


def draw_variant(pixels: Pixels, sha256: str, number: int) -> Pixels:
    """A changed variant of a photo, of the same shape.

    Args:
        pixels: as the network gets them, (side, side, 3).
        sha256: of the photo's file; with `number` it decides what is changed.
        number: of the variant, from 1.
    """
    chance = _chance(sha256, number)
    mirrored, aside, above, power = chance.uniform(size=4)
    zoom = chance.uniform(1.0, NEAREST)
    image = Image.fromarray(pixels)
    if mirrored < MIRRORED:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    piece = _piece(image.size, zoom, aside, above)
    image = image.resize(image.size, Image.Resampling.BILINEAR, box=piece)
    return _tones(BRIGHTEST ** (2.0 * power - 1.0))[np.asarray(image)]


def _chance(sha256: str, number: int) -> np.random.RandomState:
    """Numbers that stay the same from release to release (NumPy's policy, NEP 19)."""
    drawn = hashlib.sha256(f"{sha256} variant {number}".encode()).digest()
    return np.random.RandomState(int.from_bytes(drawn[:4], "big"))


def _piece(size: tuple[int, int], zoom: float, aside: float, above: float) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what is seen. It lies anywhere within the photo: no border has to be made up."""
    width, height = size[0] / zoom, size[1] / zoom
    left, top = (size[0] - width) * aside, (size[1] - height) * above
    return left, top, left + width, top + height


def _tones(gain: float) -> Pixels:
    """What becomes of each value, (256,)."""
    return np.clip(np.arange(256) * gain, 0.0, 255.0).round().astype(np.uint8)
