"""What an entry of an archive is, and what makes it or its archive refused."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from db.errors import Refusal
from db.names import clean_name, is_junk
from worker.headers import too_big
from worker.limits import Limits

# Entries arrive in pieces of at most this size; memory does not grow with what an archive holds.
CHUNK_BYTES = 256 * 1024
# Small files may compress to anything; ratios say something only above these.
_ENTRY_RATIO_FROM = 1024**2
_STREAM_RATIO_FROM = 64 * 1024**2
_FILE_TYPES = (0, stat.S_IFREG)


class ArchiveRefusal(Refusal):
    """A verdict about the archive as a whole; what was read of it does not count."""


@dataclass(frozen=True)
class Entry:
    """A file of an archive.

    Attributes:
        position: 0, 1, ... in the archive's order, counting everything but folders.
        path: harmless to show; never opened.
        content: its bytes in pieces, to be read before the next entry is asked for; None when it is refused.
            Reading raises `Refusal` for this entry and `ArchiveRefusal` for the archive.
        code: why it is refused.
        detail: more of it.
    """

    position: int
    path: str
    content: Iterator[bytes] | None = None
    code: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Claims:
    """What the headers say of an entry. `mode` is the Unix file type, 0 if unknown."""

    raw_name: str
    size: int
    packed_size: int | None = None
    mode: int = 0
    encrypted: bool = False
    supported: bool = True


@dataclass(frozen=True)
class Reading:
    """How to read: the limits, and a call in between that may raise to stop.

    Attributes:
        limits: what an archive and its entries may cost.
        skip: entries before this position are passed over.
        tick: called at least once for every few MB that are read.
    """

    limits: Limits
    skip: int = 0
    tick: Callable[[], None] = lambda: None


def judge(position: int, claims: Claims, limits: Limits, content: Callable[[], Iterator[bytes]]) -> Entry:
    """The entry, with its content unless what the headers claim refuses it already."""
    try:
        path, _ = clean_name(claims.raw_name)
    except Refusal as refusal:
        shown, _ = clean_name(claims.raw_name.replace("\0", "?"))
        return Entry(position, shown, code=refusal.code, detail=refusal.detail)
    try:
        _check(path, claims, limits)
    except Refusal as refusal:
        return Entry(position, path, code=refusal.code, detail=refusal.detail)
    return Entry(position, path, content=content())


def check_total(total: int, packed: int, limits: Limits) -> None:
    """Refuses an archive that unpacks to more than it may, or to far more than it is.

    Raises:
        ArchiveRefusal: ARCHIVE_BOMB.
    """
    if total > limits.max_unpacked_bytes:
        raise ArchiveRefusal("ARCHIVE_BOMB", f"more than {limits.max_unpacked_bytes / 1024**3:g} GiB unpacked")
    if total > _STREAM_RATIO_FROM and total > limits.max_stream_ratio * max(1, packed):
        raise ArchiveRefusal("ARCHIVE_BOMB", f"more than {limits.max_stream_ratio} times its size unpacked")


def too_many_entries(limits: Limits) -> ArchiveRefusal:
    """The refusal of an archive with more entries than allowed."""
    return ArchiveRefusal("TOO_MANY_ENTRIES", f"more than {limits.max_entries:,}")


def broken(detail: str) -> ArchiveRefusal:
    """The refusal of an archive that does not hold together."""
    return ArchiveRefusal("ARCHIVE_BROKEN", detail)


def _check(path: str, claims: Claims, limits: Limits) -> None:
    if is_junk(path):
        raise Refusal("SKIPPED_JUNK")
    if claims.encrypted:
        raise Refusal("ENCRYPTED")
    if stat.S_IFMT(claims.mode) not in _FILE_TYPES:
        raise Refusal("NOT_A_FILE")
    if not claims.supported:
        raise Refusal("UNSUPPORTED_COMPRESSION")
    if claims.size > limits.max_photo_bytes:
        raise too_big(limits)
    packed = claims.packed_size
    if packed is not None and claims.size > max(_ENTRY_RATIO_FROM, limits.max_entry_ratio * packed):
        raise Refusal("BOMB")
