"""F22: batches are cancelled at any moment while worker processes work on them."""

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from db.batches import cancel_batch
from db.model_versions import version_label_ids
from db.schema import Item, Prediction
from db.session import Database
from tests.faults.crew import kill_all
from tests.faults.oracle import Top, check_rows, watch_last_states
from tests.store import LABELS, add_batch, add_version, states_of, top_of

ROOT = Path(__file__).parents[2]
WORKERS = 2
CHUNK, LEASE_S, WORK_S = 8, 60, 0.01


@dataclass(frozen=True)
class Size:
    """How many batches are cancelled, and how many photos each has."""

    cancels: int
    photos: int


SHORT = Size(cancels=8, photos=100)
FULL = Size(cancels=200, photos=500)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(FULL, id="full", marks=[pytest.mark.faults, pytest.mark.timeout(900)]),
    ],
)
def test_nothing_is_written_of_a_batch_once_its_cancel_is_answered(
    database: Database, tmp_path: Path, dice: random.Random, size: Size
) -> None:
    """F22: what is tagged, refused or cancelled at the answer stays so, adds up, and no prediction comes after it."""
    with database.transaction() as session:
        labels = version_label_ids(session, add_version(session))
    lasting = add_batch(database, range(10**6, 10**6 + 1))  # workers of this kind end when nothing is open
    with database.transaction() as session:
        session.execute(update(Item).values(not_before=1e12))
    watch_last_states(database)
    command = [sys.executable, "-m", "tests.store_worker", database.url, str(tmp_path / "log"), str(CHUNK)]
    workers = [subprocess.Popen([*command, str(LEASE_S), str(WORK_S)], cwd=ROOT) for _ in range(WORKERS)]
    answered: dict[str, tuple[dict[str, int], int]] = {}
    try:
        first = wait_for_first(database)
        for number in range(size.cancels):
            numbers = range(number * size.photos, (number + 1) * size.photos)
            batch_id = add_batch(database, numbers)
            time.sleep(dice.uniform(0, 0.4))
            with database.transaction() as session:
                cancel_batch(session, batch_id)
            answered[batch_id] = found_of(database, batch_id)
        with database.transaction() as session:
            cancel_batch(session, lasting)
        for worker in workers:
            worker.wait(60)
    finally:
        kill_all(workers)

    assert {batch_id: found_of(database, batch_id) for batch_id in answered} == answered
    assert any(set(states) == {"tagged", "cancelled"} for states, _ in answered.values()), "no moment was interesting"

    def reference(photo_id: int, _sha: str) -> Top:
        return [(LABELS[labels.index(label)], score) for label, score in top_of(photo_id, labels)]

    check_rows(database, {lasting: 1, first: 4, **dict.fromkeys(answered, size.photos)}, reference)


def wait_for_first(database: Database) -> str:
    """Returns once the workers have tagged something, which take seconds to start; the id of that batch."""
    batch_id = add_batch(database, range(2 * 10**6, 2 * 10**6 + 4))
    deadline = time.monotonic() + 60
    while found_of(database, batch_id)[0].get("tagged", 0) < 4:
        assert time.monotonic() < deadline, "the workers do not start"
        time.sleep(0.05)
    return batch_id


def found_of(database: Database, batch_id: str) -> tuple[dict[str, int], int]:
    """How many items of a batch are in which state, and how many predictions its photos have."""
    photos = select(Item.photo_id).where(Item.batch_id == batch_id)
    predictions = select(func.count()).select_from(Prediction).where(Prediction.photo_id.in_(photos))
    with database.reading() as session:
        return states_of(session, batch_id), session.scalars(predictions).one()
