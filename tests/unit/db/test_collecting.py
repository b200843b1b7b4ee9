"""The bytes of what was deleted go, and no others: not those of a photo that came again meanwhile."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.batches import NewItem, add_archive, add_items, create_batch, seal_batch
from db.blobs import Blobs, open_blobs
from db.collecting import collect_garbage
from db.deleting import begin_deleting, delete_batch, delete_photos
from db.errors import BlobMissingError, FeaturesMissingError
from db.feature_codes import Features
from db.features import read_features, read_shard, record_shard, store_shard
from db.garbage import BYTES, SHARD, queue_bytes_without_photo, queue_garbage, take_turn
from db.remote_store import RemoteStore
from db.schema import FeatureShard, Garbage, Photo, PhotoFeatures
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin

SPACE = "a" * 64
LONG_AGO = 1_000_000_000


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


def test_bytes_and_previews_of_a_deleted_photo_go(database: Database, blobs: Blobs, data_dir: Path) -> None:
    """After the grace, and nothing of it stays; a photo that another batch has keeps all of its own."""
    batch_id = accept(database, blobs, [b"one", b"two"])
    accept(database, blobs, [b"two"])
    for content in (b"one", b"two"):
        for size in (320, 1024):
            blobs.write_preview(hash_of(content), size, b"webp")
    delete(database, batch_id)

    early = collect_garbage(database, blobs)
    before = files_of(data_dir)
    late = collect_garbage(database, blobs, grace_s=0)

    assert (early, late) == (0, 1)
    assert len(before) == 6
    assert len(files_of(data_dir)) == 3
    assert all(hash_of(b"two") in name for name in files_of(data_dir))
    assert entries(database) == 0


def test_a_photo_that_comes_again_before_its_row_keeps_its_bytes(
    database: Database, blobs: Blobs, data_dir: Path
) -> None:
    """Its bytes were put, it is not in the database yet, and the collector comes by: they were written just now."""
    batch_id = accept(database, blobs, [b"photo"])
    make_old(data_dir)
    delete(database, batch_id)
    make_entries_old(database)
    put(blobs, b"photo")

    assert collect_garbage(database, blobs, grace_s=60) == 0

    add_rows(database, [b"photo"])
    assert blobs.read(hash_of(b"photo")) == b"photo"
    make_old(data_dir)
    make_entries_old(database)
    assert collect_garbage(database, blobs, grace_s=60) == 1, "the entry is done with: a row refers to the bytes"
    assert blobs.read(hash_of(b"photo")) == b"photo"


def test_bytes_that_stay_for_now_go_once_they_are_old(database: Database, blobs: Blobs, data_dir: Path) -> None:
    """The upload was given up: no row came."""
    delete(database, accept(database, blobs, [b"photo"]))
    make_entries_old(database)
    put(blobs, b"photo")
    collect_garbage(database, blobs, grace_s=60)

    assert collect_garbage(database, blobs, grace_s=60) == 0, "it waits anew"
    make_old(data_dir)
    make_entries_old(database)

    assert collect_garbage(database, blobs, grace_s=60) == 1
    assert files_of(data_dir) == []


def test_an_archive_that_is_still_to_be_unpacked_keeps_its_bytes(database: Database, blobs: Blobs) -> None:
    """The same archive was sent twice, and one batch was deleted; with the second one it goes."""
    sha256 = blobs.add_bytes(b"archive")
    first, second = (archive_batch(database, sha256) for _ in range(2))

    delete(database, first)
    collect_garbage(database, blobs, grace_s=0)
    kept = blobs.has(sha256)
    delete(database, second)
    collect_garbage(database, blobs, grace_s=0)

    assert kept
    assert not blobs.has(sha256)


def test_killed_between_any_two_steps_it_does_the_rest_next_time(
    database: Database, blobs: Blobs, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the rows, after the blob, after the previews: the entry stays until all bytes are gone."""
    delete(database, accept(database, blobs, [b"photo"]))
    blobs.write_preview(hash_of(b"photo"), 320, b"webp")
    blobs.write_preview(hash_of(b"photo"), 1024, b"webp")
    unlink, left = Path.unlink, []

    def dying(path: Path, *, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        left.append(len(files_of(data_dir)))
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", dying)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            collect_garbage(database, blobs, grace_s=0)
        assert entries(database) == 1
    monkeypatch.undo()

    assert left == [2, 1, 0]
    assert collect_garbage(database, blobs, grace_s=0) == 1
    assert entries(database) == 0


def test_features_of_a_deleted_photo_are_erased_and_others_stay(database: Database, blobs: Blobs) -> None:
    """In place; the shard goes with its last photo."""
    accept(database, blobs, [b"one", b"two", b"three"])
    array = features(3)
    with database.transaction() as session:
        ids = photo_ids(session)
        shard = store_shard(blobs, SPACE, array)
        record_shard(session, SPACE, shard, ids)
        delete_photos(session, local_admin(session), [ids[1]])

    collect_garbage(database, blobs, grace_s=0)

    assert np.isnan(read_shard(blobs, shard)[1]).all()
    with database.transaction() as session:
        found = read_features(session, blobs, SPACE, ids)
        assert found.keys() == {ids[0], ids[2]}
        np.testing.assert_array_equal(found[ids[0]], array[0])
        np.testing.assert_array_equal(found[ids[2]], array[2])
        delete_photos(session, local_admin(session), ids)
    collect_garbage(database, blobs, grace_s=0)
    with pytest.raises(FeaturesMissingError):
        read_shard(blobs, shard)
    with database.reading() as session:
        assert session.scalars(select(func.count()).select_from(FeatureShard)).one() == 0


def test_a_row_erased_while_someone_reads_counts_as_none(database: Database, blobs: Blobs) -> None:
    """Whoever asked for the address before the photo was deleted gets no row of NaN."""
    accept(database, blobs, [b"one", b"two"])
    array = features(2)
    array[0] = np.nan
    with database.transaction() as session:
        ids = photo_ids(session)
        record_shard(session, SPACE, store_shard(blobs, SPACE, array), ids)

        assert read_features(session, blobs, SPACE, ids).keys() == {ids[1]}


def test_a_chunk_with_a_deleted_photo_is_recorded_without_it(database: Database, blobs: Blobs) -> None:
    """What the worker had computed of it is erased; its neighbours' features count."""
    accept(database, blobs, [b"one", b"two"])
    with database.transaction() as session:
        ids = photo_ids(session)
        delete_photos(session, local_admin(session), ids[:1])
    shard = store_shard(blobs, SPACE, features(2))
    with database.transaction() as session:
        record_shard(session, SPACE, shard, ids)

    collect_garbage(database, blobs, grace_s=0)

    assert [bool(np.isnan(row).all()) for row in read_shard(blobs, shard)] == [True, False]
    with database.reading() as session:
        assert session.scalars(select(PhotoFeatures.photo_id)).all() == [ids[1]]


def test_a_damaged_shard_stops_nothing(database: Database, blobs: Blobs, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and the entry is done with."""
    accept(database, blobs, [b"one"])
    with database.transaction() as session:
        shard = store_shard(blobs, SPACE, features(1))
        record_shard(session, SPACE, shard, photo_ids(session))
        queue_garbage(session, SHARD, [shard.key, "features/aa/none.safetensors"])
    blobs.write_object(shard.key, b"?")

    assert collect_garbage(database, blobs, grace_s=0) == 2
    assert shard.key in caplog.text


def test_what_a_worker_wrote_of_photos_that_are_gone_is_queued(database: Database, blobs: Blobs) -> None:
    """Previews come before the transaction that finds the items gone; those of photos that exist stay."""
    accept(database, blobs, [b"here"])
    for content in (b"here", b"gone"):
        blobs.write_preview(hash_of(content), 320, b"webp")
    with database.transaction() as session:
        queue_bytes_without_photo(session, [hash_of(b"here"), hash_of(b"gone")])

    collect_garbage(database, blobs, grace_s=0)

    assert blobs.read_preview(hash_of(b"here"), 320) == b"webp"
    with pytest.raises(BlobMissingError):
        blobs.read_preview(hash_of(b"gone"), 320)


def test_an_object_store_keeps_what_was_put_again(database: Database, tmp_path: Path) -> None:
    """By the time of its last write, which a repeat renews."""
    blobs = Blobs(RemoteStore("memory:///"), tmp_path)
    delete(database, accept(database, blobs, [b"photo"]))
    time.sleep(0.3)
    make_entries_old(database)
    put(blobs, b"photo")

    assert collect_garbage(database, blobs, grace_s=0.25) == 0
    time.sleep(0.3)
    make_entries_old(database)
    assert collect_garbage(database, blobs, grace_s=0.25) == 1
    assert not blobs.has(hash_of(b"photo"))


def test_of_many_processes_one_takes_the_turn(database: Database) -> None:
    """Once in that time, for each thing that is to be done; a turn is no garbage."""
    with database.transaction() as session:
        taken = [take_turn(session, "orphans", 60), take_turn(session, "orphans", 60), take_turn(session, "other", 60)]

        assert taken == [True, False, True]
        assert take_turn(session, "orphans", 0)
    assert entries(database) == 0


def accept(database: Database, blobs: Blobs, contents: list[bytes]) -> str:
    """A batch of photos, as pages and command line accept them: bytes first, then rows."""
    for content in contents:
        put(blobs, content)
    return add_rows(database, contents)


def put(blobs: Blobs, content: bytes) -> None:
    blobs.add_bytes(content)


def add_rows(database: Database, contents: list[bytes]) -> str:
    items = [NewItem(n, f"{n}.jpg", hash_of(content), len(content)) for n, content in enumerate(contents)]
    with database.transaction() as session:
        batch_id = create_batch(session, local_admin(session).id, "b", priority=5).id
        add_items(session, batch_id, items)
        seal_batch(session, batch_id)
    return batch_id


def archive_batch(database: Database, sha256: str) -> str:
    with database.transaction() as session:
        batch_id = create_batch(session, local_admin(session).id, "b", priority=5).id
        add_archive(session, batch_id, 1, "a.zip", sha256=sha256)
    return batch_id


def delete(database: Database, batch_id: str) -> None:
    with database.transaction() as session:
        begin_deleting(session, batch_id)
    delete_batch(database, batch_id)


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def photo_ids(session: Session) -> list[int]:
    return list(session.scalars(select(Photo.id).order_by(Photo.id)))


def features(count: int) -> Features:
    return np.random.default_rng(count).standard_normal((count, 7, 7, 8)).astype(np.float16)


def files_of(data_dir: Path) -> list[str]:
    """All files of the blob store."""
    tops = ("blobs", "previews", "features")
    return [str(path) for top in tops for path in (data_dir / top).rglob("*") if path.is_file()]


def make_old(data_dir: Path) -> None:
    """As if all bytes had been written long ago."""
    for path in files_of(data_dir):
        os.utime(path, (LONG_AGO, LONG_AGO))


def make_entries_old(database: Database) -> None:
    """As if all had been queued long ago."""
    with database.transaction() as session:
        for entry in session.scalars(select(Garbage)):
            entry.queued_at = entry.queued_at.replace(year=2001)


def entries(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(Garbage).where(Garbage.kind.in_(BYTES))).one()
