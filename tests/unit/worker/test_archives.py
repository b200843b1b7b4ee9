"""Archives: what comes out, under which names, and what is refused, whole or in part."""

import contextlib
import io
import random
import resource
import struct
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.errors import Refusal
from tests.hostile_archives import LIMITS, MIB, TARS, ZIPS, HostileArchive
from tests.samples import jpeg, numbered_photo, tar_of, zip_of
from worker.archives import read_archive
from worker.decoder_pool import DecoderPool
from worker.entries import ArchiveRefusal
from worker.limits import Limits

FILES = {"2021/a.jpg": numbered_photo(1), "2021/b.jpg": numbered_photo(2), "c.png": b"x" * 700_000}


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    """Decodes what comes out of the archives."""
    with DecoderPool(LIMITS, 1) as pool:
        yield pool


def contents(data: bytes, limits: Limits = LIMITS, skip: int = 0) -> list[tuple[int, str, bytes | str]]:
    """Position, path, and bytes or code of each entry."""
    found: list[tuple[int, str, bytes | str]] = []
    for entry in read_archive(io.BytesIO(data), len(data), limits, skip=skip):
        result: bytes | str = entry.code or ""
        if entry.content is not None:
            try:
                result = b"".join(entry.content)
            except ArchiveRefusal:
                raise
            except Refusal as refusal:
                result = refusal.code
        found.append((entry.position, entry.path, result))
    return found


