"""Deleting while others accept, tag, record features and delete the same photos: nothing fails, nothing is half gone."""

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import exists, func, select

from db.batches import add_items, create_batch, seal_batch
from db.blobs import open_blobs
from db.deleting import begin_deleting, delete_photos, delete_some
from db.errors import DatabaseUnavailableError, NotFoundError
from db.features import record_shard, store_shard
from db.items import claim_items, finish_items
from db.schema import Batch, Garbage, Item, Photo, PhotoFeatures, Prediction
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from tests.store import add_batch, add_version, new_items, run_together, sha256_of, tag_all

PHOTOS = 12
SPACE = "a" * 64


def test_a_photo_that_is_accepted_while_it_is_deleted_is_accepted(postgres_database: Database) -> None:
    """Accepting finds its row, waits for the deletion, and makes it again."""
    add_batch(postgres_database, [1])
    deleted = threading.Event()

    def accept() -> None:
        deleted.wait()
        add_batch(postgres_database, [1, 2])

    thread = threading.Thread(target=accept)
    thread.start()
    with postgres_database.transaction() as session:
        old_id = session.scalars(select(Photo.id)).one()
        assert delete_photos(session, local_admin(session), [old_id]).photos == 1
        deleted.set()
        time.sleep(0.5)
    thread.join()

    with postgres_database.reading() as session:
        assert set(session.scalars(select(Photo.sha256))) == {sha256_of(1), sha256_of(2)}
        assert old_id not in session.scalars(select(Photo.id)).all()


def test_a_photo_that_is_deleted_while_it_is_accepted_stays(postgres_database: Database) -> None:
    """The deletion waits for the other batch's item, and sees it."""
    add_batch(postgres_database, [1])
    accepted = threading.Event()
    kept: list[int] = []

    def delete() -> None:
        accepted.wait()
        with postgres_database.transaction() as session:
            (photo_id,) = session.scalars(select(Photo.id)).all()
            kept.append(delete_photos(session, local_admin(session), [photo_id]).kept)

    thread = threading.Thread(target=delete)
    thread.start()
    with postgres_database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=5)
        add_items(session, batch.id, new_items([1]))
        accepted.set()
        time.sleep(0.5)
    thread.join()

    assert kept == [1]
    with postgres_database.reading() as session:
        assert session.scalars(select(Item.batch_id)).all() == [batch.id]


def test_everybody_at_once_on_the_same_photos(database: Database, data_dir: Path) -> None:
    """Two accept, two tag, two delete for some seconds; a seed is printed.

    Three may come to wait for each other in a ring (accepting again what was deleted meanwhile): PostgreSQL then asks one
    of them to try again.
    """
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    with database.transaction() as session:
        version_id = add_version(session)
        local_admin(session)
    blobs = open_blobs(DataSettings(data_dir=data_dir))
    errors: list[Exception] = []
    rings: list[DatabaseUnavailableError] = []
    until = time.monotonic() + 3

    def accept(dice: random.Random) -> None:
        with database.transaction() as session:
            batch = create_batch(session, local_admin(session).id, "b", priority=5)
            add_items(session, batch.id, new_items(sorted(dice.sample(range(PHOTOS), 5))))
            seal_batch(session, batch.id)

    def tag(dice: random.Random) -> None:
        owner = str(dice.random())
        with database.transaction() as session:
            items = claim_items(session, owner, 4, 60)
        if items:
            shard = store_shard(blobs, SPACE, np.ones((len(items), 1, 1, 1), np.float16))
            with database.transaction() as session:
                finish_items(session, owner, tag_all(session, items, version_id))
                record_shard(session, SPACE, shard, [item.photo_id for item in items])

    def remove(dice: random.Random) -> None:
        with database.transaction() as session:
            ids = session.scalars(select(Photo.id)).all()
            delete_photos(session, local_admin(session), dice.sample(ids, min(3, len(ids))))
            batch_ids = session.scalars(select(Batch.id)).all()
        if batch_ids:
            delete_a_batch(database, dice.choice(batch_ids))

    def again(action: Callable[[random.Random], None], number: int) -> None:
        dice = random.Random(seed + number)
        try:
            while time.monotonic() < until:
                rings.extend(asked_to_try_again(partial(action, dice)))
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    run_together(partial(again, action, n) for n, action in enumerate([accept, accept, tag, tag, remove, remove]))

    assert errors == []
    assert len(rings) <= 1, "two that work on the same photos take them in one order"
    with database.reading() as session:
        has_item = exists().where(Item.photo_id == Photo.id)
        assert session.scalars(select(func.count()).select_from(Photo).where(~has_item)).one() == 0
        tagged = select(Item.photo_id).where(Item.state == "tagged")
        assert set(session.scalars(tagged)) <= set(session.scalars(select(Prediction.photo_id)))
        photo_ids = select(Photo.id)
        assert session.scalars(select(PhotoFeatures).where(PhotoFeatures.photo_id.not_in(photo_ids))).all() == []
        assert session.scalars(select(Garbage.key).where(Garbage.kind == "photo")).first() is not None


def asked_to_try_again(action: Callable[[], None]) -> list[DatabaseUnavailableError]:
    """What PostgreSQL said to the one of a ring that it chose."""
    try:
        action()
    except DatabaseUnavailableError as error:
        if "deadlock detected" not in str(error):
            raise
        return [error]
    return []


def delete_a_batch(database: Database, batch_id: str) -> None:
    """As much of it as is there; the other thread may be quicker."""
    try:
        with database.transaction() as session:
            begin_deleting(session, batch_id)
    except NotFoundError:
        return
    more = True
    while more:
        with database.transaction() as session:
            more = delete_some(session, batch_id, limit=2) is not None
