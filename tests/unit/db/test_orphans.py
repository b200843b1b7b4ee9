"""What nobody deleted is found: by the janitor, which also goes on with what others began."""

import hashlib
import os
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from db.archives import claim_archive, refuse_archive
from db.batches import NewItem, add_archive, add_items, create_batch
from db.blobs import Blobs, open_blobs
from db.deleting import begin_deleting, delete_some
from db.garbage import TURN
from db.janitor import ABANDONED_S, Janitor
from db.model_versions import register_version
from db.orphans import (
    delete_orphan_bytes,
    delete_orphan_photos,
    remove_orphan_artifacts,
    remove_stale_staging,
)
from db.schema import Batch, FeatureShard, Garbage, Item, Photo
from db.session import Database, utc_now
from db.settings import DataSettings
from db.users import local_admin
from tests.store import add_batch

LONG_AGO = 1_000_000_000


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


def test_photos_of_an_archive_that_was_refused_go_after_a_while(database: Database) -> None:
    """It took back its items; photos that another batch has stay, as do young ones."""
    add_batch(database, [0])
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=5, state="unpacking")
        add_archive(session, batch.id, 1, "a.zip", source_path="/photos/a.zip")
        claimed = claim_archive(session, "w", 60)
        assert claimed is not None
        add_items(
            session, batch.id, [NewItem(n, "a.jpg", hash_of(f"{n}".encode()), 1, archive_number=1) for n in (0, 1)]
        )
        refuse_archive(session, claimed.id, claimed.attempt, "w", "ARCHIVE_BROKEN")

    assert delete_orphan_photos(database) == 0
    assert delete_orphan_photos(database, older_than_s=0) == 1

    with database.reading() as session:
        assert session.scalars(select(Photo.sha256)).all() == [hash_of(b"0")]


def test_bytes_that_no_row_refers_to_go_when_they_are_old(database: Database, blobs: Blobs, data_dir: Path) -> None:
    """Blobs, previews, shards, and halves of what was being written; nothing of a photo or a waiting archive."""
    for content in (b"0", b"archive", b"orphan"):
        blobs.add_bytes(content)
        blobs.write_preview(hash_of(content), 320, b"webp")
    for name in ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"):
        blobs.write_object(f"features/aaaa/{name}.safetensors", b"x")
    blobs.write_object("variants/aaaa/33333333-3333-3333-3333-333333333333.safetensors", b"x")
    torn = data_dir / "previews" / "320" / "aa" / f".{hash_of(b'0')}.webp.{'a' * 32}"
    strange = data_dir / "blobs" / "README.txt"
    for path in (torn, strange):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=5)
        add_items(session, batch.id, [NewItem(0, "0.jpg", hash_of(b"0"), 1)])
        add_archive(session, batch.id, 1, "a.zip", sha256=hash_of(b"archive"))
        key = "features/aaaa/11111111-1111-1111-1111-111111111111.safetensors"
        session.add(FeatureShard(space="a" * 64, key=key, rows=1, created_at=utc_now()))
    before = files_of(data_dir)

    assert delete_orphan_bytes(database, blobs) == 0
    for path in before:
        os.utime(path, (LONG_AGO, LONG_AGO))
    blobs.write_preview(hash_of(b"young orphan"), 320, b"webp")
    assert delete_orphan_bytes(database, blobs) == 5

    gone = before - files_of(data_dir)
    assert {path.name for path in gone} == {
        hash_of(b"orphan"),
        f"{hash_of(b'orphan')}.webp",
        "22222222-2222-2222-2222-222222222222.safetensors",
        "33333333-3333-3333-3333-333333333333.safetensors",
        torn.name,
    }


def test_staging_that_nobody_touches_goes_but_for_uploads(tmp_path: Path) -> None:
    """Uploads are resumed, and have their own rule."""
    for name in ("archive-1-1/0", "archive-2-1/0", "copied", "uploads/batch/1.part"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for name in ("archive-1-1", "copied", "uploads"):
        os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))

    assert remove_stale_staging(tmp_path) == 2
    assert remove_stale_staging(tmp_path / "none") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"archive-2-1", "uploads"}


def test_files_of_a_version_that_no_row_names_go_after_a_while(database: Database, tmp_path: Path) -> None:
    """Those that a version has stay, young ones too; so does what a person keeps there."""
    models = tmp_path / "models"
    known, orphan, young = (hash_of(name) for name in (b"known", b"orphan", b"young"))
    for name in (known, orphan, young, "new-abc", "vgg16.h5"):
        (models / name).mkdir(parents=True)
        (models / name / "card.json").write_bytes(b"{}")
    for name in (known, orphan, "new-abc", "vgg16.h5"):
        os.utime(models / name, (LONG_AGO, LONG_AGO))
    with database.transaction() as session:
        register_version(session, "head-1", "trained", known, {}, [])

    assert remove_orphan_artifacts(database, models) == 2
    assert remove_orphan_artifacts(database, models / "none") == 0
    assert {path.name for path in models.iterdir()} == {known, young, "vgg16.h5"}


def test_the_janitor_ends_what_a_killed_process_began(database: Database, blobs: Blobs, data_dir: Path) -> None:
    """A deletion that nobody goes on with; one that somebody is at is left to them."""
    batch_id, other_id = add_batch(database, 3), add_batch(database, [7, 8, 9])
    with database.transaction() as session:
        for going in (batch_id, other_id):
            begin_deleting(session, going)
            delete_some(session, going, limit=1)
        entry = session.scalars(select(Garbage).where(Garbage.key == batch_id)).one()
        entry.queued_at = entry.queued_at.replace(year=2001)

    Janitor(database, blobs, data_dir / "staging", lambda: False)()

    assert ABANDONED_S > 1
    with database.reading() as session:
        assert session.scalars(select(Batch.id)).all() == [other_id]
        assert set(session.scalars(select(Item.batch_id))) == {other_id}


def test_janitors_of_several_processes_take_turns(database: Database, blobs: Blobs, data_dir: Path) -> None:
    """The second one finds nothing to do, and one that is asked to stop does nothing."""
    orphan = blobs.add_bytes(b"orphan")
    os.utime(data_dir / "blobs" / orphan[:2] / orphan, (LONG_AGO, LONG_AGO))

    Janitor(database, blobs, data_dir / "staging", lambda: True)()
    stopped = blobs.has(orphan)
    Janitor(database, blobs, data_dir / "staging", lambda: False)()
    first = blobs.has(orphan)
    blobs.add_bytes(b"orphan")
    os.utime(data_dir / "blobs" / orphan[:2] / orphan, (LONG_AGO, LONG_AGO))
    Janitor(database, blobs, data_dir / "staging", lambda: False)()
    second = blobs.has(orphan)
    with database.transaction() as session:
        session.execute(delete(Garbage).where(Garbage.kind == TURN))
    Janitor(database, blobs, data_dir / "staging", lambda: False)()

    assert (stopped, first, second, blobs.has(orphan)) == (True, False, True, False)


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_of(data_dir: Path) -> set[Path]:
    tops = ("blobs", "previews", "features", "variants")
    return {path for top in tops for path in (data_dir / top).rglob("*") if path.is_file()}
