"""Unpacking: every entry becomes an item, once, whatever happens to the worker in between."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db.archives import claim_archive, sweep_archives
from db.batches import NewItem, add_archive, add_items, cancel_batch, create_batch, seal_batch
from db.blobs import Blobs, open_blobs
from db.schema import Archive, Batch, Item, Photo
from db.session import Database
from db.settings import DataSettings
from db.uploads import open_upload
from db.users import local_admin
from tests.hostile_archives import overlapping, tar_members, without_end
from tests.samples import numbered_photo, tar_of, zip_of
from worker.intake import unpack_archive
from worker.limits import Limits
from worker.settings import WorkerSettings

PHOTOS = {f"album/{n:03}.jpg": numbered_photo(n) for n in range(10)}


class Intake:
    """A data directory, a batch, and workers that unpack its archives."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self.database = database
        self.data_settings = DataSettings(data_dir=data_dir)
        self.blobs: Blobs = open_blobs(self.data_settings)
        self.settings = WorkerSettings(limits=Limits(max_photo_bytes=1024**2))
        with database.transaction() as session:
            self.batch_id = create_batch(session, local_admin(session).id, "photos", priority=5).id

    def add(self, data: bytes, number: int = 1) -> str:
        """An archive as an upload leaves it; returns its hash."""
        sha256 = self.blobs.add_bytes(data)
        with self.database.transaction() as session:
            add_archive(session, self.batch_id, number, f"{number}.zip", sha256=sha256)
        return sha256

    def add_in_place(self, path: Path) -> None:
        """An archive that is named on the command line."""
        with self.database.transaction() as session:
            add_archive(session, self.batch_id, 1, path.name, source_path=str(path))

    def seal(self) -> None:
        with self.database.transaction() as session:
            seal_batch(session, self.batch_id)

    def unpack(
        self,
        worker: str = "worker-1",
        on_group: Callable[[], None] = lambda: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> bool:
        return unpack_archive(
            self.database, self.blobs, self.data_settings, self.settings, worker, on_group=on_group, stopping=stopping
        )

    def items(self) -> list[Item]:
        with self.database.reading() as session:
            return list(session.scalars(select(Item).order_by(Item.archive_number, Item.position)))

    def codes(self) -> dict[str, int]:
        return Counter(item.code or item.state for item in self.items())

    def archive(self) -> tuple[str, str | None]:
        with self.database.reading() as session:
            archive = session.scalars(select(Archive)).one()
            return archive.state, archive.code

    def batch_state(self) -> str:
        with self.database.reading() as session:
            return session.scalars(select(Batch.state).where(Batch.id == self.batch_id)).one()

    def staged(self) -> list[Path]:
        return list(self.data_settings.staging_dir.glob("**/*"))


@pytest.fixture
def intake(database: Database, data_dir: Path) -> Intake:
    return Intake(database, data_dir)


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three items to a group, so that ten photos are four groups."""
    monkeypatch.setattr("worker.intake.GROUP_ITEMS", 3)


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of ours handles it."""


def killer(after: int) -> Callable[[], None]:
    """Kills the worker after so many groups."""
    groups = iter(range(1, 1000))

    def on_group() -> None:
        if next(groups) == after:
            raise KilledError

    return on_group


@pytest.mark.parametrize("kind", ["zip", "", "gz", "bz2", "xz", "zst"])
def test_every_photo_becomes_an_item(intake: Intake, kind: str) -> None:
    """In order, ready to be tagged, its bytes under its hash; the archive is not kept."""
    sha256 = intake.add(zip_of(PHOTOS) if kind == "zip" else tar_of(PHOTOS, kind))
    intake.seal()

    assert intake.unpack()
    assert not intake.unpack()

    items = intake.items()
    assert [(item.position, item.path, item.archive_number, item.state) for item in items] == [
        (n, path, 1, "ready") for n, path in enumerate(PHOTOS)
    ]
    with intake.database.reading() as session:
        photos = {photo.id: photo for photo in session.scalars(select(Photo))}
    assert [intake.blobs.read(photos[item.photo_id or 0].sha256) for item in items] == list(PHOTOS.values())
    assert [photos[item.photo_id or 0].size_bytes for item in items] == [len(photo) for photo in PHOTOS.values()]
    assert intake.archive() == ("unpacked", None)
    assert intake.batch_state() == "running"
    assert not intake.blobs.has(sha256)
    assert not intake.staged()


def test_bad_entries_are_items_with_a_reason(intake: Intake) -> None:
    """Each by its own code; what is no photo by its first bytes is not stored."""
    photo = PHOTOS["album/000.jpg"]
    intake.add(
        zip_of(
            {
                "a.jpg": photo,
                "again.jpg": photo,
                "notes.txt": b"hello",
                "film.mp4": b"\0\0\0\x18ftypmp42" + bytes(500_000),
                "empty.jpg": b"",
                "large.jpg": photo + bytes(1024**2),
                ".DS_Store": b"x",
            }
        )
    )
    intake.seal()

    intake.unpack()

    assert intake.codes() == {
        "ready": 2, "NOT_AN_IMAGE": 1, "UNSUPPORTED": 1, "EMPTY": 1, "TOO_BIG": 1, "SKIPPED_JUNK": 1,
    }  # fmt: skip
    assert [item.detail for item in intake.items() if item.code == "UNSUPPORTED"] == ["a video"]
    with intake.database.reading() as session:
        assert len(session.scalars(select(Photo.id)).all()) == 1  # the same bytes twice are one photo
    blobs = [path for path in (intake.data_settings.data_dir / "blobs").glob("**/*") if path.is_file()]
    assert len(blobs) == 1


@pytest.mark.usefixtures("small_groups")
def test_tagging_can_start_after_the_first_group(intake: Intake) -> None:
    """Groups are visible, and announced, as they come."""
    intake.add(zip_of(PHOTOS))
    intake.seal()
    seen: list[int] = []

    intake.unpack(on_group=lambda: seen.append(len(intake.items())))

    assert seen == [3, 6, 9, 10]


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_a_killed_worker_is_continued(intake: Intake, after: int, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    """The next one adds what is missing, and nothing twice; not even the bytes are stored again."""
    intake.add(pack(PHOTOS))
    intake.seal()

    with pytest.raises(KilledError):
        intake.unpack(on_group=killer(after))

    assert len(intake.items()) == 3 * after
    assert not intake.unpack("worker-2")  # the lease still holds
    with intake.database.transaction() as session:
        session.execute(update(Archive).values(lease_until=0.0))
        sweep_archives(session)
    stored = {path: path.stat().st_ino for path in (intake.data_settings.data_dir / "blobs").glob("*/*")}
    assert intake.unpack("worker-2")
    assert [item.path for item in intake.items()] == list(PHOTOS)
    assert intake.archive() == ("unpacked", None)
    assert all(path.stat().st_ino == inode for path, inode in stored.items() if path.exists())
    assert not intake.staged()


@pytest.mark.usefixtures("small_groups")
def test_a_worker_that_lost_its_lease_stops(intake: Intake) -> None:
    """Another one has the archive: the first adds nothing more, and ends nothing."""
    intake.add(zip_of(PHOTOS))
    intake.seal()

    def lose_lease() -> None:
        with intake.database.transaction() as session:
            session.execute(update(Archive).values(lease_until=0.0))
            sweep_archives(session)
            claim_archive(session, "worker-2", 60)

    intake.unpack(on_group=lose_lease)

    assert len(intake.items()) == 3
    assert intake.archive() == ("leased", None)


@pytest.mark.usefixtures("small_groups")
def test_a_cancelled_batch_is_not_filled(intake: Intake) -> None:
    """Cancelled after the first group: no other is added."""
    intake.add(zip_of(PHOTOS))
    intake.seal()

    def cancel() -> None:
        with intake.database.transaction() as session:
            cancel_batch(session, intake.batch_id)

    intake.unpack(on_group=cancel)

    assert intake.codes() == {"cancelled": 3}
    assert intake.batch_state() == "cancelled"
    assert not intake.staged()


@pytest.mark.usefixtures("small_groups")
def test_a_stopping_worker_gives_the_archive_back(intake: Intake) -> None:
    """At shutdown: the entry at hand is kept, and another worker may go on at once."""
    intake.add(zip_of(PHOTOS))
    intake.seal()
    entries = iter([False, False, False, True])

    assert not intake.unpack(stopping=lambda: next(entries))

    assert len(intake.items()) == 4
    assert intake.archive() == ("ready", None)
    assert intake.unpack("worker-2")
    assert len(intake.items()) == 10


@pytest.mark.usefixtures("small_groups")
def test_an_archive_that_breaks_off_is_taken_back(intake: Intake) -> None:
    """Refused whole: what had been added is gone, and the batch says why."""
    whole = tar_of(PHOTOS)
    intake.add(whole[: len(whole) - 12_000])
    intake.seal()
    groups: list[int] = []

    intake.unpack(on_group=lambda: groups.append(len(intake.items())))

    assert groups[0] == 3
    assert intake.items() == []
    assert intake.archive() == ("refused", "ARCHIVE_BROKEN")
    assert intake.batch_state() == "refused"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: b"hello" * 1000, "NOT_AN_ARCHIVE"),
        (lambda: overlapping(50), "ARCHIVE_BOMB"),
        (lambda: zip_of({"x/": b""}), "ARCHIVE_EMPTY"),
        (without_end, "ARCHIVE_BROKEN"),
        (tar_members, "ARCHIVE_EMPTY"),
    ],
)
def test_a_bad_archive_refuses_its_batch(intake: Intake, make: Callable[[], bytes], code: str) -> None:
    """The batch ends with the archive's code, and the archive's bytes are not kept."""
    sha256 = intake.add(make())
    intake.seal()

    assert intake.unpack()

    assert intake.archive() == ("refused", code)
    assert intake.batch_state() == "refused"
    assert not intake.blobs.has(sha256)


