"""Brings a database's tables to the revision this code expects, and refuses one it does not know."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Connection, NullPool, create_engine, event, text

from db.errors import SchemaMismatchError
from db.session import Database, translated

# Any fixed number: those who migrate the same PostgreSQL database wait for each other on it.
ADVISORY_LOCK = 7_206_142_031


def upgrade(database: Database) -> None:
    """Migrates to the newest revision. Safe when several processes start at once, and cheap when nothing is to be done.

    Raises:
        SchemaMismatchError: a newer phototag made this database.
        DatabaseUnavailableError: the database cannot be reached.
    """
    with _migrating(database) as connection:
        _refuse_newer(_revision(connection))
        command.upgrade(_config(connection), "head")
        _check_references(connection)


def downgrade(database: Database, revision: str) -> None:
    """Goes back to `revision` ("base": no tables at all). What the newer revisions added is lost."""
    with _migrating(database) as connection:
        _refuse_newer(_revision(connection))
        command.downgrade(_config(connection), revision)
        _check_references(connection)


def current_revision(database: Database) -> str | None:
    """The revision the database is at; None when it has no tables yet."""
    with database.reading() as session:
        return _revision(session.connection())


def head_revision() -> str:
    """The revision this code expects."""
    head = _scripts().get_current_head()
    if head is None:
        msg = "No migrations found beside db/migrate.py, at least one was expected. Install phototag again."
        raise SchemaMismatchError(msg)
    return head


def require_current(database: Database) -> None:
    """Checks that code and database fit, before anything is read or written.

    Raises:
        SchemaMismatchError: the database is older or newer than this code; the message says what to do.
    """
    revision = current_revision(database)
    if revision == head_revision():
        return
    _refuse_newer(revision)
    msg = (
        f"The database's tables are older than this phototag: {head_revision()} was expected."
        f" Stop its other processes and run `phototag migrate`. Received: {revision or 'no tables'}"
    )
    raise SchemaMismatchError(msg)


def _refuse_newer(revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is None or revision in known:
        return
    msg = (
        f"This database was made by a newer phototag; update phototag. The newest revision known here is"
        f" {head_revision()}. Received: {revision}"
    )
    raise SchemaMismatchError(msg)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config()
    # % would be read as an interpolation by Alembic's configuration
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _migrating(database: Database) -> Generator[Connection]:
    """A connection in one transaction, while no other process migrates the same database."""
    with translated():
        if database.is_sqlite:
            with _migrating_sqlite(database) as connection:
                yield connection
        else:
            with _migrating_postgres(database) as connection:
                yield connection


@contextmanager
def _migrating_sqlite(database: Database) -> Generator[Connection]:
    path = Path(database.engine.url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(database.url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=30000")
        # A change of a table copies it and drops the old one, which would delete what refers to it.
        # References are checked at the end instead.
        connection.execute("PRAGMA foreign_keys=OFF")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with FileLock(f"{path}.migrate-lock"), engine.begin() as connection:
        yield connection


@contextmanager
def _migrating_postgres(database: Database) -> Generator[Connection]:
    with database.engine.begin() as connection:
        # Waiting for another migration may take as long as it takes; a table's lock may not: the writers queue behind us.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        yield connection


def _check_references(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        msg = (
            "The migration would leave rows that refer to nothing, so nothing was changed."
            f" Restore a backup or report this. Received: {broken[:5]}"
        )
        raise SchemaMismatchError(msg)
