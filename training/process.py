"""A training worker: does training runs, and between them looks for labels that look wrong. It takes no messages.

It holds no network itself: each run has a process of its own (`training.run_keeper`).
"""

import logging
import os
import signal
import sys
import threading
from importlib.util import find_spec
from types import FrameType

from db.blobs import open_blobs, space_trouble
from db.errors import SettingsError
from db.janitor import JANITOR_S, Janitor
from db.migrate import require_current
from db.session import Database
from db.settings import DataSettings
from training.looking import Looking
from training.run_keeper import POLL_S, RunKeeper, run_command
from training.settings import TrainingSettings
from worker.housekeeping import HEARTBEAT_S, Housekeeping, Periodic, WorkerIdentity
from worker.identity import new_worker_id
from worker.queue import TRAINING

# It gives its run back and kills the run's process; a database that is away is not waited for.
RUN_ENDS_WITHIN_S = 3.0


class TrainingProcess:
    """Everything one training worker holds. `run` returns when the process was asked to stop."""

    def __init__(self, data_settings: DataSettings, settings: TrainingSettings) -> None:
        """Connects to the database.

        Raises:
            SettingsError: packages are missing.
            SchemaMismatchError: the tables are older or newer than this code.
        """
        require_packages()
        self._data_settings = data_settings
        self._asked_to_stop = threading.Event()
        self._database = Database(data_settings.resolved_database_url)
        require_current(self._database)
        blobs = open_blobs(data_settings)
        worker_id = new_worker_id()
        command = run_command(str(data_settings.data_dir))
        self._keeper = RunKeeper(self._database, worker_id, command, self._asked_to_stop.is_set)
        self._looking = Looking(self._database, blobs, self._is_wanted_elsewhere)
        janitor = Janitor(self._database, blobs, data_settings.staging_dir, self._asked_to_stop.is_set)
        identity = WorkerIdentity(worker_id, (TRAINING,), "CPU")
        self._housekeeping = Housekeeping(self._database, identity, None, self._describe)
        self._runs = Periodic("runs", POLL_S, self._keeper)
        self._looks = Periodic("looking", settings.doubts_every_s, self._look)
        self._others = [
            Periodic("housekeeping", HEARTBEAT_S, self._housekeeping),
            Periodic("janitor", JANITOR_S, janitor),
        ]

    def run(self) -> None:
        """Works until SIGTERM or SIGINT, then ends at once: what was begun is done anew by the next one."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for thread in (*self._others, self._runs, self._looks):
            thread.start()
        self._asked_to_stop.wait()
        has_ended = self._runs.close(wait_s=RUN_ENDS_WITHIN_S)  # first: its process works on until then
        for thread in self._others:
            thread.close()
        has_ended = self._looks.close(wait_s=0.2) and has_ended
        self._looking.give_back()
        self._housekeeping.leave()
        if not has_ended:
            end_now()
        self._database.close()

    def _look(self) -> None:
        if not self._keeper.is_at_work:
            self._looking()

    def _is_wanted_elsewhere(self) -> bool:
        """Whether a look is to end: somebody waits for a run, and both would be slower."""
        return self._keeper.is_at_work or self._asked_to_stop.is_set()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop.set()

    def _describe(self) -> tuple[int | None, str]:
        return None, space_trouble(self._data_settings)


def require_packages() -> None:
    """Checks without importing them that the packages of the extra `training` are there.

    Raises:
        SettingsError: one is missing.
    """
    missing = [name for name in ("sklearn", "cleanlab", "cv2") if find_spec(name) is None]
    if missing:
        msg = f"Not installed, so nothing can be trained here: {', '.join(missing)}. pip install 'phototag[training]'"
        raise SettingsError(msg)


def end_now() -> None:
    """Ends the process although a fit is under way, which cannot be interrupted. It has written nothing yet."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