def refusal_of(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(ArchiveRefusal) as refusal:
        contents(data, limits)
    return refusal.value.code


def archives_of(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files in every kind of archive."""
    return {
        "zip": zip_of(files),
        "zip deflated": zip_of(files, compression=zipfile.ZIP_DEFLATED),
        **{f"tar {kind}": tar_of(files, kind) for kind in ("", "gz", "bz2", "xz", "zst")},
    }


@pytest.mark.parametrize("kind", list(archives_of({})))
def test_files_come_out_as_they_went_in(kind: str) -> None:
    """In the archive's order, byte for byte, with positions that count files only."""
    data = archives_of({"2021/": b"", **FILES})[kind]

    assert contents(data) == [(n, name, content) for n, (name, content) in enumerate(FILES.items())]


@pytest.mark.parametrize("kind", list(archives_of({})))
def test_reading_goes_on_where_it_was_left(kind: str) -> None:
    """The entries before `skip` are not yielded; the others keep their positions."""
    assert contents(archives_of(FILES)[kind], skip=2) == [(2, "c.png", FILES["c.png"])]


@pytest.mark.parametrize("kind", list(archives_of({})))
def test_entries_need_not_be_read(kind: str) -> None:
    """A caller that only looks at the names gets all of them."""
    data = archives_of(FILES)[kind]

    assert [entry.path for entry in read_archive(io.BytesIO(data), len(data), LIMITS)] == list(FILES)


@pytest.mark.parametrize(
    "archive", [*ZIPS, *TARS], ids=[*(f"zip: {archive}" for archive in ZIPS), *(f"tar: {archive}" for archive in TARS)]
)
def test_hostile_archives(pool: DecoderPool, archive: HostileArchive) -> None:
    """Each is refused whole, or each of its entries has its code, in seconds and without memory to speak of."""
    data = archive.make()
    began = time.monotonic()

    if isinstance(archive.outcome, str):
        assert refusal_of(data) == archive.outcome
    else:
        found = contents(data)
        assert Counter(outcome_of(content, pool) for _, _, content in found) == archive.outcome
        assert not archive.paths or tuple(path for _, path, _ in found) == archive.paths
    assert time.monotonic() - began < 20


def outcome_of(content: bytes | str, pool: DecoderPool) -> str:
    if isinstance(content, str):
        return content
    try:
        pool.submit(content).result(60)
    except Refusal as refusal:
        return refusal.code
    return "OK"


def test_limits_of_archives_are_kept() -> None:
    """Size, number of entries, bytes in all."""
    for data in archives_of(FILES).values():
        assert refusal_of(data, Limits(max_archive_bytes=100)) == "ARCHIVE_TOO_BIG"
        assert refusal_of(data, Limits(max_entries=2)) == "TOO_MANY_ENTRIES"
        assert refusal_of(data, Limits(max_unpacked_bytes=500_000)) == "ARCHIVE_BOMB"
        assert len(contents(data, Limits(max_entries=3))) == 3


def test_a_large_entry_is_passed_over() -> None:
    """A film among the photos costs nothing but its own refusal."""
    files = {"a.jpg": FILES["2021/a.jpg"], "film.mov": bytes(range(256)) * 20_000, "b.jpg": FILES["2021/b.jpg"]}

    for data in archives_of(files).values():
        assert [result for _, _, result in contents(data, Limits(max_photo_bytes=MIB))] == [
            files["a.jpg"],
            "TOO_BIG",
            files["b.jpg"],
        ]


def test_memory_does_not_grow_with_the_archive() -> None:
    """38 MB of entries, one of them large, and 1,900 names pass through a few megabytes."""
    body = random.Random(1).randbytes(16_000)
    files = {f"album/{n:05}.jpg": body + struct.pack("<I", n) for n in range(1900)}
    files["large.jpg"] = random.Random(2).randbytes(8 * MIB)
    for data in (zip_of(files), tar_of(files), tar_of(files, "gz")):
        tracemalloc.start()
        for entry in read_archive(io.BytesIO(data), len(data), LIMITS):
            for _ in entry.content or ():
                pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert peak < 6 * MIB


@pytest.mark.parametrize("kind", list(archives_of({})))
def test_damaged_archives_only_ever_refuse(kind: str) -> None:
    """A few hundred archives with bytes changed, removed or doubled: a refusal or entries, nothing else."""
    chance = random.Random(f"damage {kind}")
    whole = archives_of({f"{n}/a.jpg": jpeg(16, 16) for n in range(5)})[kind]

    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randrange(1, 600)]
                case _:
                    data[at:at] = data[max(0, at - chance.randrange(600)) : at]
            data = data or bytearray(b"P")
        with contextlib.suppress(ArchiveRefusal):
            contents(bytes(data))


def test_names_in_old_code_pages_are_read() -> None:
    """UTF-8 that does not say so (many programs), and the code page of DOS (the rest)."""
    utf8 = zip_of({"caf\u00e9.jpg": b"x"}).replace(b"\x00\x08\x00\x00", b"\x00\x00\x00\x00", 1)
    dos = zip_of({"caf_.jpg": b"x"}).replace(b"caf_", b"caf\x82")

    assert [path for _, path, _ in contents(utf8)] == ["café.jpg"]
    assert [path for _, path, _ in contents(dos)] == ["café.jpg"]


def test_zips_of_more_than_4_gib_are_read() -> None:
    """Zip64: sizes, offsets and counts of 64 bits."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open(zipfile.ZipInfo("a.jpg"), "w", force_zip64=True) as entry:
        entry.write(b"photo")
    data = as_zip64(out.getvalue())

    assert contents(data) == [(0, "a.jpg", b"photo")]


def as_zip64(data: bytes) -> bytes:
    """Moves the numbers of a zip with one entry into its 64-bit records."""
    end = data.rindex(b"PK\5\6")
    start = data.index(b"PK\1\2")
    record = bytearray(data[start:end])
    packed, size, name_length = *struct.unpack_from("<2I", record, 20), struct.unpack_from("<H", record, 28)[0]
    extra = struct.pack("<2H3Q", 1, 24, size, packed, 0)
    struct.pack_into("<2I", record, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", record, 30, len(extra))
    struct.pack_into("<I", record, 42, 0xFFFFFFFF)
    directory = bytes(record[: 46 + name_length]) + extra
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, start + len(directory), 1)
    last = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:start] + directory + end64 + locator + last


def test_every_shared_hostile_archive(shared: Path) -> None:
    """Archives from fuzzers and bomb makers: refused or read, in seconds, within the memory there is."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = [path for path in sorted((shared / "hostile" / "archives").rglob("*")) if path.is_file()]

    for path in files:
        began = time.monotonic()
        with contextlib.suppress(ArchiveRefusal):
            contents(path.read_bytes())
        assert time.monotonic() - began < 20, path

    assert len(files) > 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
