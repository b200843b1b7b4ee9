"""Re-tags by workers: from features, from pixels where those are gone, and activations while a batch runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.activations import activate_version, roll_back
from db.deleting import delete_photos
from db.model_versions import get_version
from db.retag_showing import apply_some, restore_some
from db.retags import start_retag
from db.schema import ActiveVersion, FeatureShard, Item, ModelVersion, Photo, PhotoFeatures, Prediction, Worker
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from tests.integration.accepting import accept, states
from tests.integration.bench import CHUNK, Bench, activate_copy
from tests.integration.processes import ended, start_worker, wait_until
from tests.review_rows import shown_of
from tests.samples import photo_folder
from tests.tinted import tinted_photo
from worker.first_version import ensure_versions
from worker.settings import WorkerSettings

PHOTOS = 9


@pytest.fixture
def bench(sqlite_database: Database, data_dir: Path) -> Iterator[Bench]:
    """A tagger on SQLite."""
    bench = Bench(sqlite_database, data_dir)
    yield bench
    bench.close()


def test_a_retag_reads_features_and_what_it_says_is_shown_when_it_is_applied(bench: Bench, tmp_path: Path) -> None:
    """The photos' files are gone. A roll back shows what was shown before, bit for bit."""
    second, ids = _second_version(bench, tmp_path)
    for path in (tmp_path / "photos").rglob("*.jpg"):
        path.unlink()
    with bench.database.reading() as session:
        before = shown_of(session, ids)
    batch_id = _start(bench)

    bench.tag()

    assert states(bench.database, batch_id) == {"tagged": PHOTOS}
    with bench.database.reading() as session:
        assert shown_of(session, ids) == before
        assert _said(session, second) == PHOTOS
    assert apply_some(bench.database, second).done == PHOTOS
    with bench.database.transaction() as session:
        assert {row["shown_model_version_id"] for row in shown_of(session, ids).values()} == {second}
        roll_back(session, None)
    assert restore_some(bench.database).done == PHOTOS
    with bench.database.reading() as session:
        assert shown_of(session, ids) == before


def test_photos_whose_features_are_gone_are_decoded_once_more(bench: Bench, tmp_path: Path) -> None:
    """From where they lie; those whose file is gone as well fail with the reason, and stay tagged."""
    second, ids = _second_version(bench, tmp_path)
    lost = max((tmp_path / "photos").rglob("*.jpg"))
    with bench.database.transaction() as session:
        of_lost = select(PhotoFeatures.shard_id).join(Item, Item.photo_id == PhotoFeatures.photo_id)
        its_shard = FeatureShard.id.in_(of_lost.where(Item.source_path == str(lost)))
        kept = session.scalars(select(FeatureShard.key).where(~its_shard)).first()
        keys = session.scalars(select(FeatureShard.key)).all()
        session.execute(delete(PhotoFeatures).where(PhotoFeatures.photo_id == ids[0]))
    assert kept
    for key in set(keys) - {kept}:
        (bench.data_settings.data_dir / key).unlink()
    lost.unlink()
    batch_id = _start(bench)

    bench.tag()

    assert states(bench.database, batch_id) == {"tagged": PHOTOS - 1, "failed": 1}
    with bench.database.reading() as session:
        assert session.scalars(select(Item.code).where(Item.state == "failed")).one() == "SOURCE_GONE"
        assert set(session.scalars(select(Photo.state))) == {"tagged"}
        assert _said(session, second) == PHOTOS - 1


def test_photos_with_features_are_claimed_and_written_in_groups(bench: Bench, tmp_path: Path) -> None:
    """As soon as a claim has found nothing to decode."""
    _second_version(bench, tmp_path, photos=30)
    batch_id = _start(bench)

    bench.tag()

    assert [size for size, _ in _written_together(bench, batch_id)] == [2 * CHUNK, 30 - 2 * CHUNK]


