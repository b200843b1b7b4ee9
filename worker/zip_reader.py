"""Entries of a zip, in the order of its directory, each inflated under a count.

Not Python's own reader: it builds a list of all entries before we can count them, and of entries that overlap
(a bomb of 20 kB that unpacks to 10 GB) it reads each; later versions of Python refuse those, ours must on all.
"""

import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from db.errors import Refusal
from worker.entries import (
    CHUNK_BYTES,
    ArchiveRefusal,
    Claims,
    Entry,
    Reading,
    broken,
    check_total,
    judge,
    too_many_entries,
)

# Records as in APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16.
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s4B4H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_MAX_COMMENT = 65535
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 1, 1 << 11
_ZIP64_EXTRA, _UNICODE_PATH_EXTRA = 0x0001, 0x7075
_FULL32 = 0xFFFFFFFF
_MAX_RECORD = _CENTRAL.size + 3 * _MAX_COMMENT
_DIRECTORY_PIECE = 1024**2


@dataclass(frozen=True)
class _Record:
    """An entry of the directory."""

    name: str
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    mode: int
    offset: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/") or (self.name.endswith("\\") and self.size == 0)

    def claims(self) -> Claims:
        return Claims(
            self.name,
            self.size,
            self.packed_size,
            mode=self.mode,
            encrypted=bool(self.flags & _ENCRYPTED),
            supported=self.method in (_STORED, _DEFLATED),
        )


@dataclass(frozen=True)
class _Directory:
    """Where the list of entries lies. `shift`: what precedes the archive, e.g. another one."""

    start: int
    end: int
    shift: int


def read_zip(file: BinaryIO, size: int, reading: Reading) -> Iterator[Entry]:
    """Yields the entries of a zip.

    Raises:
        ArchiveRefusal: as `read_archive`.
    """
    directory = _find_directory(file, size, reading)
    _survey(file, directory, reading)
    files = (record for record in _records(file, directory, reading) if not record.is_folder)
    for position, record in enumerate(files):
        if position < reading.skip:
            continue

        def content(record: _Record = record) -> Iterator[bytes]:
            return _inflate(file, record, directory, reading)

        yield judge(position, record.claims(), reading.limits, content)


def _survey(file: BinaryIO, directory: _Directory, reading: Reading) -> None:
    """Looks at all entries before one is read: what they claim together must be possible."""
    spans: list[tuple[int, int]] = []
    count = encrypted = total = packed = 0
    for record in _records(file, directory, reading):
        spans.append((record.offset, record.offset + _LOCAL.size + record.packed_size))
        if record.is_folder:
            continue
        count += 1
        encrypted += record.flags & _ENCRYPTED
        if judge(0, record.claims(), reading.limits, lambda: iter(())).content is not None:
            total += record.size
            packed += record.packed_size
            check_total(total, packed + _LOCAL.size * count, reading.limits)
    if count == 0:
        raise ArchiveRefusal("ARCHIVE_EMPTY")
    if encrypted == count:
        raise ArchiveRefusal("ARCHIVE_ENCRYPTED")
    spans.sort()
    if any(start < end for (_, end), (start, _) in itertools.pairwise(spans)):
        raise ArchiveRefusal("ARCHIVE_BOMB", "its entries overlap")


