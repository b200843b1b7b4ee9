"""Engines and transactions. One `Database` per process, made after any fork or spawn."""

import datetime as dt
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Engine, Float, create_engine, event, func, literal_column
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from db.errors import DatabaseFullError, DatabaseUnavailableError

# A writer waits for the others (reference: unfair waits of 5 s were measured with 6 writers).
SQLITE_BUSY_TIMEOUT_S = 30
# WAL with BEGIN IMMEDIATE lost no update and met no lock error where the defaults lost 674 of 807.
# synchronous=FULL: an answered batch survives a power cut.
SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"busy_timeout={SQLITE_BUSY_TIMEOUT_S * 1000}",
    "foreign_keys=ON",
    "trusted_schema=OFF",
)
# What SQLite says when a file, or the index of its log, cannot grow.
SQLITE_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
POSTGRES_OPTIONS = "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"


class Database:
    """The two engines of one process: writes begin IMMEDIATE on SQLite, reads do not wait for writers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._write = _make_engine(url, begin="BEGIN IMMEDIATE")
        self._read = _make_engine(url, begin="BEGIN") if self.is_sqlite else self._write

    @property
    def engine(self) -> Engine:
        """The engine for writes; for Alembic and for tests."""
        return self._write

    @contextmanager
    def transaction(self) -> Generator[Session]:
        """A session that commits at the end of the block, or rolls back when it raises.

        Raises:
            DatabaseUnavailableError: the database cannot be reached, or waited too long for a lock.
        """
        with translated(), Session(self._write, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Generator[Session]:
        """A session for queries only; nothing is ever committed.

        Raises:
            DatabaseUnavailableError: the database cannot be reached.
        """
        with translated(), Session(self._read, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Closes all connections."""
        self._write.dispose()
        self._read.dispose()


def utc_now() -> dt.datetime:
    """The current time, aware, in UTC. For what people see; leases use `db_now`."""
    return dt.datetime.now(dt.UTC)


def is_sqlite(session: Session) -> bool:
    """Whether this session talks to SQLite, else to PostgreSQL."""
    return session.get_bind().dialect.name == "sqlite"


def db_now(session: Session) -> ColumnElement[float]:
    """The database's own clock in seconds since 1970, as an SQL expression.

    Workers on several machines compare leases by this clock only, so a wrong clock on one is harmless.
    """
    return database_clock(sqlite=is_sqlite(session))


def database_clock(*, sqlite: bool) -> ColumnElement[float]:
    """As `db_now`, for statements that are built once."""
    if sqlite:
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
    return func.extract("epoch", func.clock_timestamp()).cast(Float)


@contextmanager
def translated() -> Generator[None]:
    """Turns the driver's errors about a lost, full or locked database into ours.

    Raises:
        DatabaseFullError: its disk has no room.
        DatabaseUnavailableError: anything else that waiting may help.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if _says_disk_full(error):
            msg = f"The database's disk is full. Free some space, then try again. Received: {error.orig}"
            raise DatabaseFullError(msg) from error
        msg = (
            "The database cannot be reached or is too busy. Check that it runs and that PHOTOTAG_DATABASE_URL is right,"
            f" then try again. Received: {error.orig}"
        )
        raise DatabaseUnavailableError(msg) from error


def _says_disk_full(error: DBAPIError) -> bool:
    cause = error.orig
    return getattr(cause, "sqlstate", None) == "53100" or getattr(cause, "sqlite_errorname", None) in SQLITE_FULL


def _make_engine(url: str, *, begin: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=10,
            pool_timeout=10,
            pool_recycle=1800,
            connect_args={
                "connect_timeout": 3,
                "options": POSTGRES_OPTIONS,
                # The tables of a queue grow and empty so fast that a prepared statement's plan, kept from before, reads
                # them whole (measured: 45 ms instead of 2).
                "prepare_threshold": None,
            },
        )
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S})
    engine.dialect.statement_compiler = _HintingCompiler

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we send BEGIN ourselves
        for pragma in SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


class _HintingCompiler(SQLiteCompiler):
    """Writes the hint of a select behind its table: INDEXED BY, which SQLAlchemy does not know."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        return text
