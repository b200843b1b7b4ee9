"""Hostile files on the whole way: submitted like a person's, unpacked, decoded and tagged by a real worker."""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.blobs import open_blobs
from db.codes import FAILED, REASONS
from db.schema import Archive, Batch, Item
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from tests.hostile_archives import LIMITS, TARS, ZIPS
from tests.hostile_photos import PHOTOS
from tests.integration.command_line import children_of
from tests.integration.processes import end, start_worker
from tests.samples import numbered_photo, zip_of
from ui.listing import examine
from ui.submit import Intake, Submission, Submitter
from worker.archives import read_archive
from worker.decoder_process import START_LIMIT_S

GOOD_EVERY = 8
GOOD_IN_ARCHIVE = 3
# Archives that no one can submit: naming them says so at once.
CANNOT_BE_NAMED = frozenset({"7z", "rar"})
# A worker with the tiny network, and one of its decoders; measured 193 and 109 with all that is shared.
MAX_WORKER_MIB, MAX_DECODER_MIB = 512, 512
SETTINGS = {
    "PHOTOTAG_DECODERS": "2",
    "PHOTOTAG_LIMITS__MAX_PHOTO_BYTES": str(LIMITS.max_photo_bytes),
    "PHOTOTAG_LIMITS__MAX_ENTRIES": str(LIMITS.max_entries),
    "PHOTOTAG_LIMITS__MAX_UNPACKED_BYTES": str(LIMITS.max_unpacked_bytes),
}
# What refuses bytes that claim to be a photo. The others are of paths, of archives or of our side.
PHOTO_CODES = frozenset(
    (
        "EMPTY NOT_AN_IMAGE UNSUPPORTED UNREADABLE TOO_BIG TOO_MANY_PIXELS TOO_COMPLEX DECODER_LIMIT SKIPPED_JUNK "
        "ENCRYPTED NOT_A_FILE BAD_NAME ENTRY_BROKEN BOMB UNSUPPORTED_COMPRESSION"
    ).split()
)
ARCHIVE_CODES = frozenset(
    (
        "ARCHIVE_EMPTY ARCHIVE_BROKEN ARCHIVE_BOMB ARCHIVE_TOO_BIG ARCHIVE_ENCRYPTED TOO_MANY_ENTRIES NOT_AN_ARCHIVE"
    ).split()
)


@dataclass(frozen=True)
class Outcome:
    """What came of a submission.

    Attributes:
        codes: by shown path: "OK", or the code that refused the photo.
        strikes: of all items: deaths of a worker that were counted against one.
        archives: by shown path: code, None where it was unpacked.
        entries: by shown path of an archive: how often each code, "OK" for a photo.
        worker_mib: the most memory the worker held.
        decoder_mib: the most that one of its decoders held.
    """

    codes: dict[str, str]
    strikes: int
    archives: dict[str, str | None]
    entries: dict[str, Counter[str]]
    worker_mib: float
    decoder_mib: float


def place(folder: Path, files: Sequence[Path | bytes]) -> dict[str, int]:
    """Copies files into a folder under names of photos, good ones in between; returns which name is which."""
    folder.mkdir()
    names: dict[str, int] = {}
    for number, content in enumerate(files):
        name = f"{number:05}-hostile.jpg"
        names[name] = number
        if isinstance(content, Path):
            shutil.copyfile(content, folder / name)
        else:
            (folder / name).write_bytes(content)
        if number % GOOD_EVERY == 0:
            (folder / f"{number:05}-good.jpg").write_bytes(numbered_photo(number))
    return names


def place_archives(folder: Path, archives: Sequence[Path | bytes]) -> list[Path]:
    """Copies archives, a good one after every few."""
    folder.mkdir()
    for number, content in enumerate(archives):
        data = content.read_bytes() if isinstance(content, Path) else content
        (folder / f"{number:04}-hostile.{'zip' if data.startswith(b'PK') else 'tar'}").write_bytes(data)
        if number % GOOD_EVERY == 0:
            photos = {f"{n}.jpg": numbered_photo(100_000 + number * 10 + n) for n in range(GOOD_IN_ARCHIVE)}
            (folder / f"{number:04}-good.zip").write_bytes(zip_of(photos))
    return sorted(folder.iterdir())


