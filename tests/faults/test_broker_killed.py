"""F3 and F5: the broker dies or forgets everything, workers die beside it; rows remember what there is to do."""

import random
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import redis

from db.session import Database
from tests.faults.crew import Crew, kill_all, open_items
from tests.faults.oracle import check_logs, check_rows, watch_last_states
from tests.faults.photos import Pictures
from tests.integration.accepting import accept
from tests.integration.processes import Broker, start_worker, wait_until

# Long enough that a busy machine never makes a living worker late: that would be a strike, and not by our kill.
# Recovery does not wait for it, because the others see that the process is gone.
SETTINGS = {"PHOTOTAG_LEASE_S": "30", "PHOTOTAG_CHUNK_LIMIT_S": "25", "PHOTOTAG_CHUNK_SIZE": "8"}
# What Celery logs with a traceback when it closes a connection whose other end has just been killed.
BROKER_LOST = r"^redis\.exceptions\.(ConnectionError|TimeoutError): "


@dataclass(frozen=True)
class Size:
    """How much is tagged by how many workers, and how often one and the broker are killed."""

    photos: int
    workers: int
    kills: int
    broker_kills: int


SHORT = Size(photos=120, workers=2, kills=2, broker_kills=1)
FULL = Size(photos=2000, workers=3, kills=45, broker_kills=15)
in_full = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("store", "size"),
    [
        pytest.param("sqlite", SHORT, id="sqlite-short"),
        pytest.param("sqlite", FULL, id="sqlite-full", marks=in_full),
        pytest.param("postgres", FULL, id="postgres-full", marks=in_full),
    ],
)
def test_nothing_is_lost_or_doubled_while_workers_and_the_broker_are_killed(
    request: pytest.FixtureRequest, data_dir: Path, pictures: Pictures, dice: random.Random, store: str, size: Size
) -> None:
    """F3: SIGKILL of workers, whose sweeps die with them, and of a broker without persistence: each photo is tagged once."""
    database: Database = request.getfixturevalue(f"{store}_database")
    watch_last_states(database)
    accepted = {accept(database, pictures.folder(data_dir / "photos", size.photos)): size.photos}
    broker = Broker(data_dir / "broker")
    broker.start()
    crew = Crew(database, partial(_start, data_dir, database, broker.url), size.workers, dice)
    try:
        kills = disturb(database, crew, broker, size, dice)
        wait_until(lambda: open_items(database) == 0, 120, "all photos end")
    finally:
        kill_all(crew.workers)
        broker.stop()

    assert kills == size.kills
    assert check_rows(database, accepted, pictures.top) == {"tagged": size.photos}
    check_logs([data_dir / "worker.log"], BROKER_LOST)


@pytest.mark.parametrize(
    ("photos", "every_s"),
    [
        pytest.param(100, 0.3, id="short"),
        pytest.param(1000, 5, id="full", marks=in_full),
        pytest.param(1000, 0.2, id="full-often", marks=in_full),
    ],
)
def test_a_broker_that_forgets_everything_again_and_again_costs_no_photo(
    sqlite_database: Database, data_dir: Path, pictures: Pictures, valkey_url: str, photos: int, every_s: float
) -> None:
    """F5: FLUSHALL all the time, while batches arrive; polling and the sweep find what no message speaks of."""
    watch_last_states(sqlite_database)
    worker = _start(data_dir, sqlite_database, valkey_url)
    accepted: dict[str, int] = {}
    try:
        with redis.Redis.from_url(valkey_url) as broker:
            for first in range(0, photos, 50):
                paths = pictures.folder(data_dir / f"photos-{first}", 50, first)
                accepted[accept(sqlite_database, paths)] = 50
                broker.flushall()
            deadline = time.monotonic() + 60 + photos / 10
            while open_items(sqlite_database):
                assert time.monotonic() < deadline, "photos wait for ever"
                broker.flushall()
                time.sleep(every_s)
    finally:
        kill_all([worker])

    assert check_rows(sqlite_database, accepted, pictures.top) == {"tagged": photos}
    check_logs([data_dir / "worker.log"])


def disturb(database: Database, crew: Crew, broker: Broker, size: Size, dice: random.Random) -> int:
    """Kills until the kills are used up; returns how many there were: fewer only if the photos were all done before."""
    with_broker = set(dice.sample(range(size.kills), size.broker_kills))
    kills = 0
    while kills < size.kills and open_items(database):
        if crew.kill_holder():
            if kills in with_broker:
                broker.kill()
                time.sleep(dice.uniform(0, 0.5))
                broker.start()
            kills += 1
        time.sleep(dice.uniform(0, 0.1))
    return kills


def _start(data_dir: Path, database: Database, redis_url: str) -> subprocess.Popen[bytes]:
    return start_worker(data_dir, database.url, redis_url, **SETTINGS)
