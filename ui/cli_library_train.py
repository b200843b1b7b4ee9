"""`phototag train` for the library: starts a run, shows how it gets on, and compares its candidate."""

import sys
import time
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console

from db.errors import ConflictError, PhototagError
from db.migrate import upgrade
from db.readiness import readiness
from db.session import Database
from db.training_runs import cancel_run, start_run
from db.training_views import RunDetails, get_run
from db.tuning_cost import tuning_cost
from db.workers import live_workers
from ui.cli import EXIT_INTERRUPTED
from ui.cli_setup import (
    Interruption,
    Settings,
    current_user,
    opened_database,
    print_json,
    read_settings,
    say,
    stopping_cleanly,
)
from ui.cost_words import cost_lines
from ui.embedded import Services, can_train, running_services
from ui.recipes import recipe_values
from ui.train_words import epoch_line, progress_line, result_lines
from worker.queue import TRAINING

LOOK_EVERY_S = 0.4
SECONDS_BETWEEN_LINES = 5.0
# A worker needs some seconds before it says that it lives.
NO_WORKER_AFTER_S = 30.0


def train_library(*, recipe: str, activate: str, no_wait: bool, yes: bool, as_json: bool, data_dir: Path | None) -> int:
    """Trains on what people labelled in the library; the command's exit code.

    Args:
        recipe: its name.
        activate: auto or never.
        no_wait: only asks for the run.
        yes: what the recipe costs is accepted, and nobody is asked.
        as_json: prints what scripts read.
        data_dir: None: the one that is set.

    Raises:
        PhototagError: it cannot be trained, or the run failed: why, and what to do.
    """
    settings, values = read_settings(data_dir), recipe_values(recipe)
    with opened_database(settings.data) as database:  # nothing is made by asking
        if not _is_accepted(database, values, yes=yes):
            say("Nothing is trained.")
            return 0
    if no_wait:
        return _start_only(settings, values, activate, as_json=as_json)
    if not can_train():
        msg = "Nothing can be trained here: packages are missing. pip install 'phototag[training]'"
        raise PhototagError(msg)
    services = Services(settings.data, settings.worker, command="train", say=say, share_workers=True)
    with stopping_cleanly() as interruption, services:
        database = Database(settings.data.resolved_database_url)
        try:
            run_id = _start(database, values, activate)
            try:
                details = _wait(database, run_id, services, interruption)
            except KeyboardInterrupt:
                _cancel(database, run_id)
                return EXIT_INTERRUPTED
        finally:
            database.close()
    return _show(details, as_json=as_json)


def _is_accepted(database: Database, values: dict[str, Any], *, yes: bool) -> bool:
    """Says what the recipe costs, and asks; True where it costs nothing to speak of.

    Raises:
        UsageError: nobody can be asked.
    """
    with database.reading() as session:
        cost = tuning_cost(session, values)
    if cost is None:
        return True
    for line in cost_lines(cost):
        say(line)
    if yes:
        return True
    if not sys.stdin.isatty():
        msg = "Nobody can be asked here whether that is wanted. Say so with --yes."
        raise click.UsageError(msg)
    return click.confirm("Go on?", err=True)


def _start_only(settings: Settings, values: dict[str, object], activate: str, *, as_json: bool) -> int:
    database = Database(settings.data.resolved_database_url)
    try:
        upgrade(database)
        run_id = _start(database, values, activate)
    finally:
        database.close()
    print_json({"run": run_id}) if as_json else click.echo(f"Run {run_id} waits for the training worker.")
    if running_services(settings.data.data_dir.resolve()) is None and settings.worker.redis_url is None:
        say("Nothing is trained until services run: `phototag up`.")
    return 0


def _start(database: Database, values: dict[str, object], activate: str) -> int:
    with database.reading() as session:
        found = readiness(session)
    if not found.is_ready:
        raise PhototagError(" ".join(found.missing))
    user = current_user(database)
    with database.transaction() as session:
        return start_run(session, user, values, activate).id


def _wait(database: Database, run_id: int, services: Services, interruption: Interruption) -> RunDetails:
    alone = _NobodyTrains(database)
    with _RunProgress() as view:
        while True:
            with database.reading() as session:
                details = get_run(session, run_id)
            view.show(details)
            if not details.run.is_open:
                return details
            interruption.check()
            if reason := services.trouble(training=True):
                msg = f"{reason} Run {run_id} waits until that is repaired. `phototag doctor` checks."
                raise PhototagError(msg)
            alone.look()
            time.sleep(LOOK_EVERY_S)


def _cancel(database: Database, run_id: int) -> None:
    try:
        with database.transaction() as session:
            cancel_run(session, None, run_id)
    except ConflictError:
        say(f"Run {run_id} had just ended. `phototag models list` shows what it made.")
    else:
        say(
            f"Stopped: run {run_id} is cancelled and leaves nothing. With --no-wait a run goes on without this command."
        )


def _show(details: RunDetails, *, as_json: bool) -> int:
    run = details.run
    if as_json:
        print_json(asdict(details))
    if run.state == "failed":
        raise PhototagError(run.reason)
    if run.state == "cancelled":
        msg = f"Run {run.id} was cancelled by somebody else. Start it again with the same command."
        raise PhototagError(msg)
    if not as_json:
        for line in result_lines(details):
            click.echo(line)
    return 0


class _RunProgress(AbstractContextManager["_RunProgress"]):
    """Lines on standard error: each epoch, and where the run is; a line that is drawn again if a person watches."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting") if sys.stderr.isatty() else None
        self._epochs = 0
        self._last, self._stage, self._next_at = "", "", 0.0

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, details: RunDetails) -> None:
        """Shows what is new."""
        if len(details.curves) < self._epochs:  # it began anew
            self._epochs = 0
        for epoch in details.curves[self._epochs :]:
            self._say(epoch_line(epoch))
        self._epochs = len(details.curves)
        line, stage = progress_line(details.run), details.run.stage
        if self._status is not None:
            self._status.update(line)
        elif line != self._last and (stage != self._stage or time.monotonic() >= self._next_at):
            self._next_at, self._last, self._stage = time.monotonic() + SECONDS_BETWEEN_LINES, line, stage
            self._say(line)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False) if self._status is not None else say(line)


class _NobodyTrains:
    """Says once that no training worker lives, when that has lasted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._alone_since: float | None = time.monotonic()

    def look(self) -> None:
        if self._alone_since is None or time.monotonic() - self._alone_since < NO_WORKER_AFTER_S:
            return
        self._alone_since = None
        with self._database.reading() as session:
            if not any(TRAINING in live.queues for live in live_workers(session)):
                say("No training worker is at work. `phototag worker --queues training` starts one.")
