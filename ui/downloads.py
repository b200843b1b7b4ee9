"""Files that a route sends to be saved: their names, and their bytes without holding them in memory."""

from collections.abc import Iterable, Iterator
from typing import IO
from urllib.parse import quote

COPY_BYTES = 256 * 1024


def write_lines(stream: IO[bytes], lines: Iterable[str]) -> None:
    """Writes lines and goes back to the start, to be sent."""
    for line in lines:
        stream.write(line.encode())
    stream.seek(0)


def parts(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a stream, which is closed in the end."""
    with stream:
        while data := stream.read(COPY_BYTES):
            yield data


def attachment(name: str) -> dict[str, str]:
    """Headers of a file to be saved: the plain name is harmless, the full one survives (RFC 6266)."""
    harmless = (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name).strip(". ") or "results"
    )
    disposition = f"attachment; filename=\"{harmless}\"; filename*=UTF-8''{quote(name.replace('/', '_'), safe='')}"
    return {"Content-Disposition": disposition, "Cache-Control": "no-store"}