def _find_directory(file: BinaryIO, size: int, reading: Reading) -> _Directory:
    """The directory by the last end record; of two archives in a row the last counts."""
    tail_start = max(0, size - _END.size - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    at = tail.rfind(b"PK\5\6", 0, max(0, len(tail) - _END.size + 4))
    if at < 0:
        raise broken("its directory is missing; it may be cut off")
    _, _, _, _, count, length, offset, _ = _END.unpack_from(tail, at)
    end = tail_start + at
    locator_at = at - _END64_LOCATOR.size
    if locator_at >= 0 and tail[locator_at : locator_at + 4] == b"PK\6\7":
        end -= _END64_LOCATOR.size + _END64.size
        count, length, offset = _read_end64(file, end)
    if count > reading.limits.max_entries or length > reading.limits.max_entries * (_CENTRAL.size + _MAX_COMMENT):
        raise too_many_entries(reading.limits)
    shift = end - length - offset
    if shift < 0:
        raise broken("its directory is not where it should be")
    return _Directory(end - length, end, shift)


def _read_end64(file: BinaryIO, at: int) -> tuple[int, int, int]:
    file.seek(max(0, at))
    record = file.read(_END64.size)
    if at < 0 or len(record) < _END64.size or not record.startswith(b"PK\6\6"):
        raise broken("its directory is damaged")
    *_, count, length, offset = _END64.unpack(record)
    return count, length, offset


def _records(file: BinaryIO, directory: _Directory, reading: Reading) -> Iterator[_Record]:
    """The directory's records, read in pieces: entries are read from the same file in between."""
    at, buffer, used, count = directory.start, b"", 0, 0
    while at < directory.end:
        if len(buffer) - used < min(_MAX_RECORD, directory.end - at):
            reading.tick()
            file.seek(at)
            buffer, used = file.read(min(_DIRECTORY_PIECE, directory.end - at)), 0
        record, length = _parse(buffer, used, directory.shift)
        at, used, count = at + length, used + length, count + 1
        if count > reading.limits.max_entries:
            raise too_many_entries(reading.limits)
        yield record


def _parse(buffer: bytes, at: int, shift: int) -> tuple[_Record, int]:
    """The record at `at` and its length."""
    try:
        fields = _CENTRAL.unpack_from(buffer, at)
    except struct.error as error:
        raise broken("its directory is cut off") from error
    flags, method, crc, packed_size, size = fields[5], fields[6], fields[9], fields[10], fields[11]
    name_length, extra_length, comment_length = fields[12:15]
    attributes, offset = fields[17:19]
    name_at = at + _CENTRAL.size
    raw_name = buffer[name_at : name_at + name_length]
    extra = buffer[name_at + name_length : name_at + name_length + extra_length]
    length = _CENTRAL.size + name_length + extra_length + comment_length
    if fields[0] != b"PK\1\2" or at + length > len(buffer):
        raise broken("its directory is damaged")
    extras = dict(_extras(extra))
    size, packed_size, offset = _wide(extras.get(_ZIP64_EXTRA, b""), (size, packed_size, offset))
    name = _decode_name(raw_name, flags, extras.get(_UNICODE_PATH_EXTRA, b""))
    return _Record(name, flags, method, crc, packed_size, size, attributes >> 16, offset + shift), length


def _extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        yield kind, extra[4 : 4 + length]
        extra = extra[4 + length :]


def _wide(extra: bytes, narrow: tuple[int, int, int]) -> tuple[int, int, int]:
    """Zip64: each number that did not fit into 32 bits stands in the extra field, in this order."""
    wide: list[int] = []
    for value in narrow:
        if value == _FULL32:
            if len(extra) < 8:
                raise broken("its directory is damaged")
            value, extra = int.from_bytes(extra[:8], "little"), extra[8:]  # noqa: PLW2901
        wide.append(value)
    return wide[0], wide[1], wide[2]


def _decode_name(raw: bytes, flags: int, unicode_path: bytes) -> str:
    """Names are UTF-8 or of an old code page. Many programs write UTF-8 without saying so."""
    if unicode_path[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
        raw, flags = unicode_path[5:], _UTF8
    if flags & _UTF8:
        return raw.decode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _inflate(file: BinaryIO, record: _Record, directory: _Directory, reading: Reading) -> Iterator[bytes]:
    """The bytes of an entry; what its record says of size and checksum must hold.

    Raises:
        Refusal: ENTRY_BROKEN.
    """
    total = crc = 0
    packed = _packed(file, record, directory, reading)
    for piece in packed if record.method == _STORED else _inflated(packed):
        total += len(piece)
        crc = zlib.crc32(piece, crc)
        if total > record.size:
            raise Refusal("ENTRY_BROKEN", "it is longer than the archive says")
        yield piece
    if total != record.size or crc != record.crc:
        raise Refusal("ENTRY_BROKEN", "it is not what the archive says")


def _packed(file: BinaryIO, record: _Record, directory: _Directory, reading: Reading) -> Iterator[bytes]:
    file.seek(record.offset)
    local = file.read(_LOCAL.size)
    if len(local) < _LOCAL.size or not local.startswith(b"PK\3\4"):
        raise Refusal("ENTRY_BROKEN", "it is not where the archive says")
    *_, name_length, extra_length = _LOCAL.unpack(local)
    at = record.offset + _LOCAL.size + name_length + extra_length
    end = at + record.packed_size
    if end > directory.start:
        raise Refusal("ENTRY_BROKEN", "it is cut off")
    while at < end:
        reading.tick()
        file.seek(at)
        piece = file.read(min(CHUNK_BYTES, end - at))
        if not piece:
            raise Refusal("ENTRY_BROKEN", "it is cut off")
        at += len(piece)
        yield piece


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for data in packed:
        piece = b"."
        while data or piece:
            try:
                piece = inflater.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise Refusal("ENTRY_BROKEN", "its compressed data is damaged") from error
            data = inflater.unconsumed_tail  # noqa: PLW2901
            if piece:
                yield piece
    if not inflater.eof:
        raise Refusal("ENTRY_BROKEN", "it is cut off")
