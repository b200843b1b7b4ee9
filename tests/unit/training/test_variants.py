"""Changed variants of a photo: drawn from its hash, of the same shape, and still the same thing to see."""

import hashlib

import numpy as np
import pytest

from tests.samples import scene
from training.variants import draw_variant

# Of variants 1 and 2 of a ramp: top left and bottom right.
CORNERS = [[[187, 4, 86], [3, 189, 86]], [[250, 19, 120], [34, 236, 120]]]
PHOTOS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(200)]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A photo as the network gets it."""
    return np.array(scene(7, 224, 224))


def test_a_variant_is_drawn_from_the_photo_and_its_number(pixels: np.ndarray) -> None:
    """The same again for the same; others for another number and for another photo; the photo itself is not changed."""
    before = pixels.copy()

    first = draw_variant(pixels, PHOTOS[0], 1)

    assert (first.shape, first.dtype) == ((224, 224, 3), np.uint8)
    assert np.array_equal(draw_variant(pixels, PHOTOS[0], 1), first)
    assert not np.array_equal(draw_variant(pixels, PHOTOS[0], 2), first)
    assert not np.array_equal(draw_variant(pixels, PHOTOS[1], 1), first)
    assert np.array_equal(pixels, before)


def test_a_variant_stays_as_it_is_from_release_to_release() -> None:
    """Features that are kept were made of these pixels: if this fails, VARIANTS_VERSION must be raised."""
    row = np.arange(224, dtype=np.uint8)
    ramp = np.stack(np.broadcast_arrays(row[None, :], row[:, None], np.uint8(100)), axis=-1)

    corners = [draw_variant(ramp, PHOTOS[2], number)[[0, -1], [0, -1]].tolist() for number in (1, 2)]

    assert corners == CORNERS


def test_half_are_mirrored() -> None:
    """Brighter on the left than on the right, where the photo is brighter on the right; never upside down."""
    row = np.arange(224, dtype=np.uint8)
    ramp = np.stack(np.broadcast_arrays(row[None, :], row[:, None], np.uint8(0)), axis=-1)

    found = [draw_variant(ramp, sha256, 1).astype(int) for sha256 in PHOTOS]

    mirrored = [bool(one[0, 0, 0] > one[0, -1, 0]) for one in found]
    assert 70 <= sum(mirrored) <= 130
    assert all(one[0, 0, 1] < one[-1, 0, 1] for one in found)


def test_brightness_and_size_stay_within_their_ranges() -> None:
    """A grey photo between 80 % and 125 % of its brightness; of a ramp at least 80 % of each side is seen."""
    grey, row = np.full((224, 224, 3), 100, np.uint8), np.arange(224)
    ramp = np.repeat(np.repeat((row // 2).astype(np.uint8)[None, :, None], 224, axis=0), 3, axis=2)

    tones = [int(draw_variant(grey, sha256, 1)[0, 0, 0]) for sha256 in PHOTOS]
    shown = [
        np.ptp(draw_variant(ramp, sha256, 1)[0, :, 0].astype(int)) / tone
        for sha256, tone in zip(PHOTOS, tones, strict=True)
    ]

    assert (80 <= min(tones) <= 84, 120 <= max(tones) <= 125) == (True, True)
    parts = [share / 1.11 for share in shown]  # the whole ramp goes from 0 to 111 where the grey is 100
    assert (0.78 <= min(parts) <= 0.83, 0.97 <= max(parts) <= 1.02) == (True, True)
