"""Starts what the pages need for a test, as real processes: the web application alone, or `phototag up`."""

import datetime as dt
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.logins import new_login_link
from db.schema import User
from db.session import Database, utc_now
from db.settings import DataSettings
from db.users import local_admin

ROOT = Path(__file__).parents[1]
# Starting TensorFlow, Gradio and the workers on a busy machine.
STARTED_WITHIN_S = 100.0
LINK_VALID_FOR = dt.timedelta(hours=1)
# Small enough that going beyond them is cheap to test.
SMALL_LIMITS = {"max_photo_bytes": 1_000_000, "max_archive_bytes": 3_000_000}


@dataclass
class Pages:
    """A running web application."""

    url: str
    database: Database
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    def client(self, user: str | None = None, role: str = "owner") -> httpx.Client:
        """A logged-in client of the local admin or of a user: keeps cookies, follows no redirects."""
        answer = httpx.get(self.login_link(user, role))
        assert answer.status_code == 303, answer.text
        return httpx.Client(base_url=self.url, timeout=30, cookies=answer.cookies)

    def login_link(self, user: str | None = None, role: str = "owner") -> str:
        """A login link: of the local admin, or of a user, made with this role if there is none."""
        with self.database.transaction() as session:
            row = local_admin(session) if user is None else _user(session, user, role)
            token = new_login_link(session, row.id, LINK_VALID_FOR)
        return f"{self.url}/login?token={token}"

    def stranger(self) -> httpx.Client:
        """A client that is not logged in."""
        return httpx.Client(base_url=self.url, timeout=30)


@contextmanager
def serving(
    data_dir: Path, limits: dict[str, int] | None = None, port: int = 0, database_url: str | None = None, **ui: object
) -> Generator[Pages]:
    """The web application on a free port of 127.0.0.1, without a broker and without workers.

    Args:
        data_dir: kept when the block ends: serve it again to test a restart.
        limits: fields of `worker.limits.Limits`.
        port: 0 takes a free one.
        database_url: SQLite in the data directory if not given.
        ui: fields of `UiSettings`.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    asked = {
        "data_dir": str(data_dir),
        "limits": limits or SMALL_LIMITS,
        "ui": ui,
        "port": port,
        "database_url": database_url,
    }
    command = [sys.executable, "-m", "tests.pages_program", json.dumps(asked)]
    with _process(command, data_dir, r"serving (http://127\.0\.0\.1:\d+)", database_url=database_url) as pages:
        yield pages


@contextmanager
def phototag_up(data_dir: Path, **environment: str) -> Generator[Pages]:
    """`phototag up` as a person starts it, with the tiny backbone: broker, workers and pages."""
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ui", "up", "--port", "0", "--data-dir", str(data_dir)]
    settings = {"PHOTOTAG_BACKBONE": "tiny", "PHOTOTAG_DECODERS": "1", **environment}
    with _process(command, data_dir, r"(http://127\.0\.0\.1:\d+)/login\?token=", settings) as pages:
        yield pages


def described_routes(data_dir: Path) -> dict[str, Any]:
    """What `tests.pages_program` says of the routes and of the Gradio functions."""
    data_dir.mkdir(parents=True, exist_ok=True)
    asked = json.dumps({"data_dir": str(data_dir), "routes": True})
    printed = subprocess.run(
        [sys.executable, "-m", "tests.pages_program", asked],
        cwd=ROOT, env=_environment({}), capture_output=True, text=True, check=True, timeout=STARTED_WITHIN_S,
    )  # fmt: skip
    return json.loads(printed.stdout.splitlines()[-1])


def wait_until(condition: Any, what: str, timeout_s: float = 30.0) -> None:
    """Returns when `condition()` is true.

    Raises:
        AssertionError: it was not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.1)


@contextmanager
def _process(
    command: list[str],
    data_dir: Path,
    printed: str,
    settings: dict[str, str] | None = None,
    database_url: str | None = None,
) -> Generator[Pages]:
    log = data_dir.parent / f"{data_dir.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(settings or {}), stdout=output, stderr=output)
    try:
        url = _printed_url(process, log, printed)
        database = Database(DataSettings(data_dir=data_dir, database_url=database_url).resolved_database_url)
        try:
            yield Pages(url, database, data_dir, log, process)
        finally:
            database.close()
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment without whatever a person set for phototag."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PHOTOTAG_")}
    return {**inherited, "PYTHONUNBUFFERED": "1", **settings}


def _printed_url(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        printed = re.search(pattern, text)
        if printed and _is_healthy(printed[1]):
            return printed[1]
        assert process.poll() is None, f"it ended with {process.returncode}:\n{text}"
        time.sleep(0.1)
    msg = f"it did not answer within {STARTED_WITHIN_S:g} s:\n{log.read_text(errors='replace')}"
    raise AssertionError(msg)


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.TransportError:
        return False


def _user(session: Session, name: str, role: str) -> User:
    known = session.scalars(select(User).where(User.name == name)).one_or_none()
    if known is None:
        known = User(name=name, role=role, created_at=utc_now())
        session.add(known)
        session.flush()
    return known
