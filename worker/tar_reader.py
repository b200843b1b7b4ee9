"""Entries of a tar: POSIX, pax and GNU headers, read block by block.

Not Python's own reader: it reads long names of any length into memory (a 1 MB file made it take 1 GB),
and takes a damaged header for the end, so that the photos behind it would be missing without a word.
"""

import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from db.names import TAR_BLOCK
from worker.decompression import ByteSource
from worker.entries import (
    CHUNK_BYTES,
    ArchiveRefusal,
    Claims,
    Entry,
    Reading,
    broken,
    judge,
    too_many_entries,
)

_FILES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_PAX = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
_IGNORED_TEXT = frozenset({tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK})
# Links and devices have no bytes of their own, whatever their size field says.
_WITHOUT_BYTES = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}
)
_FOLDERS = frozenset({tarfile.DIRTYPE, b"D", b"V"})  # D and V: GNU's folder listing and volume label
# Long names and attributes come as members of their own; so many for each entry is more than any writer makes.
_HEADERS_PER_ENTRY = 4
_PAX_RECORD = re.compile(rb"(\d{1,6}) ([^=]+)=")
# In GNU's old sparse format, where a header says that another block of it follows.
_SPARSE_FLAG, _SPARSE_MORE_FLAG = 482, 504


@dataclass(frozen=True)
class _Overrides:
    """What the headers in front of a member say of it."""

    name: str | None = None
    size: int | None = None
    sparse: bool = False


def read_tar(source: ByteSource, reading: Reading) -> Iterator[Entry]:
    """Yields the entries of a tar up to its end mark.

    Raises:
        ArchiveRefusal: as `read_archive`. A tar without an end mark is cut off: photos may be missing.
    """
    position = headers = 0
    overrides = _Overrides()
    while (member := _next_member(source)) is not None:
        headers += 1
        if headers > _HEADERS_PER_ENTRY * reading.limits.max_entries:
            raise too_many_entries(reading.limits)
        if (more := _read_text(source, member, overrides, reading)) is not None:
            overrides = more
            continue
        member.name = overrides.name or member.name
        member.size = member.size if overrides.size is None else overrides.size
        sparse, overrides = overrides.sparse, _Overrides()
        body = _Body(source, 0 if member.type in _WITHOUT_BYTES else _checked(member.size))
        if member.type not in _FOLDERS:
            if position >= reading.limits.max_entries:
                raise too_many_entries(reading.limits)
            if position >= reading.skip:
                mode = stat.S_IFREG if member.type in _FILES and not sparse else stat.S_IFLNK
                yield judge(position, Claims(member.name, body.size, mode=mode), reading.limits, body.chunks)
            position += 1
        body.skip_rest()
    if position == 0:
        raise ArchiveRefusal("ARCHIVE_EMPTY")


class _Body:
    """The bytes of one member, and the padding after them."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self._source = source
        self._left = self.size = size

    def chunks(self) -> Iterator[bytes]:
        while self._left:
            chunk = self._source.read(min(self._left, CHUNK_BYTES))
            if not chunk:
                raise broken("it is cut off")
            self._left -= len(chunk)
            yield chunk

    def skip_rest(self) -> None:
        self._source.skip(self._left + -self.size % TAR_BLOCK)


def _next_member(source: ByteSource) -> tarfile.TarInfo | None:
    """The next header; None at the end mark."""
    block = source.read(TAR_BLOCK)
    if len(block) < TAR_BLOCK:
        raise broken("it is cut off")
    if block.count(0) == TAR_BLOCK:
        return None
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise broken("a header is damaged") from error
    more = member.type == tarfile.GNUTYPE_SPARSE and block[_SPARSE_FLAG]
    while more:
        block = source.read(TAR_BLOCK)
        if len(block) < TAR_BLOCK:
            raise broken("it is cut off")
        more = block[_SPARSE_MORE_FLAG]
    return member


def _read_text(
    source: ByteSource, member: tarfile.TarInfo, overrides: _Overrides, reading: Reading
) -> _Overrides | None:
    """What a header in front of a member adds; None if `member` is no such header."""
    kind = member.type
    if kind not in _PAX and kind not in _IGNORED_TEXT and kind != tarfile.GNUTYPE_LONGNAME:
        return None
    size = _checked(member.size)
    if size > reading.limits.max_tar_header:
        raise ArchiveRefusal("ARCHIVE_BOMB", f"a header of {size:,} bytes")
    text = source.read(size)
    if len(text) < size:
        raise broken("it is cut off")
    source.skip(-size % TAR_BLOCK)
    if kind == tarfile.GNUTYPE_LONGNAME:
        return replace(overrides, name=text.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"))
    return _apply_pax(text, overrides) if kind in _PAX else overrides


def _apply_pax(text: bytes, overrides: _Overrides) -> _Overrides:
    r"""Records of a pax header, "length key=value\n" (POSIX.1-2001, pax)."""
    at = 0
    while at < len(text) and text[at]:
        record = _PAX_RECORD.match(text, at)
        end = at + int(record[1]) if record else 0
        if record is None or end <= record.end() or text[end - 1 : end] != b"\n":
            raise broken("a header is damaged")
        overrides = _apply_record(record[2], text[record.end() : end - 1], overrides)
        at = end
    return overrides


def _apply_record(key: bytes, value: bytes, overrides: _Overrides) -> _Overrides:
    if key in (b"path", b"GNU.sparse.name"):
        return replace(overrides, name=value.decode("utf-8", "surrogateescape"))
    if key == b"size":
        if not value.isdigit() or len(value) > 18:
            raise broken("a header is damaged")
        return replace(overrides, size=int(value))
    return replace(overrides, sparse=True) if key.startswith(b"GNU.sparse.") else overrides


def _checked(size: int) -> int:
    if size < 0:
        raise broken("an entry has a negative size")
    return size
