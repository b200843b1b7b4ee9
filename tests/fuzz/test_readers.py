"""Readers of what strangers send, on mutated files: only verdicts come out, in bounded time and with bounded bytes."""

import io
import json
import time
import unicodedata
import zipfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from db.codes import REASONS
from db.errors import Refusal
from db.names import MAX_PATH_CHARS
from tests.fuzz.mutations import mutated
from tests.hostile_archives import TARS, ZIPS, HostileArchive
from tests.hostile_photos import PHOTOS, animated, ftyp, heif_of_size, tiff_header
from tests.samples import (
    DATE_TIME,
    DATE_TIME_ORIGINAL,
    EXPOSURE_TIME,
    GPS,
    HEIC_QUARTERS,
    ISO,
    LENS_MODEL,
    MAKE,
    MODEL,
    encoded,
    exif_bytes,
    picture,
    tar_of,
    zip_of,
)
from worker.archives import read_archive
from worker.entries import ArchiveRefusal
from worker.headers import check_header, photo_format
from worker.limits import KIB, MIB, Limits
from worker.metadata import LAST_YEAR, MAX_TEXT_CHARS, ORIENTATIONS, UPRIGHT, read_exif

LIMITS = Limits(max_photo_bytes=MIB, max_entries=300, max_unpacked_bytes=4 * MIB, max_archive_bytes=8 * MIB)
SHORT, LONG = 250, 20_000
# A file of a few kB that keeps a reader busy for longer is an attack on its own; measured: 5 to 60 ms.
MAX_S = 3.0
MAX_SEED_BYTES = 64 * KIB
PEOPLE_MAY_READ = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}

