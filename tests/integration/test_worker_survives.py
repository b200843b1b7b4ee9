"""Workers and the broker die at random moments: nothing accepted is lost, nothing is done twice."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.item_statements import MAX_STRIKES
from db.items import open_item_count
from db.schema import Batch, Item, Photo, Prediction
from db.session import Database
from tests.integration.accepting import accept
from tests.integration.processes import Broker, end, start_worker, wait_until
from tests.samples import jpeg

ITEMS = 500
KILLS = 30
BROKER_RESTARTS = 5
WORKERS = 3
Process = subprocess.Popen[bytes]
# Long enough that a busy machine never makes a living worker late: that would be a strike, and not by our kill.
# Recovery does not wait for it, because the others see that the process is gone.
SETTINGS = {"PHOTOTAG_LEASE_S": "10", "PHOTOTAG_CHUNK_LIMIT_S": "8", "PHOTOTAG_CHUNK_SIZE": "4"}


@pytest.mark.timeout(180)
def test_nothing_is_lost_or_doubled_while_workers_are_killed_and_the_broker_restarts(
    database: Database, data_dir: Path, tmp_path: Path
) -> None:
    """30 SIGKILLs and 5 broker restarts during 500 items: each ends tagged, once, with one top five."""
    seed = int(os.environ.get("PHOTOTAG_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"seed {seed}: replay with PHOTOTAG_TEST_SEED={seed}")  # noqa: T201 - for whoever replays it
    dice = random.Random(seed)
    batch_id = accept(database, _photos(tmp_path / "photos"))
    broker = Broker(tmp_path / "broker")
    broker.start()
    workers = [_start(data_dir, database, broker) for _ in range(WORKERS)]
    try:
        kills = _disturb(dice, database, broker, workers, lambda: _start(data_dir, database, broker))
        wait_until(lambda: _open(database) == 0, 60, "all items end")
    finally:
        for worker in workers:
            end(worker)
        broker.stop()

    assert kills == KILLS
    _assert_each_tagged_once(database, batch_id)


def _photos(folder: Path) -> list[Path]:
    """500 photos, each with its own bytes."""
    folder.mkdir()
    base = jpeg(640, 480)
    paths = [folder / f"{number:03}.jpg" for number in range(ITEMS)]
    for number, path in enumerate(paths):
        path.write_bytes(base + number.to_bytes(4, "big"))  # after the end marker: other content, same picture
    return paths


def _start(data_dir: Path, database: Database, broker: Broker) -> Process:
    return start_worker(data_dir, database.url, broker.url, **SETTINGS)


def _disturb(
    dice: random.Random,
    database: Database,
    broker: Broker,
    workers: list[Process],
    start: Callable[[], Process],
) -> int:
    """Kills workers that hold photos until the kills are used up; the broker is restarted in between.

    Returns:
        How many were killed while they held photos: fewer than `KILLS` only if the photos were all done before.
    """
    restart_at = set(dice.sample(range(KILLS), BROKER_RESTARTS))
    for number in range(KILLS):
        victim = _kill_holder(dice, database, workers)
        if victim is None:
            return number
        workers[victim] = start()
        if number in restart_at:
            broker.stop()
            broker.start()
    return KILLS


def _kill_holder(dice: random.Random, database: Database, workers: list[Process]) -> int | None:
    """Kills a worker somewhere between claim and write; returns its index, None when nothing is left to be held."""
    while (victim := _holder(database, workers)) is not None:
        time.sleep(dice.uniform(0, 0.3))
        workers[victim].send_signal(signal.SIGSTOP)  # what it holds now it holds when it dies
        if victim in _holders(database, workers):
            workers[victim].kill()
            workers[victim].wait()
            return victim
        workers[victim].send_signal(signal.SIGCONT)
    return None


def _holder(database: Database, workers: list[Process]) -> int | None:
    """Index of a worker that holds leases; None when nothing is left to be held."""
    deadline = time.monotonic() + 30
    while _open(database) > 0:
        assert time.monotonic() < deadline, "no worker claims anything"
        if found := _holders(database, workers):
            return found[0]
        time.sleep(0.02)
    return None


def _holders(database: Database, workers: list[Process]) -> list[int]:
    """Indexes of the workers that hold leases, but for a photo that another death would rightly give up."""
    by_pid = {str(worker.pid): index for index, worker in enumerate(workers)}
    with database.reading() as session:
        held = session.execute(
            select(Item.lease_owner, func.max(Item.strikes)).where(Item.state == "leased").group_by(Item.lease_owner)
        )
        pids = [owner.rsplit("-", 2)[1] for owner, strikes in held if owner is not None and strikes < MAX_STRIKES - 1]
    return [by_pid[pid] for pid in pids if pid in by_pid]


def _open(database: Database) -> int:
    with database.reading() as session:
        return open_item_count(session)


def _assert_each_tagged_once(database: Database, batch_id: str) -> None:
    with database.reading() as session:
        states = {row[0]: row[1] for row in session.execute(select(Item.state, func.count()).group_by(Item.state))}
        ranks = session.execute(
            select(Prediction.photo_id, func.count(), func.count(Prediction.model_version_id.distinct())).group_by(
                Prediction.photo_id
            )
        ).all()
        labels = {tuple(row) for row in session.execute(select(Prediction.rank, Prediction.label_id))}
        spread = (
            session.execute(select(func.max(Prediction.score) - func.min(Prediction.score)).group_by(Prediction.rank))
            .scalars()
            .all()
        )
        photos = session.scalars(select(func.count()).select_from(Photo)).one()
        state = session.scalars(select(Batch.state).where(Batch.id == batch_id)).one()
    assert states == {"tagged": ITEMS}
    assert photos == len(ranks) == ITEMS
    assert {(count, versions) for _, count, versions in ranks} == {(5, 1)}
    assert len(labels) == 5, "the same picture got the same five labels everywhere"
    assert max(spread) < 1e-5
    assert state == "finished"
