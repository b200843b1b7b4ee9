"""The bytes inside .tar, .tar.gz, .tar.bz2, .tar.xz and .tar.zst, counted while they come."""

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from worker.entries import CHUNK_BYTES, Reading, broken, check_total

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

# What `xz -9` and `zstd --long=27` need to be unpacked; a file may ask for 4 GiB.
_DICTIONARY_BYTES = 128 * 1024**2
_DICTIONARY_LOG = 27


class ByteSource(Protocol):
    """Where a tar is read from, front to back."""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        ...

    def skip(self, size: int) -> None:
        """Passes over `size` bytes."""
        ...


class PlainFile:
    """A file as it is."""

    def __init__(self, file: BinaryIO, size: int, reading: Reading) -> None:
        self._file = file
        self._size = size
        self._reading = reading
        self._total = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        self._reading.tick()
        self._total += size
        check_total(self._total, self._size, self._reading.limits)
        return self._file.read(size)

    def skip(self, size: int) -> None:
        """Passes over `size` bytes."""
        if size > self._size - self._file.tell():
            raise broken("it is cut off")
        self._file.seek(size, 1)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's object with the interface of the other three."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_DICTIONARY_BYTES)


def _zstd() -> _Decompressor:
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: _DICTIONARY_LOG})


_KINDS: dict[str, tuple[bytes, Callable[[], _Decompressor]]] = {
    "tar.gz": (b"\x1f\x8b", _Gzip),
    "tar.bz2": (b"BZh", bz2.BZ2Decompressor),
    "tar.xz": (b"\xfd7zXZ\0", _xz),
    "tar.zst": (b"\x28\xb5\x2f\xfd", _zstd),
}


class Decompressed:
    """What a compressed file holds; several streams in a row (pigz, pbzip2) are one.

    Raises, from `read` and `skip`:
        ArchiveRefusal: ARCHIVE_BROKEN, or ARCHIVE_BOMB as soon as too much has come out.
    """

    def __init__(self, file: BinaryIO, kind: str, reading: Reading) -> None:
        self._file = file
        self._magic, self._make = _KINDS[kind]
        self._decompressor = self._make()
        self._reading = reading
        self._input = b""  # read, not yet given to the decompressor
        self._packed = self._total = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        pieces: list[bytes] = []
        while size > 0 and (piece := self._piece(min(size, CHUNK_BYTES))) is not None:
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip(self, size: int) -> None:
        """Passes over `size` bytes."""
        while size > 0:
            piece = self._piece(min(size, CHUNK_BYTES))
            if piece is None:
                raise broken("it is cut off")
            size -= len(piece)

    def _piece(self, size: int) -> bytes | None:
        """At most `size` bytes, maybe none yet; None at the end."""
        self._reading.tick()
        if self._decompressor.eof and not self._next_stream():
            return None
        if self._decompressor.needs_input and not self._input and not self._fill():
            raise broken("it is cut off")
        try:
            piece = self._decompressor.decompress(self._input, size)
        except (zlib.error, lzma.LZMAError, ZstdError, OSError, EOFError, ValueError, MemoryError) as error:
            raise broken("its compressed data is damaged, or needs too much memory") from error
        self._input = b""
        self._total += len(piece)
        check_total(self._total, self._packed, self._reading.limits)
        return piece

    def _next_stream(self) -> bool:
        self._input = self._decompressor.unused_data
        while len(self._input) < len(self._magic) and self._fill():
            pass
        if not self._input.startswith(self._magic):
            return False  # padding
        self._decompressor = self._make()
        return True

    def _fill(self) -> bool:
        data = self._file.read(CHUNK_BYTES)
        self._packed += len(data)
        self._input += data
        return bool(data)
