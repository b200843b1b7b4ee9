"""Runs an array through a network piece by piece, in pieces that fit the device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Compute = Callable[[Pixels], npt.NDArray[Any]]


class Batching:
    """Splits photos into pieces of at most `size`; a device that runs out of memory gets half as many from then on.

    With `pads`, every piece has exactly `size` photos (the last one is filled up with black), because a compiled
    graph (XLA) is compiled anew for each shape.
    """

    def __init__(self, compute: Compute, *, size: int, pads: bool, out_of_memory: type[Exception]) -> None:
        self._compute = compute
        self._pads = pads
        self._out_of_memory = out_of_memory
        self.size = size

    def run(self, pixels: Pixels) -> npt.NDArray[Any]:
        """Results for all of `pixels`, in order; at least one photo is expected.

        Raises:
            out_of_memory: not even one photo fits.
        """
        parts: list[npt.NDArray[Any]] = []
        start = 0
        while start < len(pixels):
            piece = pixels[start : start + self.size]
            try:
                parts.append(self._compute(self._padded(piece))[: len(piece)])
            except self._out_of_memory:
                if self.size == 1:
                    raise
                self.size //= 2
            else:
                start += len(piece)
        return np.concatenate(parts)

    def _padded(self, piece: Pixels) -> Pixels:
        missing = self.size - len(piece) if self._pads else 0
        return np.pad(piece, [(0, missing), (0, 0), (0, 0), (0, 0)]) if missing else piece
