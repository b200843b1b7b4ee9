"""One supervised process: started again when it ends, its output in a small log."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

MAX_LOG_BYTES = 5_000_000
# A process that ends at once is started again after 0.5, 1, 2, ... seconds.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# One that lived longer than this had a reason of its own to end, and is not counted as failing to start.
SETTLED_AFTER_S = 30.0


class Child:
    """A process that should always run. `tend` is called again and again, by one thread at a time.

    Attributes:
        name: what it is, e.g. `tagging`; names its log.
        failures: how often in a row it ended soon after its start.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.failures = 0
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def tend(self) -> None:
        """Starts the process if it does not run and its pause is over; keeps the log small."""
        if self._process is not None and self._process.poll() is not None:
            self._note_end()
        if self._process is None and time.monotonic() >= self._start_at:
            self._start()
        keep_small(self.log)

    def ask_to_stop(self) -> None:
        """Sends SIGTERM: finish what is at hand and end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self._signal(signal.SIGKILL)

    def has_ended(self, within_s: float) -> bool:
        """Whether the process ends within that time."""
        process = self._process
        if process is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, within_s))
        return process.poll() is not None

    def last_words(self) -> str:
        """The last line of its log that says something."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4000))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
            return lines[-1] if lines else ""
        return ""

    def _start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for us; we tell our children
            )
        self._started_at = time.monotonic()

    def _note_end(self) -> None:
        now = time.monotonic()
        self.failures = 0 if now - self._started_at > SETTLED_AFTER_S else self.failures + 1
        self._start_at = now + min(FIRST_PAUSE_S * 2 ** max(0, self.failures - 1), LONGEST_PAUSE_S)
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def keep_small(log: Path) -> None:
    """Moves a long log's content to `<name>.1`. The writer appends, so cutting the file does not disturb it."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > MAX_LOG_BYTES:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            with log.open("r+b") as file:
                file.truncate(0)
