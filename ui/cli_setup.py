"""What every command shares: its options, its settings, its database and its user."""

import json
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import click

from db.errors import NotFoundError
from db.migrate import require_current
from db.schema import User
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from worker.settings import WorkerSettings

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Settings:
    """The settings of one command, read once."""

    data: DataSettings
    worker: WorkerSettings


def data_dir_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--data-dir`, which every command has."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="PHOTOTAG_DATA_DIR",
        show_envvar=True,
        help="Folder for everything phototag keeps on this machine.  [default: phototag-data]",
    )(command)


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--json`: one JSON document on standard output, for scripts."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def read_settings(data_dir: Path | None) -> Settings:
    """The settings from the environment, `--data-dir` before `PHOTOTAG_DATA_DIR`; the folder as an absolute path."""
    data = DataSettings(data_dir=data_dir) if data_dir is not None else DataSettings()
    return Settings(data.model_copy(update={"data_dir": data.data_dir.resolve()}), WorkerSettings())


@contextmanager
def opened_database(settings: DataSettings) -> Generator[Database]:
    """The database of a data directory that exists, with current tables.

    Raises:
        NotFoundError: nothing was ever kept there; nothing is made by looking.
        SchemaMismatchError: the tables are older or newer than this code.
    """
    if settings.database_url is None and not (settings.data_dir / "phototag.sqlite3").exists():
        msg = (
            f"There is no phototag data in {settings.data_dir}. Name another folder with --data-dir, "
            "or begin with `phototag tag` or `phototag up`."
        )
        raise NotFoundError(msg)
    database = Database(settings.resolved_database_url)
    try:
        require_current(database)
        yield database
    finally:
        database.close()


def current_user(database: Database) -> User:
    """Who uses the command line: the local admin, until accounts exist."""
    with database.transaction() as session:
        return local_admin(session)


def say(text: str) -> None:
    """A line for the person, on standard error: standard output holds results only."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    """A JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


class Interruption:
    """Ctrl-C, SIGTERM or a closed terminal: each raises KeyboardInterrupt, and is remembered.

    Libraries swallow what is raised while they are imported, or in a callback; `check` raises it again.
    """

    def __init__(self) -> None:
        self._happened = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        self._happened = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt if it happened at any time."""
        if self._happened:
            raise KeyboardInterrupt


@contextmanager
def stopping_cleanly() -> Generator[Interruption]:
    """Handles the signals in its block, but for those that whoever started us wants ignored (nohup, a script's &)."""
    interruption = Interruption()
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) != signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, interruption)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
