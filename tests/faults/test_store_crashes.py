"""Workers killed at random moments, on real databases: nothing is lost, nothing is done twice."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.item_statements import MAX_STRIKES
from db.items import open_item_count, sweep
from db.schema import Item, Photo
from db.session import Database
from tests.store import add_batch, add_version, prediction_count, states_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
ITEMS = 500
KILLS = 30
WORKERS = 4
LEASE_S = 1.0
WORK_S = 0.6


def test_every_photo_is_tagged_once_however_often_workers_die(database: Database, tmp_path: Path) -> None:
    """Thirty times SIGKILL; only what was alone in three deaths may be given up."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    dice = random.Random(seed)
    with database.transaction() as session:
        add_version(session)
    batch_id = add_batch(database, ITEMS)
    log = tmp_path / "log"
    log.touch()
    workers = [start(database, log) for _ in range(WORKERS)]
    try:
        kills = disturb(database, log, workers, dice)
        for worker in workers:
            assert worker.communicate(timeout=60)[1] == ""
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()

    assert kills == KILLS
    with database.transaction() as session:
        sweep(session)
        states = states_of(session, batch_id)
        assert states.keys() <= {"tagged", "failed"}
        assert sum(states.values()) == ITEMS
        given_up = session.scalars(select(Item).where(Item.state == "failed")).all()
        assert all((item.code, item.strikes) == ("WORKER_LOST", MAX_STRIKES) for item in given_up)
        assert len(given_up) <= KILLS // MAX_STRIKES
        assert session.scalars(select(func.count()).select_from(Photo)).one() == ITEMS
        assert prediction_count(session) == 5 * states["tagged"]
    finished = [line for line in log.read_text().splitlines() if line.startswith("finish")]
    assert len({line.split()[1] for line in finished}) == len(finished), "an item was finished twice"


def disturb(database: Database, log: Path, workers: list[subprocess.Popen[str]], dice: random.Random) -> int:
    """Kills and replaces workers until nothing is open; returns how many were killed."""
    kills = 0
    while open_count(database):
        time.sleep(dice.uniform(0.05, 0.3))
        with database.transaction() as session:
            sweep(session)
        place = dice.randrange(len(workers))
        victim = workers[place]
        # one that has started, or the kill meets an interpreter that loads modules
        if kills < KILLS and victim.poll() is None and log.read_text().count("start\n") > kills:
            victim.kill()
            assert victim.communicate()[1] == ""
            workers[place] = start(database, log)
            kills += 1
    return kills


def start(database: Database, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store_worker", database.url, str(log), str(LEASE_S), str(WORK_S)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def open_count(database: Database) -> int:
    with database.reading() as session:
        return open_item_count(session)
