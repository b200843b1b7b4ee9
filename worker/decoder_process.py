"""One decoder process: started apart from the worker, with nothing it could misuse, and replaced when it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from db.errors import PhototagError, Refusal
from db.facts import PhotoFacts
from worker.decoding import Decoded
from worker.framing import FrameClosedError, receive_frame, send_frame
from worker.limits import Limits

# Importing Pillow and NumPy takes 0.3 s; a machine that swaps may take long.
START_LIMIT_S = 60.0
# Nothing of the worker's environment is passed on: it may hold the database's address and password.
_ENVIRONMENT_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONHOME")
_OWN_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # each of its threads would reserve address space, which is limited
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "1",
}


class DecoderPoolError(PhototagError):
    """Raised when decoder processes cannot be started, or the pool is closed: no verdict about a photo."""


class _DecoderDiedError(Exception):
    """The process ended or hung in the middle of a photo; `refusal` is the verdict if it does so again."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


@dataclass(frozen=True)
class Source:
    """A photo to decode: its bytes, or a local file that the decoder process reads itself."""

    content: bytes | Path
    sha256: str | None = None


class DecoderProcess:
    """One decoder process at a time, and what to make of its end. Used by one thread, but for `stop_for_good`."""

    def __init__(self, limits: Limits, previews: Sequence[int]) -> None:
        self._limits = limits
        self._previews = list(previews)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._stopped = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def decode(self, source: Source) -> Decoded:
        """Decodes one photo; a process that died or hung is replaced and the photo tried once more.

        A second chance costs little and spares photos that happened to be there when a process was killed
        from outside, or when an earlier photo had left it short of memory.
        """
        try:
            return self._decode_once(source)
        except _DecoderDiedError:
            self.stop()
        try:
            return self._decode_once(source)
        except _DecoderDiedError as error:
            self.stop()
            raise error.refusal from None

    def start(self) -> None:
        """Starts the process, if none runs.

        Raises:
            DecoderPoolError: it did not come up.
        """
        if self.pid is not None:
            return
        self.stop()
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            if self._stopped:
                ours.close()
                raise pool_closed()
            self._connection = ours
            self._process = _start_program(theirs)
        settings = {"limits": asdict(self._limits), "previews": self._previews, "parent_pid": os.getpid()}
        try:
            until = time.monotonic() + START_LIMIT_S
            send_frame(ours, settings, until=until)
            receive_frame(ours, until=until)
        except (FrameClosedError, TimeoutError) as error:
            self.stop()
            msg = (
                "A decoder process did not start. Run `python -c 'import worker.decoder_program'` to see why:"
                " it needs Pillow, NumPy, ImageHash and pi-heif, and as much memory as decoder_memory_bytes says."
            )
            raise DecoderPoolError(msg) from error

    def stop(self) -> None:
        """Kills the process; the next photo starts another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            self._connection = self._process = None

    def stop_for_good(self) -> None:
        """Kills the process, also in the middle of a photo; no other is started."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _decode_once(self, source: Source) -> Decoded:
        self.start()
        connection, process = self._connection, self._process
        assert connection is not None  # start() made both
        assert process is not None
        path = str(source.content.absolute()) if isinstance(source.content, Path) else ""
        body = b"" if isinstance(source.content, Path) else source.content
        until = time.monotonic() + self._limits.decoder_wall_s
        try:
            send_frame(connection, {"path": path, "sha256": source.sha256}, body, until=until)
            head, answer = receive_frame(connection, until=until)
        except TimeoutError:
            # Work is bounded by CPU time: this is a hang, or a machine or a network drive too busy to go on.
            too_long = f"it took longer than {self._limits.decoder_wall_s:g} s"
            raise _DecoderDiedError(Refusal("DECODER_LIMIT", too_long)) from None
        except FrameClosedError:
            raise _death(process.wait(), self._limits) from None
        if head.get("code") == "DECODER_LIMIT":
            raise _DecoderDiedError(Refusal(head["code"], head["detail"]))
        if "code" in head:
            raise Refusal(head["code"], head["detail"])
        return _decoded(head, answer)


def _start_program(theirs: socket.socket) -> subprocess.Popen[bytes]:
    """Executes the program anew (never a fork alone: TensorFlow's threads would not survive one)."""
    environment = {key: os.environ[key] for key in _ENVIRONMENT_KEPT if key in os.environ} | _OWN_ENVIRONMENT
    # It finds this very code, wherever the worker was started from: its own working directory is "/".
    code = Path(__file__).resolve().parent.parent
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(code), *filter(None, sys.path)]))
    return subprocess.Popen(
        [sys.executable, "-s", "-P", "-m", "worker.decoder_program", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # libtiff comments on every broken file
    )


def _death(returncode: int, limits: Limits) -> Exception:
    """What to raise when the process ended by itself.

    SIGXCPU is our own limit and needs no second try. SIGKILL comes from the kernel when memory is short,
    or from a person. The rest are crashes.
    """
    if returncode == -signal.SIGXCPU:
        return Refusal("DECODER_LIMIT", f"it took more than {limits.decoder_cpu_s} s of CPU time")
    if returncode in (-signal.SIGKILL, -signal.SIGTERM):
        return _DecoderDiedError(Refusal("DECODER_LIMIT", "the decoder was killed twice over it"))
    return _DecoderDiedError(Refusal("UNREADABLE", "the decoder crashed on it"))


def _decoded(head: dict[str, Any], answer: bytearray) -> Decoded:
    facts = head["facts"]
    taken_at = facts.pop("taken_at")
    shape = tuple(head["shape"])
    at = int(np.prod(shape))
    pixels = np.frombuffer(answer, np.uint8, count=at).reshape(shape)  # (224, 224, 3)
    previews: dict[int, bytes] = {}
    for side, length in head["previews"]:
        previews[side] = bytes(answer[at : at + length])
        at += length
    taken = datetime.fromisoformat(taken_at) if taken_at else None
    return Decoded(pixels, PhotoFacts(taken_at=taken, **facts), previews)


def pool_closed() -> DecoderPoolError:
    """What the futures of a closed pool end with."""
    return DecoderPoolError("The decoder pool was closed before this photo was decoded; it will be tried again.")
