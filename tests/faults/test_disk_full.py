"""F12: the disk fills up at any write: staging, blobs, previews, features, SQLite and its WAL."""

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from db.blobs import space_trouble
from db.errors import DatabaseUnavailableError, StorageFullError
from db.users import local_admin
from tests.faults.crash_place import Place
from tests.faults.crash_scenarios import Upload, batches_of
from tests.faults.oracle import watch_last_states
from tests.faults.photos import Pictures
from tests.integration.accepting import states
from tests.stack import serving
from worker.first_version import ensure_versions

MIB = 1024**2
# In KiB: what is free when the next batch arrives.
FREE = (0, 4, 8, 16, 32, 64, 128, 256, 512, 2048)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 24 MiB of its own."""
    folder = Path(tempfile.mkdtemp(prefix="phototag-disk-"))
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here, which takes root: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "batches", [pytest.param(5, id="short"), pytest.param(60, id="full", marks=[pytest.mark.faults])]
)
def test_what_a_full_disk_refused_is_sent_again_and_what_was_accepted_is_tagged(
    small_disk: Path,
    sqlite_template: Path,
    pictures: Pictures,
    dice: random.Random,
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
) -> None:
    """F12: at each write there is an answer in words, never half a batch; with room again everything ends tagged."""
    monkeypatch.setattr("db.blobs.RESERVED_BYTES", 0)  # all of the disk: its last byte is the point
    place = place_on(small_disk, sqlite_template, pictures)
    filler = small_disk / "filler"
    uploads = [Upload(f"batch-{number:03}", first=4 * number) for number in range(batches)]
    refusals: list[str] = []
    for number, upload in enumerate(uploads):
        fill(filler, small_disk, 1024 * (FREE[-number] if number < 2 else dice.choice(FREE)))
        try:
            upload.act(place)
        except StorageFullError as error:
            refusals.append(str(error))
        with suppress(StorageFullError, DatabaseUnavailableError):
            place.unpack("w1")
        filler.unlink()
        with place.opened() as database:
            place.check_bytes(database)

    for upload in uploads:
        upload.act(place)
    place.end_work()

    assert 0 < len(refusals) < batches
    assert all("Free some space" in refusal for refusal in refusals)
    assert place.check(dict.fromkeys(batches_of(place), 5)) == {"tagged": 4 * batches, "refused": batches}
    assert len(batches_of(place)) == batches


def test_a_worker_on_a_full_disk_gives_photos_back_and_tags_them_once_there_is_room(
    small_disk: Path, sqlite_template: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F12: previews and features find no room: no strike, no failed photo."""
    monkeypatch.setattr("db.blobs.RESERVED_BYTES", 0)
    place = place_on(small_disk, sqlite_template, pictures)
    # the database is elsewhere, as with several machines: it can say what the disk cannot hold
    elsewhere = Path(tempfile.mkdtemp(prefix="phototag-database-"))
    shutil.copy(place.data_dir / "phototag.sqlite3", elsewhere / "phototag.sqlite3")
    place.url = f"sqlite:///{elsewhere / 'phototag.sqlite3'}"
    batch_id = place.batch(4)
    fill(small_disk / "filler", small_disk, 0)

    with place.opened() as database:
        with place.tagger(database, "w1", lease_s=1.0) as tagger:
            tagger.tag(0.01)
            tagger.flush()
        assert states(database, batch_id) == {"ready": 4}

    (small_disk / "filler").unlink()
    place.end_work()

    assert place.check({batch_id: 4}) == {"tagged": 4}
    shutil.rmtree(elsewhere)


def test_the_pages_refuse_uploads_and_say_that_the_disk_is_full(small_disk: Path) -> None:
    """F12: 507 before a byte is sent, 507 for one photo alone, and a notice on every page."""
    with serving(small_disk / "data") as pages, pages.client() as client:
        batch = client.post("/api/batches", json={"name": "holiday", "count": 1, "bytes": 1000})
        single = client.post("/api/photos", params={"name": "a.jpg"}, content=b"bytes")
        notices = client.get("/api/status").json()["notices"]

    for answer in (batch, single):
        assert answer.status_code == 507
        assert answer.json()["code"] == "STORAGE_FULL"
        assert "Free some space" in answer.json()["message"]
    assert any(text.startswith("The disk is full") for text in notices)


def test_a_disk_with_little_room_is_spoken_of_before_it_is_full(
    small_disk: Path, sqlite_template: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full below the reserve, nearly full above it, nothing to say with plenty."""
    place = place_on(small_disk, sqlite_template, pictures)
    said: list[str] = []
    for reserve, low in ((1 << 30, 3 << 30), (MIB, 1 << 30), (MIB, 2 * MIB)):
        monkeypatch.setattr("db.blobs.RESERVED_BYTES", reserve)
        monkeypatch.setattr("db.blobs.LOW_BYTES", low)
        said.append(space_trouble(place.data_settings))

    assert said[0].startswith("The disk is full: 0.0 GB are free and 1.1 GB must stay so.")
    assert said[1].startswith("The disk is nearly full")
    assert said[2] == ""


def place_on(disk: Path, template: Path, pictures: Pictures) -> Place:
    """A data directory on the disk, with tables and a model version."""
    data_dir = disk / "data"
    data_dir.mkdir()
    shutil.copy(template, data_dir / "phototag.sqlite3")
    place = Place(f"sqlite:///{data_dir / 'phototag.sqlite3'}", data_dir, None, pictures)
    with place.opened() as database:
        ensure_versions(database, place.settings, place.data_settings, lambda _received, _total: None)
        watch_last_states(database)
        with database.transaction() as session:
            local_admin(session)
    return place


def fill(filler: Path, disk: Path, leave_bytes: int) -> None:
    """Fills the disk but for so many bytes, in whole blocks."""
    filler.touch()
    room = shutil.disk_usage(disk).free - leave_bytes
    with filler.open("ab") as file:
        if room > 0:
            os.posix_fallocate(file.fileno(), filler.stat().st_size, room)
