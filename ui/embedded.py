"""The services of one machine: broker, tables, first model version and workers, kept alive until told to stop.

Whoever holds the data directory's lock runs them. Another command on the same directory uses them, and takes over
when the first one ends, however it ends.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from filelock import Timeout

from db.errors import PhototagError
from db.migrate import upgrade
from db.model_versions import active_version
from db.session import Database
from db.settings import DataSettings
from db.workers import live_workers
from ui.broker import EmbeddedBroker, shut_down
from ui.child import Child
from ui.programs import program, program_environment, worker_program
from ui.services_file import (
    RunningServices,
    redis_url_of,
    remove_services,
    running_services,
    services_lock,
    write_services,
    written_services,
)
from worker.queue import QUEUES, TRAINING, make_app, ping
from worker.settings import WorkerSettings

__all__ = ["Services", "redis_url_of", "running_services"]

log = logging.getLogger(__name__)

TEND_EVERY_S = 0.25
# A chunk of 16 photos takes about 4 s on 2 cores; the rest of the 10 s are for those that must be killed and the broker.
STOP_TIMEOUT_S = 6.0
KILL_TIMEOUT_S = 1.0
# Ended so often in a row soon after its start, a worker will not start without a person.
FAILURES_UNTIL_TROUBLE = 3


class Services:
    """Runs the services on a data directory, or uses those that run. A context manager.

    Attributes:
        redis_url: the broker's address, as redis-py spells it.
        leading: whether this process runs the services.
    """

    def __init__(
        self,
        data_settings: DataSettings,
        worker_settings: WorkerSettings,
        *,
        command: str,
        say: Callable[[str], None],
        address: str | None = None,
        share_workers: bool = False,
    ) -> None:
        """Nothing is started yet.

        Args:
            data_settings: where the data lies.
            worker_settings: with `redis_url` set, no embedded broker is started.
            command: what the person typed, for messages of other commands.
            say: shows a line to the person.
            address: of the pages that this process serves.
            share_workers: with a broker of the person's own, start no workers while others live.
        """
        self.redis_url = worker_settings.redis_url or ""
        self.leading = False
        self._data = data_settings
        self._data_dir = data_settings.data_dir.resolve()
        self._own_broker = worker_settings.redis_url is None
        self._command = command
        self._say = say
        self._address = address
        self._share_workers = share_workers and not self._own_broker
        self._lock = services_lock(self._data_dir)
        self._database = Database(data_settings.resolved_database_url)
        self._broker: EmbeddedBroker | None = None
        self._children: list[Child] = []
        self._refresh: Child | None = None
        self._stopping = threading.Event()
        self._stop_by: float | None = None
        self._thread = threading.Thread(target=self._keep_alive, name="services", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the broker answers, the tables are current and a model version is active.

        Raises:
            PhototagError: one of them could not be had; nothing of ours runs then.
        """
        make_data_dir(self._data_dir)
        try:
            self._lead_or_follow()
        except BaseException:
            self._database.close()
            raise
        self._thread.start()

    def begin_to_stop(self) -> None:
        """Asks the workers to end and returns at once; they finish what is at hand while the pages close."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_TIMEOUT_S
        self._stopping.set()
        for child in self._children:
            child.ask_to_stop()

    def stop(self) -> None:
        """Stops what this process started, workers first. Others on the data directory take over."""
        self.begin_to_stop()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)
        try:
            self._stop_leading()
        finally:
            self._database.close()

    def trouble(self, *, training: bool = False) -> str | None:
        """Why no work is being done although it should be, for a person; None when all is well.

        Args:
            training: whether the person waits for the training worker; else for all the others.
        """
        for child in self._children:
            if (child.name == TRAINING) == training and child.failures >= FAILURES_UNTIL_TROUBLE:
                return f"The {child.name} worker does not start; see {child.log}. Its last words: {child.last_words()}"
        return None

    def worker_pids(self) -> dict[str, int | None]:
        """The workers that this process runs, by queue."""
        return {child.name: child.pid for child in self._children}

    def _lead_or_follow(self) -> None:
        said = False
        while not self._try_to_lead():
            running = running_services(self._data_dir)
            if running is not None and running.ready:
                self.redis_url = running.redis_url
                return
            if not said:
                self._say("Waiting for another phototag on this data directory to be ready.")
                said = True
            time.sleep(TEND_EVERY_S)

    def _try_to_lead(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        self.leading = True
        try:
            self._start_services()
        except BaseException:
            self._stop_leading()
            raise
        return True

    def _start_services(self) -> None:
        self._start_broker()
        self._write(ready=False)
        upgrade(self._database)
        self._ensure_first_version()
        self._children = self._make_children()
        self._tend_children()
        self._write(ready=True)

    def _stop_leading(self) -> None:
        try:
            self._stop_children()
        finally:
            if self._broker is not None:
                self._broker.stop()
                self._broker = None
            if self.leading:
                remove_services(self._data_dir)
                self._lock.release()
                self.leading = False

    def _start_broker(self) -> None:
        if not self._own_broker:
            ping(make_app(self.redis_url))
            return
        leftover = written_services(self._data_dir)
        if leftover is not None:
            shut_down(leftover.redis_url)
        self._broker = EmbeddedBroker(self._data_dir)
        self._broker.start()
        self.redis_url = self._broker.url

    def _write(self, *, ready: bool) -> None:
        services = RunningServices(os.getpid(), self._command, self.redis_url, ready, self._address)
        write_services(self._data_dir, services)

    def _ensure_first_version(self) -> None:
        """Brings the first version; on later starts, replaces a built-in one that a new release brings anew."""
        command = program("worker.first_version", "--data-dir", str(self._data_dir))
        with self._database.reading() as session:
            is_first = active_version(session) is None
        if is_first:
            run_shown(command, self._child_environment())
        else:  # nobody waits for it: workers follow the active version
            self._refresh = Child(
                "first-version", command, self._child_environment(), self._data_dir / "logs" / "first-version.log"
            )
            self._refresh.tend()

    def _make_children(self) -> list[Child]:
        logs, environment = self._data_dir / "logs", self._child_environment()
        names = [*QUEUES, *([TRAINING] if can_train() else [])]
        return [Child(name, worker_program(name), environment, logs / f"{name}.log") for name in names]

    def _child_environment(self) -> dict[str, str]:
        return program_environment(
            PHOTOTAG_DATA_DIR=str(self._data_dir),
            PHOTOTAG_REDIS_URL=self.redis_url,
            PHOTOTAG_PARENT_PID=str(os.getpid()),
        )

    def _tend_children(self) -> None:
        if self._share_workers and not any(child.pid for child in self._children):
            with self._database.reading() as session:
                if any(live.queues != TRAINING for live in live_workers(session)):
                    return
        for child in self._children:
            child.tend()
        if self._refresh is not None and self._refresh.has_ended(0):
            self._refresh = None

    def _keep_alive(self) -> None:
        while not self._stopping.wait(TEND_EVERY_S):
            try:
                self._keep_alive_once()
            except PhototagError as error:
                log.warning("%s", error)
            except Exception:
                log.exception("The services could not be tended; it is tried again.")

    def _keep_alive_once(self) -> None:
        if not self.leading:
            if self._try_to_lead():
                self._say("The phototag that ran the services has ended; this one runs them now.")
            return
        if self._broker is not None and not self._broker.is_running():
            self._broker.start()
        self._tend_children()

    def _stop_children(self) -> None:
        deadline = self._stop_by or time.monotonic() + STOP_TIMEOUT_S
        started = [*self._children, *([self._refresh] if self._refresh is not None else [])]
        try:
            for child in started:
                child.ask_to_stop()
            for child in started:
                child.has_ended(deadline - time.monotonic())
        finally:  # a second Ctrl-C means now
            for child in started:
                child.kill()
                child.has_ended(KILL_TIMEOUT_S)
            self._children, self._refresh = [], None


def can_train() -> bool:
    """Whether the packages of the extra `training` are installed. Without them everything else works."""
    return all(find_spec(name) is not None for name in ("sklearn", "cleanlab"))


def make_data_dir(data_dir: Path) -> None:
    """Makes the data directory, for its owner only.

    Raises:
        PhototagError: it cannot be made or written to.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / "logs").mkdir(exist_ok=True)
    except OSError as error:
        msg = f"The data directory {data_dir} cannot be used: {error.strerror}. Choose another one with --data-dir."
        raise PhototagError(msg) from error


def run_shown(command: list[str], environment: dict[str, str]) -> None:
    """Runs a program to its end; what it prints is shown on standard error.

    Raises:
        PhototagError: it failed; it has said why.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), env=environment, start_new_session=True
    )
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if code != 0:
        msg = "That did not work; the lines above say why."
        raise PhototagError(msg)
