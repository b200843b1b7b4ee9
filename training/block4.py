"""What blocks 1 to 4 of VGG16 make of photos, kept while block 5 is trained on it: 200 KB a photo, in a file without a name."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from db.blobs import full_disk_noticed, require_room

# Rows, columns and channels of block4_pool.
SHAPE = (14, 14, 512)
# Values are kept divided by this: those of weights that nobody normalised go beyond what float16 holds, 65,504. A power
# of two changes no digit of them.
DIVISOR = 16.0

Outputs = npt.NDArray[np.float16]


class Block4File:
    """A file of outputs that has no name, so that the system removes it however this process ends.

    Attributes:
        shape: of one photo's outputs.
    """

    def __init__(self, data_dir: Path, photos: int, shape: tuple[int, int, int] = SHAPE) -> None:
        """Opens the file on the disk of `data_dir`, for at most so many photos.

        Raises:
            StorageFullError: the disk has no room for them.
        """
        require_room(data_dir, photos * bytes_a_photo(shape))
        self.shape = shape
        self._photos = 0
        self._file: Any = tempfile.TemporaryFile(dir=data_dir)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, outputs: Outputs) -> None:
        """Adds outputs (n, h, w, c).

        Raises:
            StorageFullError: the disk is full.
        """
        with full_disk_noticed():
            self._file.write(np.ascontiguousarray(outputs).data)
            self._file.flush()
        self._photos += len(outputs)

    def outputs(self) -> Outputs:
        """All of them (n, h, w, c), read from the file where they are looked at; only while the file is open."""
        return np.memmap(self._file, np.float16, "r", shape=(self._photos, *self.shape))


def bytes_a_photo(shape: tuple[int, int, int] = SHAPE) -> int:
    """Bytes of one photo in the file."""
    return int(np.prod(shape)) * 2
