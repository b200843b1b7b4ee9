"""The file of what blocks 1 to 4 make of photos: read as it was written, and gone with the process."""

from pathlib import Path

import numpy as np
import pytest

from db.errors import StorageFullError
from training.block4 import Block4File, bytes_a_photo

SHAPE = (2, 2, 3)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """In order, whatever pieces it came in; nothing of it has a name."""
    values = np.arange(60, dtype=np.float16).reshape(5, *SHAPE)

    with Block4File(tmp_path, 5, SHAPE) as file:
        file.append(values[:2])
        file.append(values[2:])
        np.testing.assert_array_equal(file.outputs(), values)
        np.testing.assert_array_equal(file.outputs()[[4, 1]], values[[4, 1]])
        assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    """No disk holds that many photos."""
    with pytest.raises(StorageFullError, match="Free some space"):
        Block4File(tmp_path, 10**13)
    assert bytes_a_photo() == 14 * 14 * 512 * 2