def test_photos_that_must_be_decoded_are_given_back_from_a_group(bench: Bench, tmp_path: Path) -> None:
    """But for as many as are decoded ahead, so that another worker can take them; they are no suspects."""
    _, ids = _second_version(bench, tmp_path, photos=30)
    with bench.database.transaction() as session:
        session.execute(delete(PhotoFeatures).where(PhotoFeatures.photo_id.in_(ids[10:])))
    batch_id = _start(bench)

    bench.tag()

    sizes = _written_together(bench, batch_id)
    assert sizes[:2] == [(2 * CHUNK, 1), (2, 1)]
    assert max(size for size, _ in sizes[2:]) <= CHUNK
    with bench.database.reading() as session:
        mine = Item.batch_id == batch_id, Item.state == "tagged", ~Item.suspect
        counted = select(Item.attempt, func.count()).where(*mine).group_by(Item.attempt)
        assert {row[0]: row[1] for row in session.execute(counted)} == {1: 10 + 2 * CHUNK, 2: 20 - 2 * CHUNK}


def test_photos_deleted_since_the_retag_began_end_with_that_reason(bench: Bench, tmp_path: Path) -> None:
    """The batch finishes; nothing else is left of them."""
    _, ids = _second_version(bench, tmp_path)
    batch_id = _start(bench)
    with bench.database.transaction() as session:
        delete_photos(session, local_admin(session), ids[:3])

    bench.tag()

    assert states(bench.database, batch_id) == {"refused": 3, "tagged": PHOTOS - 3}
    with bench.database.reading() as session:
        codes = session.scalars(select(Item.code).where(Item.state == "refused")).all()
        assert set(codes) == {"PHOTO_DELETED"}


def test_what_was_claimed_for_the_old_version_is_tagged_by_the_new_one(bench: Bench, tmp_path: Path) -> None:
    """It comes back when the active version changes: what its features are read by is no longer loaded."""
    first_id = _active_id(bench)
    batch_id = accept(bench.database, photo_folder(tmp_path / "photos", 5 * CHUNK))
    bench.tag_some(batch_id)
    assert bench.tagger.has_waiting
    second = activate_copy(bench.database, bench.data_settings.data_dir, "tiny-2")
    with bench.database.reading() as session:
        by_first = session.scalars(select(func.count()).where(Item.model_version_id == first_id)).one()

    bench.tag()

    with bench.database.reading() as session:
        counted = select(Item.model_version_id, func.count()).group_by(Item.model_version_id)
        assert {row[0]: row[1] for row in session.execute(counted)} == {
            first_id: by_first,
            second: 5 * CHUNK - by_first,
        }


def test_a_worker_that_cannot_load_the_active_version_leaves_its_retag_alone(bench: Bench, tmp_path: Path) -> None:
    """It goes on with what people send, by the version it has."""
    _second_version(bench, tmp_path)
    _damage_heads(bench.data_settings.data_dir)
    batch_id = _start(bench)
    sent = accept(bench.database, photo_folder(tmp_path / "more", 2))

    bench.tag()

    assert states(bench.database, batch_id) == {"ready": PHOTOS}
    assert states(bench.database, sent) == {"tagged": 2}
    assert not bench.active.is_current


@pytest.mark.timeout(500)
def test_an_activation_while_a_batch_runs_changes_chunks_and_mixes_none(
    database: Database, data_dir: Path, tmp_path: Path
) -> None:
    """A real worker: chunks before are the old version's, chunks after the new one's, and it never restarts."""
    settings = WorkerSettings(backbone="tiny")
    ensure_versions(database, settings, DataSettings(data_dir=data_dir), lambda _received, _total: None)
    with database.transaction() as session:
        old = get_version(session, "tiny").id
    new = activate_copy(database, data_dir, "tiny-2")
    with database.transaction() as session:
        activate_version(session, old, expected_id=new, user=None, reason="test")
    count = 400
    batch_id = accept(database, photo_folder(tmp_path / "photos", count))
    worker = start_worker(data_dir, database.url, None, PHOTOTAG_CHUNK_SIZE="8")
    with ended(worker):
        wait_until(lambda: states(database, batch_id).get("tagged", 0) >= 16, 120, "some photos are tagged")
        with database.transaction() as session:
            activate_version(session, new, expected_id=old, user=None, reason="test")
        wait_until(lambda: states(database, batch_id) == {"tagged": count}, 240, "all photos are tagged")

    with database.reading() as session:
        items = session.execute(select(Item.photo_id, Item.model_version_id, Item.finished_at)).all()
        said = session.execute(select(Prediction.photo_id, Prediction.model_version_id).distinct()).all()
    by_old, by_new = ([item for item in items if item.model_version_id == version] for version in (old, new))
    assert by_old
    assert by_new
    assert max(item.finished_at for item in by_old) <= min(item.finished_at for item in by_new)
    assert {tuple(row) for row in said} == {(item.photo_id, item.model_version_id) for item in items}