def test_a_bad_archive_does_not_hurt_its_neighbour(intake: Intake) -> None:
    """Two archives in a batch: one is refused, the other unpacked."""
    intake.add(b"hello" * 1000, number=1)
    intake.add(zip_of(PHOTOS), number=2)
    intake.seal()

    while intake.unpack():
        pass

    assert {item.archive_number for item in intake.items()} == {2}
    assert len(intake.items()) == 10
    assert intake.batch_state() == "running"


def test_archives_on_this_machine_are_read_in_place(intake: Intake, tmp_path: Path) -> None:
    """The file stays where it is, as it is."""
    path = tmp_path / "photos.zip"
    path.write_bytes(zip_of(PHOTOS))
    intake.add_in_place(path)
    intake.seal()

    intake.unpack()

    assert len(intake.items()) == 10
    assert path.read_bytes() == zip_of(PHOTOS)


def test_an_archive_that_went_is_refused(intake: Intake, tmp_path: Path) -> None:
    """Moved between submission and unpacking; and bytes missing from the blob store."""
    intake.add_in_place(tmp_path / "gone.zip")
    intake.seal()

    intake.unpack()

    assert intake.archive() == ("refused", "SOURCE_GONE")


def test_missing_bytes_are_named(intake: Intake) -> None:
    """The blob store lost the archive: its own code."""
    intake.blobs.delete(intake.add(zip_of(PHOTOS)))
    intake.seal()

    intake.unpack()

    assert intake.archive() == ("refused", "BLOB_MISSING")


