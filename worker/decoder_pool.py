"""Decoder processes: a photo that crashes, hangs or fills memory costs one process, never the worker.

submit() ──► queue ──► one thread a process ──► socket ──► worker.decoder_program
                           │  waits, with a wall clock
                           └─ replaces its process when it died or was killed
"""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from db.errors import Refusal
from worker.decoder_process import DecoderPoolError, DecoderProcess, Source, pool_closed
from worker.decoding import PREVIEW_SIZES, Decoded
from worker.limits import Limits

K = TypeVar("K")


class DecoderPool:
    """Decodes photos in processes of their own. May be used from several threads."""

    def __init__(self, limits: Limits, processes: int, *, previews: Sequence[int] = PREVIEW_SIZES) -> None:
        """Starts the processes; photos may be submitted at once.

        Args:
            limits: what a photo may cost.
            processes: how many, each of which uses one core.
            previews: longer sides of the previews to make.
        """
        self._waiting: queue.SimpleQueue[tuple[Source, Future[Decoded]] | None] = queue.SimpleQueue()
        self._processes = [DecoderProcess(limits, previews) for _ in range(processes)]
        self._closing = False
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._feed, args=(process,), name=f"decoder-{i}", daemon=True)
            for i, process in enumerate(self._processes)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, content: bytes | Path, sha256: str | None = None) -> Future[Decoded]:
        """Hands over a photo. The caller bounds how many are outstanding.

        Args:
            content: its bytes, or the path of a local file.
            sha256: what they must hash to; None if that was checked already.

        Returns:
            A future; its exception is a `Refusal` for a verdict about the photo (the codes of `decode`, and
            SOURCE_GONE, SOURCE_CHANGED, NOT_READABLE), a `DecoderPoolError` if it could not be tried.
        """
        future: Future[Decoded] = Future()
        with self._lock:
            if self._closing:
                future.set_exception(pool_closed())
            else:
                self._waiting.put((Source(content, sha256), future))
        return future

    def decode_all(self, sources: Iterable[tuple[K, Source]]) -> Iterator[tuple[K, Decoded | Refusal]]:
        """Decodes many, in order, a few ahead of the caller, so that memory does not grow with their number.

        Raises:
            DecoderPoolError: decoder processes cannot be started, or the pool was closed.
        """
        outstanding: deque[tuple[K, Future[Decoded]]] = deque()
        for key, source in sources:
            outstanding.append((key, self.submit(source.content, source.sha256)))
            if len(outstanding) > 4 * len(self._processes):
                yield _result(*outstanding.popleft())
        while outstanding:
            yield _result(*outstanding.popleft())

    def pids(self) -> list[int]:
        """Process ids of the decoder processes that live."""
        return [process.pid for process in self._processes if process.pid is not None]

    def close(self) -> None:
        """Ends the processes. Photos not decoded yet end with a `DecoderPoolError`."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        for process in self._processes:
            process.stop_for_good()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _feed(self, process: DecoderProcess) -> None:
        with contextlib.suppress(DecoderPoolError):  # said again with the first photo
            process.start()
        while (entry := self._waiting.get()) is not None:
            source, future = entry
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(process.decode(source))
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the one who asked
                future.set_exception(pool_closed() if self._closing else error)
        process.stop()


def _result(key: K, future: Future[Decoded]) -> tuple[K, Decoded | Refusal]:
    try:
        return key, future.result()
    except Refusal as refusal:
        return key, refusal
