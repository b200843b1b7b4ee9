"""A decoder process: `python -m worker.decoder_program FD`. Started by worker.decoder_pool, never by hand.

It reads photos from the socket FD, decodes one at a time under limits of memory and CPU time, and answers.
It imports Pillow, NumPy, SciPy and pi_heif, and nothing that knows a database or a network.
"""

import ctypes
import hashlib
import math
import os
import resource
import signal
import socket
import stat
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

# 0.4 s and 85 MB of addresses, which imagehash would charge to the first photo
import scipy.fftpack  # noqa: F401 # pyright: ignore[reportUnusedImport]

from db.errors import Refusal
from worker.decoding import decode
from worker.framing import FrameClosedError, receive_frame, send_frame
from worker.headers import too_big
from worker.limits import Limits

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main(fd: int) -> None:
    """Serves the socket `fd` until its other end is closed."""
    connection = socket.socket(fileno=fd)
    try:
        settings, _ = receive_frame(connection)
        limits = Limits(**settings["limits"])
        _restrict(limits, settings["parent_pid"])
        send_frame(connection, {"ready": True})
        while True:
            request, body = receive_frame(connection)
            _allow_cpu(limits.decoder_cpu_s)
            _answer(connection, request, body, limits, settings["previews"])
    except FrameClosedError:
        return


def _restrict(limits: Limits, parent_pid: int) -> None:
    """What this process may never do, whatever a file makes a decoder do."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.decoder_memory_bytes, limits.decoder_memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Killed together with its worker, also in the middle of a photo.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        raise FrameClosedError


def _allow_cpu(seconds: int) -> None:
    """From here on `seconds` more of CPU time; beyond them the kernel ends this process by SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def _answer(
    connection: socket.socket, request: dict[str, Any], body: bytearray, limits: Limits, previews: list[int]
) -> None:
    try:
        data = _read(Path(request["path"]), limits) if request["path"] else bytes(body)
        del body
        if request["sha256"] and hashlib.sha256(data).hexdigest() != request["sha256"]:
            raise Refusal("SOURCE_CHANGED")  # noqa: TRY301 - answered like the others
        decoded = decode(data, limits, previews=previews)
    except Refusal as refusal:
        send_frame(connection, {"code": refusal.code, "detail": refusal.detail})
        return
    except MemoryError:
        send_frame(connection, {"code": "DECODER_LIMIT", "detail": "it needs more memory than allowed"})
        return
    taken_at = decoded.facts.taken_at
    head = {
        "facts": asdict(decoded.facts) | {"taken_at": taken_at.isoformat() if taken_at else None},
        "shape": decoded.pixels.shape,
        "previews": [[side, len(webp)] for side, webp in decoded.previews.items()],
    }
    send_frame(connection, head, b"".join((decoded.pixels.tobytes(), *decoded.previews.values())))


def _read(path: Path, limits: Limits) -> bytes:
    """The bytes of a file that was read in place when it was submitted.

    Raises:
        Refusal: SOURCE_GONE, SOURCE_CHANGED (no file any more), NOT_READABLE or TOO_BIG.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place must not hang us
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Refusal("SOURCE_GONE") from error
    except OSError as error:
        raise Refusal("NOT_READABLE", os.strerror(error.errno or 0)) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refusal("SOURCE_CHANGED")
    with os.fdopen(fd, "rb") as file:
        try:
            data = file.read(limits.max_photo_bytes + 1)
        except OSError as error:
            raise Refusal("NOT_READABLE", os.strerror(error.errno or 0)) from error
    if len(data) > limits.max_photo_bytes:
        raise too_big(limits)
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]))
