"""F20: every process is asked to stop and replaced, again and again, while people send photos."""

import random
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.schema import Item
from db.session import Database
from tests.faults.crew import kill_all, open_items
from tests.faults.oracle import check_logs, check_rows, watch_last_states
from tests.faults.photos import Pictures
from tests.faults.web import PersistentClient, free_port, noting
from tests.integration.accepting import accept
from tests.integration.processes import start_worker, wait_until
from tests.stack import Pages, serving

FILES = 3
SETTINGS = {"PHOTOTAG_CHUNK_SIZE": "8"}


@dataclass(frozen=True)
class Size:
    """What is sent by how many people, how many workers tag it, and how often all processes are replaced."""

    photos: int
    people: int
    workers: int
    restarts: int
    stops_within_s: float


# The short one runs beside other tests, where 5 s would say more about the machine than about us.
SHORT = Size(photos=60, people=3, workers=1, restarts=1, stops_within_s=15)
FULL = Size(photos=2000, people=20, workers=2, restarts=5, stops_within_s=5)


@pytest.fixture
def workers() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Those that run now; none is left behind."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
    kill_all(running)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short", marks=pytest.mark.timeout(300)),
        pytest.param(FULL, id="full", marks=[pytest.mark.faults, pytest.mark.timeout(1800)]),
    ],
)
def test_a_rolling_restart_under_load_loses_nothing_and_leaves_no_lease(
    data_dir: Path,
    pictures: Pictures,
    dice: random.Random,
    workers: list["subprocess.Popen[bytes]"],
    size: Size,
) -> None:
    """F20: SIGTERM ends each process in time; what was answered is kept, what was held is given back."""
    port = free_port()
    accepted: dict[str, int] = {}
    errors: list[BaseException] = []
    stops: list[float] = []
    with serving(data_dir, port=port) as pages, pages.client() as client:
        watch_last_states(pages.database)
        accepted[accept(pages.database, pictures.folder(data_dir / "photos", size.photos, first=1000))] = size.photos
        workers += [_start(pages) for _ in range(size.workers)]

        def send(number: int) -> None:
            with PersistentClient(pages.url, client.cookies, random.Random(number), pause_s=0.2) as person:
                for upload in range(size.restarts + 1):
                    first = FILES * (number * 100 + upload) + 10_000
                    files = {f"{one}.jpg": pictures.photo(first + one) for one in range(FILES)}
                    accepted[person.submit(f"person {number} upload {upload}", files)] = FILES

        people = [threading.Thread(target=noting, args=(errors, partial(send, one))) for one in range(size.people)]
        for person in people:
            person.start()
        for worker in range(size.workers):
            workers[worker] = _replaced(pages, workers[worker], stops)
        stops.append(_stop(pages.process))
    for _ in range(size.restarts - 1):
        with serving(data_dir, port=port) as pages:
            for worker in range(size.workers):
                workers[worker] = _replaced(pages, workers[worker], stops)
                time.sleep(dice.uniform(0, 1))
            stops.append(_stop(pages.process))
    with serving(data_dir, port=port) as pages:
        for person in people:
            person.join()
        wait_until(lambda: open_items(pages.database) == 0, 120, "all photos end")
        kill_all(workers)
        assert errors == []
        total = size.photos + FILES * size.people * (size.restarts + 1)
        assert check_rows(pages.database, accepted, pictures.top) == {"tagged": total}
    print(f"slowest stop {max(stops):.1f} s of {len(stops)}")  # noqa: T201 - a figure for whoever asks
    assert max(stops) < size.stops_within_s
    check_logs([pages.log, data_dir / "worker.log"])


def _start(pages: Pages) -> "subprocess.Popen[bytes]":
    return start_worker(pages.data_dir, pages.database.url, None, **SETTINGS)


def _replaced(pages: Pages, worker: "subprocess.Popen[bytes]", stops: list[float]) -> "subprocess.Popen[bytes]":
    """Asks a worker that tags to stop, looks that it holds nothing any more, and starts another."""
    wait_until(lambda: _held_by(pages.database, worker) > 0 or open_items(pages.database) == 0, 90, "photos are held")
    stops.append(_stop(worker))
    assert worker.returncode == 0
    assert _held_by(pages.database, worker) == 0, "a lease was left behind"
    return _start(pages)


def _stop(process: "subprocess.Popen[bytes]") -> float:
    """Seconds until the process ended that was asked to."""
    began = time.monotonic()
    process.terminate()
    process.wait(60)
    return time.monotonic() - began


def _held_by(database: Database, worker: "subprocess.Popen[bytes]") -> int:
    held = Item.state == "leased", Item.lease_owner.like(f"%-{worker.pid}-%")
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(Item).where(*held)).one()
