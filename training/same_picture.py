"""Whether two photos are one picture: a copy that was cropped or saved again, or the next shot of a burst.

One is laid over the other by the affine map under which they correlate best (ECC: Evangelidis and Psarakis 2008,
doi:10.1109/TPAMI.2008.113), at 32 x 32 px, so that neither files nor sharpness matter. Measured in `training.holdout`.
"""

import io
import logging
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from db.blobs import Blobs
from db.errors import BlobMissingError

log = logging.getLogger(__name__)

Grey = npt.NDArray[np.float32]

PREVIEW = 320
SIDE = 32
# Correlation of what lies over each other, from which on they are one picture; and that of the first steps on the way there.
LEAST_CORRELATION, LEAST_BEGINNING = 0.9, 0.7
FIRST_STEPS, STEPS, SMALLEST_STEP = 5, 25, 1e-4
WINDOW = cv2.createHanningWindow((SIDE, SIDE), cv2.CV_32F)  # phases are compared without the edges
WHOLE = np.full((SIDE, SIDE), 255, np.uint8)  # what is compared: all of it
BLUR = 5  # px: what is finer than the grid may not decide
# Two crops of 10 % lie up to 20 % apart, and so do their sizes; a hand turns by a few degrees.
MOST_SCALED, MOST_TURNED, MOST_MOVED = 0.25, 0.12, 0.25
# Small pictures that are kept: 4 KB each.
KEPT = 20_000


class Pictures:
    """Small pictures of photos, read from their previews when they are first asked for."""

    def __init__(self, blobs: Blobs, sha256s: Sequence[str]) -> None:
        self._blobs, self._sha256s = blobs, sha256s
        self._small = lru_cache(KEPT)(self._read)

    def are_one(self, row: int, other: int) -> bool:
        """Whether photos `row` and `other` of `sha256s` are one picture; not if a preview of theirs is gone or damaged."""
        one, two = self._small(row), self._small(other)
        return one is not None and two is not None and are_one_picture(one, two)

    def _read(self, row: int) -> Grey | None:
        try:
            return small_picture(self._blobs.read_preview(self._sha256s[row], PREVIEW))
        except BlobMissingError:
            return None
        except (OSError, ValueError) as error:  # previews are not synced: a power cut may leave half of one
            log.warning(
                "The preview of photo %s cannot be read (%s); it is compared without.", self._sha256s[row], error
            )
            return None


def small_picture(preview: bytes) -> Grey:
    """The picture in grey, (32, 32), 0 to 1, whatever its proportions were."""
    with Image.open(io.BytesIO(preview)) as image:
        grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, np.float32) / np.float32(255)


def are_one_picture(one: Grey, other: Grey) -> bool:
    """Whether one can be laid over the other. Both ways round: the way there may be found one way only."""
    return any(
        _covers(below, above, start)
        for below, above in ((one, other), (other, one))
        for start in ((0.0, 0.0), _moved(below, above))
    )


def _moved(below: Grey, above: Grey) -> tuple[float, float]:
    """How far one lies from the other, in px across and down, by their phases."""
    moved, _ = cv2.phaseCorrelate(below.copy(), above.copy(), WINDOW)  # copies: it multiplies them by the window
    return moved[0], moved[1]


def _covers(below: Grey, above: Grey, start: tuple[float, float]) -> bool:
    """Whether a way to lie over each other is found from `start`. Pairs that are far from it soon are given up."""
    if max(map(abs, start)) > MOST_MOVED * SIDE:
        return False
    same = np.eye(2, 3, dtype=np.float32)
    found = same.copy()
    found[:, 2] = start
    for steps, least in ((FIRST_STEPS, LEAST_BEGINNING), (STEPS, LEAST_CORRELATION)):
        ends = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, SMALLEST_STEP)
        try:
            correlation, way = cv2.findTransformECC(below, above, found, cv2.MOTION_AFFINE, ends, WHOLE, BLUR)
        except cv2.error:  # there is no such map, or a picture is of one colour
            return False
        found = np.asarray(way, np.float32)
        if correlation < least:
            return False
        if correlation >= LEAST_CORRELATION:  # more steps may lead away again from where fine patterns match
            break
    off = np.abs(found - same)
    scaled, turned, moved = off[[0, 1], [0, 1]].max(), off[[0, 1], [1, 0]].max(), off[:, 2].max() / SIDE
    return bool(scaled <= MOST_SCALED and turned <= MOST_TURNED and moved <= MOST_MOVED)
