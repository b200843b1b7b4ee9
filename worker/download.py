"""Fetches weights over HTTP: resumed where it was cut, and used only when length and hash are those published."""

import errno
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx
from filelock import FileLock, Timeout

from db.errors import DownloadError, StorageFullError


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that phototag knows.

    Attributes:
        name: under DATA/weights/.
        md5: upstream publishes this and no better hash; it proves an intact copy, TLS proves its origin.
    """

    name: str
    size_bytes: int
    md5: str


# Told how far a fetch is: bytes received, from the start of the file, and bytes in all.
Progress = Callable[[int, int], None]

# As in keras/src/applications/vgg16.py (file_hash of WEIGHTS_PATH).
IMAGENET = WeightsFile(
    name="vgg16_weights_tf_dim_ordering_tf_kernels.h5",
    size_bytes=553_467_096,
    md5="64373286793e3c8b2b4e3219cbf3544b",
)
READ_BYTES = 1024**2
CONNECT_S = 5.0
SILENCE_S = 30.0  # a server that sends nothing for so long is given up
CUTS_IN_A_ROW = 3  # without a single byte in between
PAUSE_S = 1.0
SPARE_BYTES = 1024**3  # as for photos: the disk is never filled to the brim


def weights_path(data_dir: Path, file: WeightsFile) -> Path:
    """Where `file` lies once it is fetched."""
    return data_dir / "weights" / file.name


def check_file(path: Path, file: WeightsFile) -> str | None:
    """What is wrong with `path`, or None when it is the whole of `file`. About 1 s for 553 MB."""
    size = path.stat().st_size
    if size != file.size_bytes:
        return f"it has {size:,} bytes where {file.size_bytes:,} were expected"
    with path.open("rb") as stream:
        received = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if received == file.md5 else f"its MD5 is {received} where {file.md5} was expected"


def answers_within(url: str, seconds: float) -> str | None:
    """Whether the host of `url` answers in time: None if so, else why not, in a few words."""
    failure: list[str | None] = [f"no answer within {seconds:g} s"]

    def ask() -> None:
        try:
            answer = httpx.head(url, timeout=seconds, follow_redirects=True)
            failure[0] = None if answer.is_success else f"it answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure[0] = _plain(error)

    # In a thread, because looking up a name has no timeout of its own and may take a minute.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return failure[0]


def fetch(file: WeightsFile, url: str, data_dir: Path, progress: Progress, *, pause_s: float = PAUSE_S) -> Path:
    """Fetches `file` into the data directory, resuming what an earlier call received.

    Raises:
        DownloadError: the host cannot be reached, has another file, or cuts the connection again and again.
        StorageFullError: the disk has no room.
    """
    target = weights_path(data_dir, file)
    with _alone(target):
        if target.exists() and check_file(target, file) is None:
            return target
        part = _part_of(target)
        _require_space(target.parent, file.size_bytes - _size(part))
        _receive_all(file, url, part, progress, pause_s)
        return _accept(part, target, file, f"what {url} sent")


def adopt(file: WeightsFile, source: Path, data_dir: Path, progress: Progress) -> Path:
    """Copies `source`, fetched by other means, to where phototag looks for `file`.

    Raises:
        DownloadError: it is not that file.
        StorageFullError: the disk has no room.
    """
    target = weights_path(data_dir, file)
    try:
        problem = check_file(source, file)
    except OSError as error:
        msg = f"{source} cannot be read: {error.strerror}. Give the path of {file.name}."
        raise DownloadError(msg) from error
    if problem:
        msg = f"{source} is not {file.name}: {problem}. Copy it again from a machine that fetched it."
        raise DownloadError(msg)
    with _alone(target):
        if target.exists() and (target.samefile(source) or check_file(target, file) is None):
            return target
        part = _part_of(target)
        _require_space(target.parent, file.size_bytes)
        with source.open("rb") as stream, part.open("wb") as out:
            while block := stream.read(READ_BYTES):
                _write(out, block)
                progress(out.tell(), file.size_bytes)
            _sync(out)
        return _accept(part, target, file, f"the copy of {source}")


def _receive_all(file: WeightsFile, url: str, part: Path, progress: Progress, pause_s: float) -> None:
    """Goes on after every cut, as long as bytes arrive in between."""
    cuts = 0
    while (before := _size(part)) != file.size_bytes:
        try:
            _receive(file, url, part, progress)
        except httpx.TransportError as error:
            cuts = 1 if _size(part) > before else cuts + 1
            if cuts >= CUTS_IN_A_ROW or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
                raise DownloadError(_cut_message(file, url, part, error)) from error
            time.sleep(pause_s * cuts)


def _receive(file: WeightsFile, url: str, part: Path, progress: Progress) -> None:
    """One request: from where `part` ends to the end of the file, or to a cut."""
    start = _size(part)
    if start > file.size_bytes:
        part.unlink()
        start = 0
    # identity: a Range counts bytes as sent, so nothing may compress them on the way
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
    try:
        with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
            start = _agreed_start(answer, start, file, url)
            with part.open("r+b" if start else "wb") as out:
                out.seek(start)
                out.truncate()
                _store(answer, out, file, progress)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
        msg = f"{url} is not an address that can be fetched: {error}. Set PHOTOTAG_WEIGHTS_URL to an https address."
        raise DownloadError(msg) from error


def _agreed_start(answer: httpx.Response, start: int, file: WeightsFile, url: str) -> int:
    """Where the bytes of `answer` belong; 0 when the server ignores Range and sends the file from its beginning."""
    if answer.status_code not in {200, 206}:
        msg = f"{url} answered {answer.status_code} {answer.reason_phrase}. {_ELSEWHERE.format(name=file.name)}"
        raise DownloadError(msg)
    if answer.status_code == 200:
        start = 0
        total = answer.headers.get("content-length", str(file.size_bytes))
    else:
        match = re.fullmatch(rf"bytes {start}-\d+/(\d+|\*)", answer.headers.get("content-range", ""))
        total = match[1] if match else "?"
    if total not in {str(file.size_bytes), "*"}:
        msg = (
            f"{url} has another file: {total} bytes where {file.size_bytes} were expected."
            f" {_ELSEWHERE.format(name=file.name)}"
        )
        raise DownloadError(msg)
    return start


def _store(answer: httpx.Response, out: BinaryIO, file: WeightsFile, progress: Progress) -> None:
    try:
        for block in answer.iter_raw():  # with a size it would hold back, and lose in a cut, up to that much
            _write(out, block[: file.size_bytes - out.tell()])
            progress(out.tell(), file.size_bytes)
    finally:
        _sync(out)  # what a cut leaves is what the next call goes on from


def _write(out: BinaryIO, block: bytes) -> None:
    try:
        out.write(block)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = "The disk is full. Free some space, then run the same command: it goes on where it stopped."
            raise StorageFullError(msg) from error
        raise


def _accept(part: Path, target: Path, file: WeightsFile, origin: str) -> Path:
    if problem := check_file(part, file):
        part.unlink()
        msg = f"It was deleted because {origin} is not {file.name}: {problem}. {_ELSEWHERE.format(name=file.name)}"
        raise DownloadError(msg)
    part.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return target


def _alone(target: Path) -> FileLock:
    """The lock under which `target` is fetched, held."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        msg = f"Another phototag is fetching {target.name} already. Wait until it is done."
        raise DownloadError(msg) from error
    return lock


def _require_space(folder: Path, missing_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < missing_bytes + SPARE_BYTES:
        msg = (
            f"{folder} has {free / 1e9:.1f} GB free where {(missing_bytes + SPARE_BYTES) / 1e9:.1f} GB were expected"
            " (1 GB stays free). Free some space, then run the same command."
        )
        raise StorageFullError(msg)


def _cut_message(file: WeightsFile, url: str, part: Path, error: Exception) -> str:
    received = _size(part)
    if received == 0:
        return f"{httpx.URL(url).host} cannot be reached: {_plain(error)}. {_ELSEWHERE.format(name=file.name)}"
    return (
        f"The connection was cut after {received / 1e6:,.0f} of {file.size_bytes / 1e6:,.0f} MB: {_plain(error)}."
        " What arrived is kept; the same command goes on from there."
    )


def _plain(error: Exception) -> str:
    return str(error) or type(error).__name__


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


_ELSEWHERE = (
    "Check the network or proxy and run the same command again, set PHOTOTAG_WEIGHTS_URL to a mirror, or bring {name}"
    " from another machine: `phototag models fetch imagenet --from FILE`"
)
