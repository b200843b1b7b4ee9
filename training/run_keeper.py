"""Takes runs that wait and has each done by a process of its own, which it ends when the run is cancelled.

A fit cannot be interrupted from within, a network keeps its memory, and a process that is killed for want of it must not
take the worker along: so each run is a process. It writes by the fence of its claim; the lease is kept here.
"""

import contextlib
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from db.errors import DatabaseUnavailableError
from db.session import Database
from db.training_runs import (
    ClaimedRun,
    claim_run,
    expire_runs_of,
    extend_run,
    has_open_run,
    held_run,
    release_run,
    run_owners,
    sweep_runs,
)
from worker.identity import is_dead_neighbour

log = logging.getLogger(__name__)

# A person who has just started a run waits for it to begin; the question is one look at an index of open runs.
POLL_S = 1.0
LEASE_S = 60.0
LOOK_EVERY_S = 0.4

Command = Callable[[ClaimedRun], Sequence[str]]


class RunKeeper:
    """Takes the next run, one a call. Call it every `POLL_S`.

    Attributes:
        is_at_work: whether a run is under way.
    """

    def __init__(
        self,
        database: Database,
        owner: str,
        command: Command,
        stopping: Callable[[], bool],
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        self.is_at_work = False
        self._database = database
        self._owner = owner
        self._command = command
        self._stopping = stopping
        self._lease_s = lease_s

    def __call__(self) -> None:
        """Works on one run until it has ended, if there is one to begin.

        Raises:
            DatabaseUnavailableError: the database cannot be reached.
        """
        with self._database.reading() as session:
            if not has_open_run(session):
                return
        with self._database.transaction() as session:
            expire_runs_of(session, {owner for owner in run_owners(session) if is_dead_neighbour(owner)})
            sweep_runs(session)
            run = claim_run(session, self._owner, self._lease_s)
        if run is None:
            return
        self.is_at_work = True
        try:
            self._work(run)
        finally:
            self.is_at_work = False

    def _work(self, run: ClaimedRun) -> None:
        log.info("Run %d begins, with the recipe %s (attempt %d).", run.id, run.recipe.get("name"), run.attempt)
        process = subprocess.Popen(self._command(run), stdin=subprocess.DEVNULL)
        try:
            code = self._watch(run, process)
        finally:
            process.kill()
            process.wait()
        if code is None:
            return
        with self._database.transaction() as session:
            # whoever ends without a word was killed, or could not say it: the sweep lets the run begin anew or fail
            if expire_runs_of(session, {self._owner}):
                log.error("The process of run %d ended with %d before the run was done.", run.id, code)
                sweep_runs(session)
        if code == 0:
            log.info("Run %d has ended.", run.id)

    def _watch(self, run: ClaimedRun, process: subprocess.Popen[bytes]) -> int | None:
        """The exit code; None where the run was taken from us, or is given back because we are to end."""
        extend_at = time.monotonic() + self._lease_s / 4
        while process.poll() is None:
            if self._stopping():
                with self._database.transaction() as session:
                    release_run(session, run)
                return None
            is_due = time.monotonic() >= extend_at
            if not self._keep(run, extend=is_due):
                log.info("Run %d was cancelled, or is another worker's by now.", run.id)
                return None
            if is_due:
                extend_at = time.monotonic() + self._lease_s / 4
            _wait(process, LOOK_EVERY_S)
        return process.returncode

    def _keep(self, run: ClaimedRun, *, extend: bool) -> bool:
        """Whether the run is still ours; while the database is away, that is taken for granted."""
        try:
            if not extend:
                with self._database.reading() as session:
                    return held_run(session, run.id, run.attempt, run.owner) is not None
            with self._database.transaction() as session:
                return extend_run(session, run, self._lease_s)
        except DatabaseUnavailableError as error:
            log.warning("%s", error)
            return True


def run_command(data_dir: str) -> Command:
    """How the process of a run is started: this interpreter, this environment."""

    def command(run: ClaimedRun) -> Sequence[str]:
        asked = ("--run", str(run.id), "--attempt", str(run.attempt), "--owner", run.owner, "--data-dir", data_dir)
        return [sys.executable, "-m", "training.run_program", *asked]

    return command


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