def tag_all(database: Database, data_dir: Path, sources: Sequence[Path], timeout_s: float) -> Outcome:
    """Submits the sources as the command line does and lets one worker work until nothing is open."""
    settings = DataSettings(data_dir=data_dir)
    intake = Intake(database, open_blobs(settings), settings, LIMITS)
    with database.transaction() as session:
        owner = local_admin(session)
        session.expunge(owner)
    submitter = Submitter(intake, owner, Submission(examine(sources)), lambda _batch_id: None)
    batch_id = submitter.submit()
    elsewhere = data_dir.parent / "elsewhere"
    elsewhere.mkdir()
    before = outside(data_dir)
    places = {"HOME": str(elsewhere), "TMPDIR": str(elsewhere), "PYTHONDONTWRITEBYTECODE": "1"}
    worker = start_worker(data_dir, database.url, None, "tagging,intake", **SETTINGS, **places)
    try:
        memory = _watch(database, batch_id, worker.pid, timeout_s)
        assert worker.poll() is None, (data_dir / "worker.log").read_text()[-2000:]
    finally:
        code = end(worker)
    assert code == 0
    assert outside(data_dir) == before
    return _outcome(database, batch_id, memory)


def outside(data_dir: Path) -> dict[str, int]:
    """Every file and folder beside the data directory, with its size: nothing of it may change."""
    return {
        str(path): path.lstat().st_size for path in data_dir.parent.rglob("*") if data_dir not in (path, *path.parents)
    }


def _watch(database: Database, batch_id: str, pid: int, timeout_s: float) -> tuple[float, float]:
    """Waits for the batch's end; returns the most memory of the worker and of a decoder, in MiB."""
    deadline = time.monotonic() + START_LIMIT_S + timeout_s
    worker_mib = decoder_mib = 0.0
    while not _has_ended(database, batch_id):
        assert time.monotonic() < deadline, f"the batch did not end within {timeout_s:g} s"
        worker_mib = max(worker_mib, peak_mib(pid))
        decoders = [child for child, command in children_of(pid).items() if "worker.decoder_program" in command]
        decoder_mib = max(decoder_mib, *(peak_mib(child) for child in decoders), 0.0)
        time.sleep(0.2)
    return worker_mib, decoder_mib