@pytest.mark.timeout(500)
def test_a_worker_keeps_its_version_when_the_new_one_is_damaged_and_follows_the_next(
    sqlite_database: Database, data_dir: Path, tmp_path: Path
) -> None:
    """A real worker, never restarted: it goes on tagging, tells people why, and takes the next version with the next photo."""
    ensure_versions(
        sqlite_database,
        WorkerSettings(backbone="tiny"),
        DataSettings(data_dir=data_dir),
        lambda _received, _total: None,
    )
    worker = start_worker(data_dir, sqlite_database.url, None)
    with ended(worker):
        assert _version_that_tags(sqlite_database, tmp_path, 0) == "tiny"
        activate_copy(sqlite_database, data_dir, "damaged")
        _damage_heads(data_dir)

        assert _version_that_tags(sqlite_database, tmp_path, 1) == "tiny"
        wait_until(lambda: "damaged does not load" in _note(sqlite_database), 60, "the worker says why")
        activate_copy(sqlite_database, data_dir, "whole")
        assert _version_that_tags(sqlite_database, tmp_path, 2) == "whole"
        wait_until(lambda: _note(sqlite_database) == "", 60, "the worker has nothing to say any more")
        assert worker.poll() is None


def _version_that_tags(database: Database, tmp_path: Path, number: int) -> str:
    """Sends a photo that is like no other; the name of the version that has tagged it."""
    path = tmp_path / f"{number}.jpg"
    path.write_bytes(tinted_photo(number, (200, 40, 40)))
    batch_id = accept(database, [path])
    wait_until(lambda: states(database, batch_id) == {"tagged": 1}, 120, "the photo is tagged")
    said = select(ModelVersion.name).join(Item, Item.model_version_id == ModelVersion.id)
    with database.reading() as session:
        return session.scalars(said.where(Item.batch_id == batch_id)).one()


def _damage_heads(data_dir: Path) -> None:
    for head in (data_dir / "models").rglob("head.safetensors"):
        head.chmod(0o600)
        head.write_bytes(b"not the head")


def _note(database: Database) -> str:
    """What the worker wants a person to know."""
    with database.reading() as session:
        return session.scalars(select(Worker.note)).one()


def _second_version(bench: Bench, tmp_path: Path, photos: int = PHOTOS) -> tuple[int, list[int]]:
    """Tags photos by tiny and activates another version; returns its id, and those of the photos."""
    accept(bench.database, photo_folder(tmp_path / "photos", photos))
    bench.tag()
    second = activate_copy(bench.database, bench.data_settings.data_dir, "tiny-2")
    with bench.database.reading() as session:
        return second, list(session.scalars(select(Photo.id).order_by(Photo.id)))


def _start(bench: Bench) -> str:
    with bench.database.transaction() as session:
        return start_retag(session, local_admin(session)).id


def _written_together(bench: Bench, batch_id: str) -> list[tuple[int, int]]:
    """Of each transaction that ended items of the batch, in their order: how many, and their lowest attempt."""
    groups = select(func.count(), func.min(Item.attempt)).where(Item.batch_id == batch_id).group_by(Item.finished_at)
    with bench.database.reading() as session:
        return [(row[0], row[1]) for row in session.execute(groups.order_by(Item.finished_at))]


def _said(session: Session, version_id: int) -> int:
    said = Prediction.model_version_id == version_id, Prediction.rank == 1
    return session.scalars(select(func.count()).select_from(Prediction).where(*said)).one()


def _active_id(bench: Bench) -> int:
    with bench.database.reading() as session:
        return session.scalars(select(ActiveVersion.model_version_id)).one()
