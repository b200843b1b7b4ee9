"""Half-received files on disk."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from ui.staging import WRITE_BYTES, StagedFile, StagedWriter


def test_the_hash_is_of_what_lies_on_the_disk(tmp_path: Path) -> None:
    """Over chunks, in small and large parts."""
    data = os.urandom(3 * WRITE_BYTES + 17)
    staged = StagedFile(tmp_path / "new" / "1.part")

    for start in range(0, len(data), 1_000_000):
        writer = StagedWriter(staged, start)
        asyncio.run(_add(writer, data[start : start + 1_000_000], part=64 * 1024))
        writer.flush()

    assert staged.finish(len(data)) == hashlib.sha256(data).hexdigest()
    assert staged.path.read_bytes() == data
    assert staged.head == data[:4096]


def test_what_a_broken_request_left_is_overwritten_and_not_hashed(tmp_path: Path) -> None:
    """The running hash is thrown away; the file is read again at its end."""
    data = b"\xff\xd8\xff" + os.urandom(50_000)
    staged = StagedFile(tmp_path / "1.part")
    # As long as the rest: counting the bytes alone would not tell it from the real ones.
    for start, part in ((0, data[:10_000]), (10_000, b"?" * len(data[10_000:])), (10_000, data[10_000:])):
        writer = StagedWriter(staged, start)
        asyncio.run(_add(writer, part))
        writer.flush()

    assert staged.finish(len(data)) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("left", [b"", b"x" * 99_999])
def test_another_process_goes_on_where_one_ended(tmp_path: Path, left: bytes) -> None:
    """It knows no running hash, and cuts what a broken chunk left behind the end."""
    data = os.urandom(20_000)
    path = tmp_path / "1.part"
    path.write_bytes(data[:8_000] + left)
    staged = StagedFile(path)
    writer = StagedWriter(staged, 8_000)
    asyncio.run(_add(writer, data[8_000:]))

    assert writer.finish(len(data)) == hashlib.sha256(data).hexdigest()
    assert path.read_bytes() == data


async def _add(writer: StagedWriter, data: bytes, part: int = 1 << 30) -> None:
    for start in range(0, len(data), part):
        await writer.add(data[start : start + part])
