"""F21 and F23: the web process dies while people send photos, and requests come many times: still one batch each."""

import random
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from db.blobs import open_blobs
from db.schema import Batch, Item
from db.settings import DataSettings
from tests.faults.oracle import check_logs, check_no_orphans, check_rows, watch_last_states
from tests.faults.photos import Pictures, healthy_tagger
from tests.faults.web import PersistentClient, free_port, noting
from tests.stack import Pages, serving
from tests.store import run_together

FILES = 4
PEOPLE = 4


@dataclass(frozen=True)
class Size:
    """How many uploads there are, and how often the web process is killed meanwhile."""

    uploads: int
    kills: int
    pause_s: float


SHORT = Size(uploads=8, kills=1, pause_s=0.3)
FULL = Size(uploads=100, kills=30, pause_s=0.4)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short", marks=pytest.mark.timeout(300)),
        pytest.param(FULL, id="full", marks=[pytest.mark.faults, pytest.mark.timeout(1800)]),
    ],
)
def test_a_killed_web_process_costs_no_batch_and_doubles_none(
    data_dir: Path, pictures: Pictures, dice: random.Random, size: Size
) -> None:
    """F21: people whose browsers ask again get exactly their batches, each with all of its photos."""
    batches: dict[str, int] = {}
    errors: list[BaseException] = []
    port = free_port()
    with serving(data_dir, port=port) as pages, pages.client() as client:
        watch_last_states(pages.database)
        people = [
            threading.Thread(target=partial(noting, errors, person))
            for person in [
                partial(send_all, pages.url, client.cookies, pictures, numbers, batches, dice.randrange(10**6), size)
                for numbers in (range(first, size.uploads, PEOPLE) for first in range(PEOPLE))
            ]
        ]
        for person in people:
            person.start()
        kill_later(pages, dice)
    for _ in range(size.kills - 1):
        with serving(data_dir, port=port) as pages:
            kill_later(pages, dice)
    with serving(data_dir, port=port) as pages:
        for person in people:
            person.join()
        assert errors == []
        with healthy_tagger(pages.database, data_dir) as tagger:
            while tagger.tag(30):
                pass
        assert check_rows(pages.database, batches, pictures.top) == {"tagged": size.uploads * FILES}
        check_no_orphans(pages.database, open_blobs(DataSettings(data_dir=data_dir, database_url=None, blobs_url=None)))
    assert len(batches) == size.uploads
    check_logs([pages.log])


@pytest.mark.faults
def test_twenty_submissions_with_one_key_at_once_are_one_batch(data_dir: Path, pictures: Pictures) -> None:
    """F23: every one of them is answered with the same batch, whose photos are there once each."""
    at_once = 20
    answers: list[str] = []
    errors: list[BaseException] = []
    files = {f"{number}.jpg": pictures.photo(number) for number in range(FILES)}
    together = threading.Barrier(at_once)
    with serving(data_dir) as pages, pages.client() as client:

        def submit(seed: int) -> None:
            with PersistentClient(pages.url, client.cookies, random.Random(seed)) as person:
                together.wait()
                answers.append(person.submit("the key of all twenty", files))

        run_together([partial(noting, errors, partial(submit, seed)) for seed in range(at_once)])
        with pages.database.reading() as session:
            batches = session.scalars(select(Batch.id)).all()
            items = session.scalars(select(func.count()).select_from(Item)).one()

    assert errors == []
    assert answers == [batches[0]] * at_once
    assert len(batches) == 1
    assert items == FILES


def send_all(
    url: str,
    cookies: httpx.Cookies,
    pictures: Pictures,
    numbers: range,
    batches: dict[str, int],
    seed: int,
    size: Size,
) -> None:
    """One person's uploads, one after the other."""
    with PersistentClient(url, cookies, random.Random(seed), size.pause_s) as person:
        for number in numbers:
            files = {f"{file}.jpg": pictures.photo(number * FILES + file) for file in range(FILES)}
            batches[person.submit(f"upload {number:03}", files)] = FILES


def kill_later(pages: Pages, dice: random.Random) -> None:
    """SIGKILL, somewhere in the middle of what people send."""
    time.sleep(dice.uniform(0.2, 1.0))
    pages.process.kill()
    pages.process.wait()