quick = settings(
    max_examples=SHORT,
    deadline=None,
    print_blob=True,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
thorough = settings(quick, max_examples=LONG)


@contextmanager
def bounded() -> Generator[None]:
    """Fails when the block takes too long."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MAX_S


@cache
def archive_seeds() -> tuple[bytes, ...]:
    """Good ones of each kind, and those of our hostile ones that are small."""
    files = {
        "a.jpg": b"\xff\xd8\xff" + bytes(300),
        "b/ü.jpg": b"GIF89a" * 40,
        "c/": b"",
        "n" * 150 + ".png": b"\x89PNG",
    }
    hostile: Sequence[HostileArchive] = [*ZIPS, *TARS]
    small = [made for archive in hostile if "GB" not in archive.name and len(made := archive.make()) < 16 * KIB]
    return (
        *(zip_of(files, compression=method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)),
        *(tar_of(files, kind) for kind in ("", "gz", "bz2", "xz", "zst")),
        *small,
    )


@cache
def photo_seeds() -> tuple[bytes, ...]:
    """Small ones of each format, and headers that claim much."""
    small = picture(16, 12)
    formats = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF")
    hostile = [made for photo in PHOTOS if "MB" not in photo.name and len(made := photo.make()) < 4 * KIB]
    return (
        *(encoded(small, file_format) for file_format in formats),
        encoded(small, "WEBP", lossless=True),
        encoded(small, "JPEG", progressive=True),
        animated("WEBP", 2),
        HEIC_QUARTERS.read_bytes(),
        heif_of_size(400, 300),
        ftyp(b"avif", b"mif1"),
        tiff_header({254: 1, 256: 160, 257: 120, 330: 999}),
        *hostile,
    )


@cache
def exif_seeds() -> tuple[bytes, ...]:
    """All that is read, as cameras write it."""
    moment = {
        DATE_TIME_ORIGINAL: "2021:05:04 12:30:00",
        EXPOSURE_TIME: IFDRational(1, 400),
        ISO: 200,
        LENS_MODEL: "lens",
    }
    place = {1: "N", 2: (43.0, 28.0, 2.814), 3: "E", 4: (11.0, 53.0, 6.456)}
    said = {MAKE: "maker", MODEL: "maker model", DATE_TIME: "2021:05:04 12:30:00", 0x0112: 6, GPS: place, **moment}
    return exif_bytes(said), exif_bytes({GPS: place}), exif_bytes({MODEL: "m" * 300}), exif_bytes(moment)


def shared_seeds(folder: Path) -> tuple[bytes, ...]:
    """Files of others that are small enough to be changed often."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and 0 < path.stat().st_size < MAX_SEED_BYTES)
    return tuple(path.read_bytes() for path in files)


def look_at_archive(data: bytes) -> None:
    """Reads all of it as unpacking does."""
    total, last = 0, -1
    with bounded():
        try:
            for entry in read_archive(io.BytesIO(data), len(data), LIMITS):
                assert last < entry.position < LIMITS.max_entries
                last = entry.position
                assert 0 < len(entry.path) <= MAX_PATH_CHARS
                assert is_harmless(entry.path), entry.path
                assert (entry.content is None) == (entry.code is not None)
                total += size_of(entry.content)
                assert total <= LIMITS.max_unpacked_bytes + MIB
        except ArchiveRefusal as refusal:
            require_reason(refusal)


def size_of(content: Iterator[bytes] | None) -> int:
    size = 0
    try:
        for piece in content or ():
            size += len(piece)
    except ArchiveRefusal:
        raise
    except Refusal as refusal:
        require_reason(refusal)
    return size


def look_at_header(data: bytes) -> None:
    """Judges it as intake does by its first bytes, and as a decoder does by all of them."""
    with bounded():
        for judge in (lambda: photo_format(data[: 4 * KIB]), lambda: check_header(data, LIMITS)):
            try:
                assert judge() in {"JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "HEIC", "AVIF"}
            except Refusal as refusal:
                require_reason(refusal)


def look_at_exif(data: bytes) -> None:
    """What is read of it can be stored and shown, whatever it is."""
    image = Image.new("RGB", (8, 8))
    image.info["exif"] = data
    with bounded():
        facts = read_exif(image)

    assert facts.orientation in {UPRIGHT, *ORIENTATIONS}
    assert facts.taken_at is None or facts.taken_at.year <= LAST_YEAR
    texts = [facts.camera, facts.exposure.get("lens")]
    for text in filter(None, texts):
        assert 0 < len(text) <= MAX_TEXT_CHARS
        assert is_harmless(text), text
    if facts.place is not None:
        assert abs(facts.place[0]) <= 90
        assert abs(facts.place[1]) <= 180
    json.dumps(facts.exposure, allow_nan=False).encode()


def require_reason(refusal: Refusal) -> None:
    assert refusal.code in REASONS


def is_harmless(text: str) -> bool:
    """Nothing in it steers terminals or turns the direction of text, and a database can store it."""
    text.encode()
    return not any(unicodedata.category(c) in PEOPLE_MAY_READ and c != "\u200d" for c in text)


@quick
@given(data=st.deferred(lambda: mutated(archive_seeds())))
def test_archives(data: bytes) -> None:
    """Entries with harmless names, or a refusal."""
    look_at_archive(data)


@quick
@given(data=st.deferred(lambda: mutated(photo_seeds())))
def test_headers_of_photos(data: bytes) -> None:
    """A format, or a refusal."""
    look_at_header(data)


@quick
@given(data=st.deferred(lambda: mutated(exif_seeds())))
def test_metadata(data: bytes) -> None:
    """What can be shown, or nothing."""
    look_at_exif(data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reader", ["archives", "headers", "metadata"])
def test_each_reader_for_long(reader: str, shared: Path) -> None:
    """Eighty times as many, and the files of other fuzzers among the seeds."""
    hostile, seen = shared / "hostile", 0
    seeds, look = {
        "archives": (lambda: archive_seeds() + shared_seeds(hostile / "archives"), look_at_archive),
        "headers": (lambda: photo_seeds() + shared_seeds(hostile / "images"), look_at_header),
        "metadata": (lambda: exif_seeds() + exif_of(shared_seeds(hostile / "images")), look_at_exif),
    }[reader]

    @thorough
    @given(data=mutated(seeds()))
    def run(data: bytes) -> None:
        nonlocal seen
        seen += 1
        look(data)

    run()
    assert seen >= LONG


def exif_of(files: Sequence[bytes]) -> tuple[bytes, ...]:
    """The EXIF segments of JPEG files."""
    found: list[bytes] = []
    for data in files:
        at = data.find(b"Exif\0\0")
        if data.startswith(b"\xff\xd8") and at >= 4:
            found.append(data[at : at + int.from_bytes(data[at - 2 : at], "big") - 2])
    return tuple(found)
