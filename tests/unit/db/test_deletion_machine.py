"""Accept, tag, delete and collect in any order: every photo that is there has its bytes, none that is gone has any."""

import hashlib
import os
from pathlib import Path
from typing import ClassVar

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select, update

from db.batches import NewItem, add_items, create_batch, seal_batch
from db.blobs import Blobs, open_blobs
from db.collecting import collect_garbage
from db.deleting import begin_deleting, delete_photos, delete_some
from db.features import read_features, record_shard, store_shard
from db.garbage import BATCH, queue_bytes_without_photo
from db.items import claim_items, finish_items
from db.orphans import delete_orphan_photos
from db.schema import Batch, FeatureShard, Garbage, Item, Photo
from db.session import Database, utc_now
from db.settings import DataSettings
from db.users import local_admin
from tests.store import add_version, tag_all, without_disk_syncs

SPACE = "a" * 64
NUMBERS = st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True)
GRACE_S = 1000.0
INDEX = st.integers(0, 5)


class DeletionMachine(RuleBasedStateMachine):
    """Set `database`, `blobs` and `data_dir` in a subclass."""

    database: ClassVar[Database]
    blobs: ClassVar[Blobs]
    data_dir: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.put: list[int] = []
        self.without_rows: set[str] = set()  # put, and no row since
        with self.database.transaction() as session:
            for table in (Item, Photo, Batch, FeatureShard, Garbage):
                session.execute(delete(table))
            self.version_id = add_version(session)
            self.admin = local_admin(session)
        for path in self._files():
            path.unlink()

    @rule(numbers=NUMBERS)
    def put_bytes(self, numbers: list[int]) -> None:
        """The first half of accepting. What was put before and has no rows yet was given up."""
        for number in numbers:
            self.without_rows.add(self.blobs.add_bytes(content(number)))
        self.put = numbers

    @rule()
    def add_rows(self) -> None:
        """The second half; anything may have happened in between, but not for as long as the grace is."""
        if not self.put:
            return
        items = [NewItem(number, f"{number}.jpg", hash_of(number), 1) for number in self.put]
        with self.database.transaction() as session:
            batch = create_batch(session, self.admin.id, "b", priority=5)
            add_items(session, batch.id, items)
            seal_batch(session, batch.id)
        self.without_rows.difference_update(map(hash_of, self.put))
        self.put = []

    @rule(delete_first=st.booleans(), index=INDEX)
    def tag(self, index: int, *, delete_first: bool) -> None:
        """A worker writes previews and features, then its results; a photo may have been deleted before that."""
        with self.database.transaction() as session:
            items = claim_items(session, "w", 3, 60)
        for item in items:
            self.blobs.write_preview(item.sha256, 320, b"webp")
        if delete_first and items:
            self._delete_photo(items[index % len(items)].photo_id)
        if not items:
            return
        ids = [item.photo_id for item in items]
        shard = store_shard(self.blobs, SPACE, np.array([[[[item]]] for item in ids], np.float16))
        with self.database.transaction() as session:
            if len(finish_items(session, "w", tag_all(session, items, self.version_id))) < len(items):
                queue_bytes_without_photo(session, [item.sha256 for item in items])
            record_shard(session, SPACE, shard, ids)

    @rule(index=INDEX, groups=st.integers(0, 3))
    def delete_a_batch(self, index: int, groups: int) -> None:
        """It may be interrupted; then the janitor goes on."""
        with self.database.transaction() as session:
            going = select(Garbage.key).where(Garbage.kind == BATCH)
            ids = session.scalars(select(Batch.id).where(Batch.id.not_in(going)).order_by(Batch.id)).all()
            if ids:
                begin_deleting(session, ids[index % len(ids)])
        for _ in range(groups if ids else 0):
            with self.database.transaction() as session:
                delete_some(session, ids[index % len(ids)], limit=1)

    @rule(index=INDEX)
    def delete_a_photo(self, index: int) -> None:
        """Out of all batches."""
        with self.database.reading() as session:
            ids = session.scalars(select(Photo.id).order_by(Photo.id)).all()
        if ids:
            self._delete_photo(ids[index % len(ids)])

    @rule()
    def collect(self) -> None:
        """What is due."""
        collect_garbage(self.database, self.blobs, grace_s=GRACE_S)

    @rule()
    def wait(self) -> None:
        """The grace passes: whoever put bytes and wrote no rows in all that time has given up."""
        self.put = []
        for path in self._files():
            os.utime(path, (1_000_000_000, 1_000_000_000))
        with self.database.transaction() as session:
            session.execute(update(Garbage).values(queued_at=utc_now().replace(year=2001)))

    @invariant()
    def what_is_there_has_its_bytes(self) -> None:
        """Always, and features that are found are the photo's own."""
        with self.database.reading() as session:
            photos = {row.id: row.sha256 for row in session.execute(select(Photo.id, Photo.sha256))}
            found = read_features(session, self.blobs, SPACE, list(photos))
        for sha256 in photos.values():
            assert hashlib.sha256(self.blobs.read(sha256)).hexdigest() == sha256
        assert all(row.item() == np.float16(photo_id) for photo_id, row in found.items())

    def teardown(self) -> None:
        """In the end nothing is left of what has no row, once everything that was begun is done."""
        with self.database.transaction() as session:
            for batch_id in session.scalars(select(Garbage.key).where(Garbage.kind == BATCH)).all():
                while delete_some(session, batch_id):
                    pass
        delete_orphan_photos(self.database, older_than_s=0)
        self.wait()
        collect_garbage(self.database, self.blobs, grace_s=GRACE_S)
        with self.database.reading() as session:
            assert session.scalars(select(Garbage.key)).all() == []
            here = set(session.scalars(select(Photo.sha256)))
            keys = set(session.scalars(select(FeatureShard.key)))
        for path in self._files():
            name = str(path.relative_to(self.data_dir))
            # blobs of an upload that was given up are found by the look for orphans; all else belongs to a photo
            allowed = here | self.without_rows if name.startswith("blobs/") else here
            assert name in keys or any(sha256 in name for sha256 in allowed), f"{name} is left"
        self.what_is_there_has_its_bytes()

    def _delete_photo(self, photo_id: int) -> None:
        with self.database.transaction() as session:
            delete_photos(session, self.admin, [photo_id])

    def _files(self) -> list[Path]:
        tops = ("blobs", "previews", "features")
        return [path for top in tops for path in (self.data_dir / top).rglob("*") if path.is_file()]


def test_what_is_deleted_goes_and_nothing_else(sqlite_database: Database, data_dir: Path) -> None:
    """Sequences of up to thirty steps, on SQLite; PostgreSQL is tested case by case."""

    class Machine(DeletionMachine):
        database = without_disk_syncs(sqlite_database)
        blobs = open_blobs(DataSettings(data_dir=data_dir))

    Machine.data_dir = data_dir
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=(HealthCheck.too_slow,),
            database=None,
        ),
    )


def content(number: int) -> bytes:
    return f"photo {number}".encode()


def hash_of(number: int) -> str:
    return hashlib.sha256(content(number)).hexdigest()
