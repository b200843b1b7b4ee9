"""Several processes on one database: nothing is done twice, nobody meets a lock error."""

import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path

from sqlalchemy import func, select

from db.batches import add_items, cancel_batch, create_batch
from db.items import claim_items, finish_items
from db.schema import Item, Photo, Prediction
from db.session import Database
from db.users import local_admin
from tests.store import add_batch, add_version, new_items, prediction_count, run_together, states_of, tag_all

ROOT = Path(__file__).parents[3]


def test_six_processes_tag_every_item_once(database: Database, tmp_path: Path) -> None:
    """Batches with photos in common; each item is claimed once and finished once, without any error."""
    with database.transaction() as session:
        add_version(session)
    for first in (0, 50, 100):
        add_batch(database, range(first, first + 100))
    log = tmp_path / "log"

    command = [sys.executable, "-m", "tests.store_worker", database.url, str(log), "8", "60", "0.08"]
    workers = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    errors = [worker.communicate(timeout=100)[1] for worker in workers]

    assert errors == [""] * 6
    assert [worker.returncode for worker in workers] == [0] * 6
    lines = Counter(log.read_text().splitlines())
    assert set(lines.values()) == {1}
    assert len(lines) == 2 * 300
    with database.reading() as session:
        assert states_of(session) == {"tagged": 300}
        photos = session.scalars(select(func.count()).select_from(Photo)).one()
        assert prediction_count(session) == 5 * photos == 5 * 200


def test_batches_with_photos_in_common_are_filled_at_once(database: Database) -> None:
    """Eight threads add the same photos in different orders: one row each, no deadlock."""
    with database.transaction() as session:
        admin = local_admin(session).id
    errors: list[Exception] = []

    def submit(number: int) -> None:
        try:
            with database.transaction() as session:
                batch = create_batch(session, admin, str(number), priority=5)
                items = new_items(range(200))
                add_items(session, batch.id, items[number:] + items[:number])
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    run_together([partial(submit, 20 * number) for number in range(8)])

    assert errors == []
    with database.reading() as session:
        assert session.scalars(select(func.count()).select_from(Photo)).one() == 200
        assert states_of(session) == {"ready": 1600}


def test_cancelling_while_workers_finish(database: Database) -> None:
    """At a random moment between claim and finish; after the answer there is no new prediction, whatever they hold."""
    with database.transaction() as session:
        version_id = add_version(session)
    for _ in range(5):
        batch_id = add_batch(database, 60)
        errors: list[Exception] = []
        begun = threading.Barrier(4)

        def work(owner: str, begun: threading.Barrier = begun, errors: list[Exception] = errors) -> None:
            begun.wait()
            try:
                while True:
                    with database.transaction() as session:
                        items = claim_items(session, owner, 7, 60)
                    if not items:
                        return
                    with database.transaction() as session:
                        finish_items(session, owner, tag_all(session, items[::-1], version_id))
            except Exception as error:  # noqa: BLE001 - shown below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        begun.wait()
        with database.transaction() as session:
            cancel_batch(session, batch_id)
        tagged_photos = photos_tagged_in(database, batch_id)
        for thread in threads:
            thread.join()

        assert errors == []
        assert photos_tagged_in(database, batch_id) == tagged_photos
        with database.transaction() as session:
            states = states_of(session, batch_id)
            assert states.keys() <= {"tagged", "cancelled"}
            assert sum(states.values()) == 60
            tagged = select(Item.photo_id).where(Item.state == "tagged")
            assert set(session.scalars(select(Prediction.photo_id))) == set(session.scalars(tagged))


def photos_tagged_in(database: Database, batch_id: str) -> set[int | None]:
    with database.reading() as session:
        return set(session.scalars(select(Item.photo_id).where(Item.batch_id == batch_id, Item.state == "tagged")))