def test_bytes_that_others_need_are_kept(intake: Intake) -> None:
    """The same archive twice in a batch, and on its way in another: deleted only when nobody refers to it."""
    data = zip_of(PHOTOS)
    sha256 = intake.add(data, number=1)
    intake.add(data, number=2)
    intake.seal()

    intake.unpack()
    assert intake.blobs.has(sha256)
    with intake.database.transaction() as session:
        other = create_batch(session, local_admin(session).id, "other", priority=5)
        upload = open_upload(session, other.id, 1, "same.zip", len(data))
    intake.unpack()
    assert intake.blobs.has(sha256)
    with intake.database.transaction() as session:
        add_archive(session, other.id, 1, "same.zip", sha256=sha256)
        session.execute(update(type(upload)).values(done=True))
        seal_batch(session, other.id)
    intake.unpack()
    assert not intake.blobs.has(sha256)


def test_an_archive_is_not_deleted_when_it_is_a_photo_too(intake: Intake) -> None:
    """The bytes of a row are never removed, however odd the file."""
    data = zip_of(PHOTOS)
    sha256 = intake.add(data)
    with intake.database.transaction() as session:
        add_items(session, intake.batch_id, [NewItem(0, "odd.jpg", sha256, len(data))])
    intake.seal()

    intake.unpack()

    assert intake.blobs.has(sha256)
