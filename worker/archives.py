"""Archives as a stream of entries: .zip and .tar (plain, gz, bz2, xz, zst), told by content.

Nothing is extracted under its own name, and nothing is believed because a header says it. One bad entry
never fails an archive; an attack on its structure refuses the whole.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from db.names import TAR_BLOCK, archive_kind
from worker.decompression import Decompressed, PlainFile
from worker.entries import ArchiveRefusal, Entry, Reading
from worker.limits import Limits
from worker.tar_reader import read_tar
from worker.zip_reader import read_zip


def read_archive(
    file: BinaryIO, size: int, limits: Limits, *, skip: int = 0, tick: Callable[[], None] = lambda: None
) -> Iterator[Entry]:
    """Yields the entries of an archive, one at a time.

    Args:
        file: seekable.
        size: its length in bytes.
        limits: what an archive and its entries may cost.
        skip: entries before this position are not yielded: an earlier attempt has them.
        tick: called between pieces of work; what it raises ends the reading.

    Raises:
        ArchiveRefusal: NOT_AN_ARCHIVE, ARCHIVE_TOO_BIG, ARCHIVE_EMPTY, ARCHIVE_BROKEN, ARCHIVE_BOMB, ARCHIVE_ENCRYPTED
            or TOO_MANY_ENTRIES; any time before the last entry.
    """
    if size > limits.max_archive_bytes:
        raise ArchiveRefusal("ARCHIVE_TOO_BIG", f"more than {limits.max_archive_bytes / 1024**3:g} GiB")
    if size == 0:
        raise ArchiveRefusal("ARCHIVE_EMPTY")
    file.seek(0)
    head = file.read(TAR_BLOCK)
    file.seek(0)
    reading = Reading(limits, skip, tick)
    kind = "tar" if head == bytes(TAR_BLOCK) else archive_kind(head, "")
    match kind:
        case "zip":
            yield from read_zip(file, size, reading)
        case "tar":
            yield from read_tar(PlainFile(file, size, reading), reading)
        case "tar.gz" | "tar.bz2" | "tar.xz" | "tar.zst":
            yield from read_tar(Decompressed(file, kind, reading), reading)
        case _:
            raise ArchiveRefusal("NOT_AN_ARCHIVE")
