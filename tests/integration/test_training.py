"""The training worker as a process: it is seen, finds what looks wrong, loads no network and ends at once."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from db.blobs import open_blobs
from db.garbage import LONG_AGO
from db.schema import Garbage, Worker
from db.session import Database
from db.settings import DataSettings
from tests.integration.command_line import PATIENCE_S, environment
from tests.integration.processes import ROOT, end, wait_until
from tests.labelled import World, hints, make_world, say
from training.looking import TURN
from ui.programs import program

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def process(sqlite_database: Database, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`phototag worker --queues training`; its output goes to the data directory."""
    with (data_dir / "training.log").open("ab") as log:
        started = subprocess.Popen(
            program("ui", "worker", "--queues", "training", "--data-dir", str(data_dir)),
            cwd=ROOT, env=environment(PHOTOTAG_DOUBTS_EVERY_S="0.2"), stdout=log, stderr=log,
        )  # fmt: skip
    yield started
    end(started)


def test_it_finds_labels_that_look_wrong_and_ends_when_asked(
    sqlite_database: Database, data_dir: Path, process: subprocess.Popen[bytes]
) -> None:
    """One photo of 100 has a wrong label; nothing heavy is loaded before somebody labels, and never a network."""
    wait_until(lambda: queues_of(sqlite_database) == ["training"], PATIENCE_S, "a training worker")
    assert {"sklearn", "pandas", "tensorflow"} & loaded_by(process.pid) == set()
    world = make_world(sqlite_database, open_blobs(DataSettings(data_dir=data_dir)), 100)
    odd = world.photo_ids[42]

    label_all(world, odd)

    wait_until(lambda: hints(world).keys() == {odd}, PATIENCE_S, "a hint")
    assert {"tensorflow", "keras"} & loaded_by(process.pid) == set()
    assert ends_within(process, 5)
    assert queues_of(sqlite_database) == []


def test_it_ends_in_the_middle_of_a_search(
    sqlite_database: Database, data_dir: Path, process: subprocess.Popen[bytes]
) -> None:
    """A fit that takes long is not waited for, and another worker may begin at once."""
    wait_until(lambda: queues_of(sqlite_database) == ["training"], PATIENCE_S, "a training worker")
    world = make_world(
        sqlite_database, open_blobs(DataSettings(data_dir=data_dir)), 6000, channels=512, noise=4.0, shard=500
    )

    label_all(world, world.photo_ids[42])
    wait_until(lambda: "sklearn" in loaded_by(process.pid), PATIENCE_S, "a search")
    time.sleep(1.0)

    assert has_turn(sqlite_database)
    assert ends_within(process, 5)
    assert (has_turn(sqlite_database), queues_of(sqlite_database), hints(world)) == (False, [], {})


def label_all(world: World, odd: int) -> None:
    """Each photo gets the label of its kind, but for one."""
    say(world, {photo_id: world.fitting(photo_id, int(photo_id == odd)) for photo_id in world.photo_ids})


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ends by itself, as it should, that soon after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    return process.wait(seconds) == 0


def queues_of(database: Database) -> list[str]:
    """Queues of the workers on the list."""
    with database.reading() as session:
        return list(session.scalars(select(Worker.queues)))


def has_turn(database: Database) -> bool:
    """Whether somebody searches."""
    with database.reading() as session:
        at = session.scalars(select(Garbage.queued_at).where(Garbage.key == TURN)).one_or_none()
    return at is not None and at > LONG_AGO


def loaded_by(pid: int) -> set[str]:
    """Packages of which a process has loaded compiled parts."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return {part for line in maps.splitlines() if "site-packages" in line for part in line.split("/")}
