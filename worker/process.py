"""A worker process: what it holds, how it starts and how it ends.

One process, one device. With a broker it is a Celery worker with the solo pool (a network loaded before a fork
hangs in the child: 0 of 3 predictions in 75 s); without one it only polls the database.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, cast

from celery.worker import state as worker_state

from db.blobs import open_blobs, space_trouble
from db.errors import DeviceLostError
from db.janitor import JANITOR_S, Janitor
from db.migrate import require_current
from db.session import Database
from db.settings import DataSettings
from worker.active import ActiveClassifier
from worker.decoder_pool import DecoderPool
from worker.first_version import ensure_versions
from worker.housekeeping import HEARTBEAT_S, POLL_S, Housekeeping, Periodic, WorkerIdentity
from worker.identity import new_worker_id
from worker.intake import unpack_archive
from worker.polling import Polling
from worker.progress import shown_progress
from worker.queue import INTAKE, TAGGING, enqueue_tag, make_app
from worker.settings import WorkerSettings
from worker.tagging import Tagger
from worker.tasks import register_tasks

log = logging.getLogger(__name__)

TINY_CHUNK = 32


class WorkerProcess:
    """Everything one worker holds. `run` returns when the process was asked to stop."""

    def __init__(self, data_settings: DataSettings, settings: WorkerSettings, queues: tuple[str, ...]) -> None:
        self._data_settings = data_settings
        self._settings = settings
        self._queues = queues
        self._asked_to_stop = threading.Event()
        self._database = Database(data_settings.resolved_database_url)
        require_current(self._database)
        self._blobs = open_blobs(data_settings)
        device, self._chunk_size = _device(settings, queues)
        self._identity = WorkerIdentity(new_worker_id(), queues, device)
        self._active = ActiveClassifier(self._database, settings, data_settings.data_dir, self._blobs)
        self._pool = DecoderPool(settings.limits, _decoders(settings)) if TAGGING in queues else None
        self._tagger = self._make_tagger()
        self._app = make_app(settings.redis_url) if settings.redis_url else None
        self._unpack = (
            partial(
                unpack_archive,
                self._database,
                self._blobs,
                data_settings,
                settings,
                self._identity.id,
                stopping=self._stopping,
                on_group=self._nudge,
            )
            if INTAKE in queues
            else None
        )

    def run(self) -> None:
        """Works until SIGTERM or SIGINT; then ends the chunk or group at hand and gives back the rest."""
        housekeeping = Housekeeping(self._database, self._identity, self._app, self._describe)
        polling = Polling(self._database, tagger=self._tagger, unpack=self._unpack, stopping=self._stopping)
        janitor = Janitor(self._database, self._blobs, self._data_settings.staging_dir, self._stopping)
        periodic = [
            Periodic("housekeeping", HEARTBEAT_S, housekeeping),
            Periodic("polling", POLL_S, self._guarded(polling)),
            Periodic("janitor", JANITOR_S, self._guarded(janitor)),
        ]
        if self._tagger is not None:
            with shown_progress("ImageNet weights") as progress:
                ensure_versions(self._database, self._settings, self._data_settings, progress)
            self._active.follow()  # load before the first message: the first photo does not wait for the network
        for thread in periodic:
            thread.start()
        try:
            self._serve()
        finally:
            self._asked_to_stop.set()
            for thread in reversed(periodic):
                thread.close()
            self._close(housekeeping)

    def _serve(self) -> None:
        if self._app is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            self._asked_to_stop.wait()
            return
        register_tasks(self._app, tag=self._guarded_tag(), unpack=self._unpack, stopping=self._stopping)
        worker: Any = cast("Any", self._app).Worker(  # Celery has no types
            queues=list(self._queues),
            pool="solo",
            concurrency=1,
            hostname=f"{self._identity.id}@phototag",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
            loglevel="INFO",
        )
        worker.start()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop.set()

    def _make_tagger(self) -> Tagger | None:
        if self._pool is None:
            return None
        return Tagger(
            self._database,
            self._blobs,
            self._settings,
            self._active,
            self._pool,
            self._identity.id,
            chunk_size=self._chunk_size,
            stopping=self._stopping,
        )

    def _stopping(self) -> bool:
        return self._asked_to_stop.is_set() or bool(worker_state.should_stop) or bool(worker_state.should_terminate)

    def _describe(self) -> tuple[int | None, str]:
        return self._active.version_id, self._active.note or space_trouble(self._data_settings)

    def _nudge(self) -> None:
        if self._app is not None:
            enqueue_tag(self._app)

    def _guarded_tag(self) -> Callable[[float], bool] | None:
        tagger = self._tagger
        if tagger is None:
            return None

        def tag(limit_s: float) -> bool:
            try:
                return tagger.tag(limit_s)
            except DeviceLostError as error:
                self._end(error)
                return False

        return tag

    def _guarded(self, action: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            if self._stopping():
                return
            try:
                action()
            except DeviceLostError as error:
                self._end(error)

        return call

    def _end(self, error: DeviceLostError) -> None:
        log.error("%s", error)
        os.kill(os.getpid(), signal.SIGTERM)

    def _close(self, housekeeping: Housekeeping) -> None:
        if self._tagger is not None:
            self._tagger.close()
        if self._pool is not None:
            self._pool.close()
        housekeeping.leave()
        self._database.close()


def _decoders(settings: WorkerSettings) -> int:
    return settings.decoders or max(1, (os.cpu_count() or 2) - 1)


def _device(settings: WorkerSettings, queues: tuple[str, ...]) -> tuple[str, int]:
    """The device's name, and the photos it is given at once."""
    if TAGGING not in queues or settings.backbone == "tiny":
        return "CPU", settings.chunk_size or TINY_CHUNK
    from worker import device  # noqa: PLC0415 - imports TensorFlow: only where a network runs

    return device.device_name(), settings.chunk_size or device.default_chunk_size()
