"""F1: workers killed at random moments, on the lease store alone: nothing is lost, nothing is done twice."""

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db.item_statements import MAX_STRIKES
from db.items import sweep
from db.model_versions import version_label_ids
from db.schema import Item
from db.session import Database
from tests.faults.crew import Crew, kill_all, open_items
from tests.faults.oracle import Top, check_rows, watch_last_states
from tests.store import LABELS, add_batch, add_version, top_of

ROOT = Path(__file__).parents[2]
WORKERS = 4
CHUNK = 32
LEASE_S, WORK_S = 1.0, 0.2
TURN_S = 0.05


@dataclass(frozen=True)
class Size:
    """How much is tagged, how often a worker is killed, and how many photos kill theirs."""

    photos: int
    kills: int
    killers: int


SHORT = Size(photos=96, kills=2, killers=1)
FULL = Size(photos=2000, kills=120, killers=3)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(FULL, id="full", marks=[pytest.mark.faults, pytest.mark.timeout(600)]),
    ],
)
def test_every_photo_is_tagged_once_however_often_workers_die(
    database: Database, tmp_path: Path, dice: random.Random, size: Size
) -> None:
    """F1: all photos are tagged, but for those that kill their worker whenever it holds them: exactly they are given up."""
    with database.transaction() as session:
        labels = version_label_ids(session, add_version(session))
    batch_id = add_batch(database, size.photos)
    killers = plant_killers(database, dice.sample(range(size.photos), size.killers))
    watch_last_states(database)
    log = tmp_path / "log"

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.store_worker", database.url, str(log), str(CHUNK)]
        return subprocess.Popen([*command, str(LEASE_S), str(WORK_S)], cwd=ROOT)

    crew = Crew(database, start, WORKERS, dice)
    try:
        kills = disturb(database, crew, size.kills)
    finally:
        kill_all(crew.workers)

    def reference(photo_id: int, _sha: str) -> Top:
        return [(LABELS[labels.index(label)], score) for label, score in top_of(photo_id, labels)]

    assert kills == size.kills
    states = check_rows(database, {batch_id: size.photos}, reference)
    assert states == {"tagged": size.photos - size.killers, "failed": size.killers}
    with database.reading() as session:
        given_up = session.scalars(select(Item).where(Item.state == "failed")).all()
    assert {item.position for item in given_up} == killers
    assert {(item.code, item.strikes) for item in given_up} == {("WORKER_LOST", MAX_STRIKES)}
    finished = [line.split()[1] for line in log.read_text().splitlines() if line.startswith("finish")]
    assert len(set(finished)) == len(finished), "an item was finished twice"


def plant_killers(database: Database, positions: list[int]) -> set[int]:
    """Makes the photos at these positions end whoever works on them."""
    with database.transaction() as session:
        session.execute(update(Item).where(Item.position.in_(positions)).values(path="killer.jpg"))
    return set(positions)


def disturb(database: Database, crew: Crew, wanted: int) -> int:
    """Kills, sweeps and replaces the dead until nothing is open; returns how many were killed while they held photos."""
    kills = 0
    while open_items(database):
        with database.transaction() as session:
            sweep(session)
        kills += kills < wanted and crew.kill_holder()
        crew.replace_dead()
        time.sleep(TURN_S)
    return kills
