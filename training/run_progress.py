"""Says in a run's row how far it is, at most once a second, and notices when the run is no longer this worker's."""

import time
from typing import Any

from db.errors import RunLostError
from db.session import Database
from db.training_runs import ClaimedRun, report_progress

EVERY_S = 1.0


class RunProgress:
    """How far one run is. Every method raises `RunLostError` once it was cancelled or taken over."""

    def __init__(self, database: Database, run: ClaimedRun) -> None:
        self._database = database
        self._run = run
        self._stage, self._done, self._total = "", 0, 0
        self._curves: list[dict[str, Any]] = []
        self._written_at = 0.0

    def begin(self, stage: str, total: int) -> None:
        """A stage begins, with so many steps."""
        self._stage, self._done, self._total = stage, 0, total
        self._write()

    def advance(self, steps: int = 1) -> None:
        """Steps of the stage are done."""
        self._done = min(self._done + steps, self._total)
        if time.monotonic() - self._written_at >= EVERY_S:
            self._write()

    def tell_epoch(self, epoch: dict[str, Any]) -> None:
        """An epoch is over, whose steps were told already."""
        self._curves.append(epoch)
        self._write()

    def add_epoch(self, epoch: dict[str, Any]) -> None:
        """An epoch is over."""
        self._curves.append(epoch)
        self.advance()

    def _write(self) -> None:
        with self._database.transaction() as session:
            is_ours = report_progress(session, self._run, self._stage, self._done, self._total, self._curves)
        self._written_at = time.monotonic()
        if not is_ours:
            msg = f"Run {self._run.id} was cancelled or is another worker's by now, so it ends here. Start it again."
            raise RunLostError(msg)
