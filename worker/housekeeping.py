"""What a worker does beside its tasks: heartbeat, sweep, and polling when no message comes."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from celery import Celery
from sqlalchemy.orm import Session

from db.archives import ready_archive_batches
from db.errors import BrokerUnavailableError, DatabaseUnavailableError
from db.items import has_ready_items, sweep
from db.session import Database
from db.workers import beat, expire_leases_of, forget, lease_owners
from worker.identity import is_dead_neighbour
from worker.queue import INTAKE, TAGGING, enqueue_tag, enqueue_unpack, queue_length

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
# Polling is slower than a message and never the only way: it covers a broker that is away or forgot.
POLL_S = 1.0


@dataclass(frozen=True)
class WorkerIdentity:
    """How this process appears in the `workers` table."""

    id: str
    queues: tuple[str, ...]
    device: str


class Periodic:
    """Calls `action` every `period_s` seconds in a thread until closed. A database that is away is waited for."""

    def __init__(self, name: str, period_s: float, action: Callable[[], None]) -> None:
        self._period_s = period_s
        self._action = action
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self, wait_s: float = 30) -> bool:
        """Ends the thread after the call that is under way; returns whether it has ended within that time."""
        self._closing.set()
        self._thread.join(timeout=wait_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._action()
            except DatabaseUnavailableError as error:
                log.warning("%s", error)
            except Exception:
                log.exception("%s failed; it is tried again in %g s.", self._thread.name, self._period_s)
            self._closing.wait(self._period_s)


class Housekeeping:
    """Heartbeat and sweep, every `HEARTBEAT_S`."""

    def __init__(
        self,
        database: Database,
        identity: WorkerIdentity,
        app: Celery | None,
        describe: Callable[[], tuple[int | None, str]],
    ) -> None:
        self._database = database
        self._identity = identity
        self._app = app
        self._describe = describe
        self._parent_pid = int(os.environ.get("PHOTOTAG_PARENT_PID", "0"))

    def __call__(self) -> None:
        """One round: am I still wanted, I am alive, what is overdue, who should know."""
        self._end_without_parent()
        version_id, note = self._describe()
        identity = self._identity
        with self._database.transaction() as session:
            beat(session, identity.id, ",".join(identity.queues), identity.device, note, version_id)
            self._expire_dead_neighbours(session)
            report = sweep(session)
        if report.parked:
            log.error("%d photos were given up after their worker died three times on each alone.", report.parked)
        self._send_again()

    def leave(self) -> None:
        """Takes this worker off the list of those alive."""
        with self._database.transaction() as session:
            forget(session, self._identity.id)

    @staticmethod
    def _expire_dead_neighbours(session: Session) -> None:
        """A killed worker's photos need not wait for the lease when its successor can see that it is gone."""
        dead = [owner for owner in lease_owners(session) if is_dead_neighbour(owner)]
        if dead:
            count = expire_leases_of(session, dead)
            log.warning("%d leases of workers that ended without giving them back are free again.", count)

    def _end_without_parent(self) -> None:
        if self._parent_pid and os.getppid() != self._parent_pid:
            log.warning("The process that started this worker is gone: it ends too.")
            os.kill(os.getpid(), signal.SIGTERM)

    def _send_again(self) -> None:
        """Messages may be lost; rows are not. Sends for what is ready and has no message waiting."""
        if self._app is None:
            return
        with self._database.reading() as session:
            items, batch_ids = has_ready_items(session), ready_archive_batches(session)
        try:
            if items and queue_length(self._app, TAGGING) == 0:
                enqueue_tag(self._app)
            if batch_ids and queue_length(self._app, INTAKE) == 0:
                for batch_id in batch_ids:
                    enqueue_unpack(self._app, batch_id)
        except BrokerUnavailableError as error:
            log.warning("%s", error)