def peak_mib(pid: int) -> float:
    """The most memory a process has held; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024 if "VmHWM:" in status else 0.0


def _has_ended(database: Database, batch_id: str) -> bool:
    with database.reading() as session:
        return session.scalars(select(Batch.state).where(Batch.id == batch_id)).one() == "finished"


def _outcome(database: Database, batch_id: str, memory: tuple[float, float]) -> Outcome:
    codes: dict[str, str] = {}
    entries: dict[str, Counter[str]] = {}
    with database.reading() as session:
        archives = {row.number: row for row in session.scalars(select(Archive).where(Archive.batch_id == batch_id))}
        for item in session.scalars(select(Item).where(Item.batch_id == batch_id)):
            code = "OK" if item.state == "tagged" else item.code or item.state
            if item.archive_number:
                entries.setdefault(archives[item.archive_number].path, Counter())[code] += 1
            else:
                codes[item.path] = code
        strikes = session.scalars(select(func.sum(Item.strikes)).where(Item.batch_id == batch_id)).one()
    refused = {row.path: row.code for row in archives.values()}
    return Outcome(codes, strikes, refused, entries, *memory)


def assert_kept_in_bounds(outcome: Outcome) -> None:
    """What holds whatever the files were: right kinds of codes, neighbours tagged, nobody blamed, memory bounded."""
    print(  # noqa: T201 - the figures that a change of the decoders is judged by
        f"photos {Counter(outcome.codes.values())}\narchives {Counter(outcome.archives.values())}\n"
        f"entries {sum(outcome.entries.values(), Counter())}\n"
        f"worker {outcome.worker_mib:.0f} MiB, decoder {outcome.decoder_mib:.0f} MiB"
    )
    assert {path: code for path, code in outcome.codes.items() if "good" in path and code != "OK"} == {}
    assert {path: code for path, code in outcome.archives.items() if "good" in path and code} == {}
    for path, codes in outcome.entries.items():
        assert "good" not in path or codes == {"OK": GOOD_IN_ARCHIVE}, path
        assert set(codes) <= {"OK", *PHOTO_CODES}, path
    assert set(outcome.codes.values()) <= {"OK", *PHOTO_CODES}
    assert set(outcome.archives.values()) <= {None, *ARCHIVE_CODES}
    assert outcome.strikes == 0
    assert outcome.worker_mib < MAX_WORKER_MIB
    assert outcome.decoder_mib < MAX_DECODER_MIB


def shared_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def names_in(archives: Sequence[Path]) -> Iterator[str]:
    """Names that a careless reader would have created files under."""
    for path in archives:
        with path.open("rb") as file:
            yield from (entry.path for entry in read_archive(file, path.stat().st_size, LIMITS))


def test_codes_are_those_that_people_can_read() -> None:
    """Every code looked for here has its sentence, and none of them says that it was our fault."""
    assert set(REASONS) >= PHOTO_CODES | ARCHIVE_CODES
    assert not FAILED & (PHOTO_CODES | ARCHIVE_CODES)


@pytest.mark.timeout(300)
def test_hostile_files_of_others_end_one_by_one(sqlite_database: Database, data_dir: Path, shared: Path) -> None:
    """A sample of what fuzzers and collectors have, every 60th: each ends, and every good photo is tagged."""
    images = shared_files(shared / "hostile" / "images")[::60]
    archives = shared_files(shared / "hostile" / "archives")
    slips = [path for path in archives if "zip-slip" in str(path)]
    photos = data_dir.parent / "photos"
    place(photos, images)
    chosen = [*slips, *(path for path in archives if "nested" in str(path)), *archives[::15]]

    outcome = tag_all(
        sqlite_database, data_dir, [photos, *place_archives(data_dir.parent / "archives", chosen)], timeout_s=200
    )

    assert_kept_in_bounds(outcome)
    assert len(outcome.codes) >= len(images) > 30
    escaped = [Path("/") / name for name in names_in(slips) if (Path("/") / name).exists()]
    assert escaped == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_hostile_files_of_others_end_one_by_one(database: Database, data_dir: Path, shared: Path) -> None:
    """All of them: 2,400 pictures and 200 archives."""
    images = shared_files(shared / "hostile" / "images")
    archives = shared_files(shared / "hostile" / "archives")
    photos = data_dir.parent / "photos"
    place(photos, images)

    outcome = tag_all(
        database, data_dir, [photos, *place_archives(data_dir.parent / "archives", archives)], timeout_s=1500
    )

    assert_kept_in_bounds(outcome)
    assert sum("hostile" in path for path in outcome.codes) == len(images) > 2000
    assert sum("hostile" in path for path in outcome.archives) == len(archives) > 200


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)], ids=["every fifth", "all"])
@pytest.mark.timeout(600)
def test_our_hostile_files_end_as_they_must(sqlite_database: Database, data_dir: Path, step: int) -> None:
    """Each of ours by its own code, or tagged: the same verdicts as of the decoders and the reader alone."""
    photos = PHOTOS[::step]
    archives = [archive for archive in (*ZIPS, *TARS) if archive.name not in CANNOT_BE_NAMED][::step]
    folder = data_dir.parent / "photos"
    names = place(folder, [photo.make() for photo in photos])
    paths = place_archives(data_dir.parent / "archives", [archive.make() for archive in archives])

    outcome = tag_all(sqlite_database, data_dir, [folder, *paths], timeout_s=500)

    assert_kept_in_bounds(outcome)
    expected = {name: photos[number].code or "OK" for name, number in names.items()}
    assert {name: outcome.codes[f"photos/{name}"] for name in names} == expected
    hostile = [path.name for path in paths if "hostile" in path.name]
    for name, archive in zip(hostile, archives, strict=True):
        if isinstance(archive.outcome, str):  # what had ended before that was seen stays
            assert outcome.archives[name] == archive.outcome, archive
        else:
            assert outcome.archives[name] is None, archive
            assert outcome.entries[name] == archive.outcome, archive
