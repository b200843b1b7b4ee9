"""Hostile and odd archives, made when asked for, each with the outcome it must have. None is taken from anywhere."""

import bz2
import gzip
import io
import lzma
import random
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.hostile_photos import MIB, a_jpeg, a_png, png
from tests.samples import jpeg, tar_of, zip_of
from worker.limits import Limits

# Smaller than the defaults where a file would have to be huge to exceed them.
LIMITS = Limits(max_photo_bytes=32 * MIB, max_entries=2_000, max_unpacked_bytes=256 * MIB)


@dataclass(frozen=True)
class HostileArchive:
    """An archive, and what comes of it: the code that refuses it whole, or how often each code; "OK": a photo."""

    name: str
    make: Callable[[], bytes]
    outcome: str | Mapping[str, int]
    paths: Sequence[str] = ()

    def __str__(self) -> str:
        return self.name


# -- zip -------------------------------------------------------------------------------------------------------


def zip_entries(*entries: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip that may hold a name twice, links, and methods nobody reads."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", compression) as archive:
        warnings.simplefilter("ignore")  # a name twice is the point
        for entry, content in entries:
            archive.writestr(entry, content)
    return out.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry


def two_photos() -> bytes:
    return zip_of({"a.jpg": a_jpeg(), "b/c.png": a_png()})


def with_flags(data: bytes, entries: int) -> bytes:
    """The first `entries` of a zip, marked as encrypted."""
    marked = bytearray(data)
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        for _ in range(entries):
            at = marked.index(magic, at + 1)
            marked[at + offset] |= 1
    return bytes(marked)


def overlapping(copies: int, claimed: int | None = None) -> bytes:
    """One deflated entry of 20 MB that the directory lists `copies` times, as large as `claimed`."""
    plain = bytes(20 * MIB)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed, crc, name = deflate.compress(plain) + deflate.flush(), zlib.crc32(plain), b"x.jpg"
    sizes = (crc, len(packed), len(plain) if claimed is None else claimed)
    local = b"PK\3\4" + struct.pack("<5H3I2H", 20, 0, 8, 0, 0, *sizes, len(name), 0) + name + packed
    record = b"PK\1\2" + struct.pack("<6H3I5H2I", 20, 20, 0, 8, 0, 0, *sizes, len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, copies, copies, len(record) * copies, len(local), 0)
    return local + record * copies + end


def damaged_entry() -> bytes:
    data = bytearray(two_photos())
    data[60] ^= 0xFF
    return bytes(data)


def nul_name() -> bytes:
    return two_photos().replace(b"a.jpg", b"a\0jpg")


def cut_directory() -> bytes:
    """The end record says that the list of entries is 20 bytes long, less than one record."""
    data = bytearray(two_photos())
    struct.pack_into("<I", data, data.rindex(b"PK\5\6") + 12, 20)
    return bytes(data)


def many_files(count: int) -> dict[str, bytes]:
    return {f"{n}.jpg": b"" for n in range(count)}


ZIPS = (
    HostileArchive("good", two_photos, {"OK": 2}, ("a.jpg", "b/c.png")),
    HostileArchive(
        "dots",
        lambda: zip_of({"../../../../tmp/x.jpg": a_jpeg(), "ok.jpg": a_jpeg()}),
        {"OK": 2},
        ("tmp/x.jpg", "ok.jpg"),
    ),
    HostileArchive("absolute", lambda: zip_of({"/tmp/x.jpg": a_jpeg()}), {"OK": 1}, ("tmp/x.jpg",)),
    HostileArchive(
        "windows paths",
        lambda: zip_of(
            {"C:\\Windows\\x.jpg": a_jpeg(), "..\\..\\y.jpg": a_jpeg(), "\\\\server\\share\\z.jpg": a_jpeg()}
        ),
        {"OK": 3},
        ("Windows/x.jpg", "y.jpg", "server/share/z.jpg"),
    ),
    HostileArchive(
        "link", lambda: zip_entries((link("l.jpg"), b"/etc/passwd"), ("a.jpg", a_jpeg())), {"NOT_A_FILE": 1, "OK": 1}
    ),
    HostileArchive(
        "junk only",
        lambda: zip_of({"__MACOSX/._a.jpg": b"x", ".DS_Store": b"x", "Thumbs.db": b"x"}),
        {"SKIPPED_JUNK": 3},
    ),
    HostileArchive(
        "junk and a photo",
        lambda: zip_of({"__MACOSX/._a.jpg": b"x", "d/a.jpg": a_jpeg()}),
        {"SKIPPED_JUNK": 1, "OK": 1},
    ),
    HostileArchive("empty", lambda: b"PK\5\6" + bytes(18), "ARCHIVE_EMPTY"),
    HostileArchive("folders only", lambda: zip_of({"x/": b"", "x/y/": b""}), "ARCHIVE_EMPTY"),
    HostileArchive("a name twice", lambda: zip_entries(("a.jpg", a_jpeg()), ("a.jpg", jpeg(quality=30))), {"OK": 2}),
    HostileArchive(
        "names that only look different",
        lambda: zip_of({"A.JPG": a_jpeg(), "a.jpg": a_jpeg(), "caf\u00e9.jpg": a_jpeg(), "cafe\u0301.jpg": a_jpeg()}),
        {"OK": 4},
    ),
    HostileArchive(
        "names that attack readers",
        lambda: zip_of(
            {
                "\u202egpj.exe": a_jpeg(),
                "a\nb.jpg": a_jpeg(),
                "=HYPERLINK(1).jpg": a_jpeg(),
                "<img onerror=1>.jpg": a_jpeg(),
            }
        ),
        {"OK": 4},
        ("\ufffdgpj.exe", "a\ufffdb.jpg", "=HYPERLINK(1).jpg", "<img onerror=1>.jpg"),
    ),
    HostileArchive(
        "too big", lambda: zip_of({"big.bmp": bytes(40 * MIB)}, compression=zipfile.ZIP_DEFLATED), {"TOO_BIG": 1}
    ),
    HostileArchive(
        "a bomb beside a photo",
        lambda: zip_of({"b.bmp": bytes(20 * MIB), "a.jpg": a_jpeg()}, compression=8),
        {"BOMB": 1, "OK": 1},
    ),
    HostileArchive(
        "archives inside", lambda: zip_of({f"{n}.zip": two_photos() for n in range(16)}), {"NOT_AN_IMAGE": 16}
    ),
    HostileArchive("entries that overlap", lambda: overlapping(500), "ARCHIVE_BOMB"),
    HostileArchive("too many entries", lambda: zip_of(many_files(2_001)), "TOO_MANY_ENTRIES"),
    HostileArchive("more in it than it says", lambda: overlapping(1, claimed=10), {"ENTRY_BROKEN": 1}),
    HostileArchive("one entry encrypted", lambda: with_flags(two_photos(), 1), {"ENCRYPTED": 1, "OK": 1}),
    HostileArchive("all entries encrypted", lambda: with_flags(two_photos(), 2), "ARCHIVE_ENCRYPTED"),
    HostileArchive(
        "lzma inside", lambda: zip_of({"a.jpg": a_jpeg()}, compression=zipfile.ZIP_LZMA), {"UNSUPPORTED_COMPRESSION": 1}
    ),
    HostileArchive(
        "bzip2 inside",
        lambda: zip_of({"a.jpg": a_jpeg()}, compression=zipfile.ZIP_BZIP2),
        {"UNSUPPORTED_COMPRESSION": 1},
    ),
    HostileArchive("wrong checksum", damaged_entry, {"ENTRY_BROKEN": 1, "OK": 1}),
    HostileArchive("cut", lambda: two_photos()[:-40], "ARCHIVE_BROKEN"),
    HostileArchive("directory cut", cut_directory, "ARCHIVE_BROKEN"),
    HostileArchive("nothing but half an end record", lambda: b"PK\5\6" + bytes(7), "ARCHIVE_BROKEN"),
    HostileArchive("program in front", lambda: b"MZ" + bytes(1000) + two_photos(), "NOT_AN_ARCHIVE"),
    HostileArchive(
        "two in a row: the last counts",
        lambda: two_photos() + zip_entries((link("l.jpg"), b"/etc/passwd"), ("z.jpg", a_jpeg())),
        {"NOT_A_FILE": 1, "OK": 1},
        ("l.jpg", "z.jpg"),
    ),
    HostileArchive("400 folders deep", lambda: zip_of({"d/" * 400 + "a.jpg": a_jpeg()}), {"OK": 1}),
    HostileArchive(
        "a name of 5,000 characters", lambda: zip_of({"n" * 5000 + ".jpg": a_jpeg()}), {"OK": 1}, ("n" * 250 + "….jpg",)
    ),
    HostileArchive("a folder called x.jpg", lambda: zip_of({"x.jpg/": b"", "x.jpg/a.jpg": a_jpeg()}), {"OK": 1}),
    HostileArchive(
        "good and bad together",
        lambda: zip_of(
            {
                "a.jpg": a_jpeg(),
                "cut.jpg": a_jpeg()[:3000],
                "t.txt": b"hi",
                "b.png": png(50_000, 50_000, b""),
                "n.pdf": b"%PDF-1.4",
            }
        ),
        {"OK": 1, "UNREADABLE": 1, "NOT_AN_IMAGE": 1, "TOO_MANY_PIXELS": 1, "UNSUPPORTED": 1},
    ),
    HostileArchive("random", lambda: b"PK\3\4" + random.Random(5).randbytes(2000), "ARCHIVE_BROKEN"),
    HostileArchive("7z", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(200), "NOT_AN_ARCHIVE"),
    HostileArchive("rar", lambda: b"Rar!\x1a\x07\1\0" + bytes(200), "NOT_AN_ARCHIVE"),
    HostileArchive("nul in a name", nul_name, {"BAD_NAME": 1, "OK": 1}),
)


# -- tar -------------------------------------------------------------------------------------------------------


def member(
    name: str, content: bytes | None = None, *, kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    content = a_jpeg() if content is None and kind == tarfile.REGTYPE else content or b""
    info.size = len(content)
    return info, content


def tar_members(*members: tuple[tarfile.TarInfo, bytes], file_format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=file_format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def with_pax_path(path: str) -> tuple[tarfile.TarInfo, bytes]:
    info, content = member("a.jpg")
    info.pax_headers = {"path": path}
    return info, content


def setuid() -> tuple[tarfile.TarInfo, bytes]:
    info, content = member("a.jpg")
    info.mode = 0o4777
    return info, content


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def negative_size() -> bytes:
    block = bytearray(header("a.jpg", 0))
    block[124:136], block[148:156] = b"\xff" * 12, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + a_jpeg() + bytes(2048)


def damaged_header() -> bytes:
    data = bytearray(tar_of({"a.jpg": a_jpeg(), "b.jpg": a_jpeg()}))
    data[data.index(b"b.jpg")] ^= 0xFF
    return bytes(data)


def zeros(compress: Callable[[bytes], bytes]) -> bytes:
    return compress(header("big.bmp", 128 * MIB) + bytes(128 * MIB))


def without_end() -> bytes:
    """Cut between two members: nothing but the missing end mark tells."""
    data = tar_of({"a.jpg": a_jpeg(), "b.jpg": a_jpeg()})
    return data[: data.index(b"b.jpg")]


_LINK_AND_PHOTO: dict[str, int] = {"NOT_A_FILE": 1, "OK": 1}

TARS = (
    HostileArchive("good", lambda: tar_of({"a.jpg": a_jpeg(), "d/b.jpg": a_jpeg()}), {"OK": 2}, ("a.jpg", "d/b.jpg")),
    *(
        HostileArchive(f"good {kind}", lambda kind=kind: tar_of({"a.jpg": a_jpeg()}, kind), {"OK": 1})
        for kind in ("gz", "bz2", "xz", "zst")
    ),
    HostileArchive("dots", lambda: tar_of({"../../../tmp/x.jpg": a_jpeg()}), {"OK": 1}, ("tmp/x.jpg",)),
    HostileArchive("absolute", lambda: tar_of({"/tmp/x.jpg": a_jpeg()}), {"OK": 1}, ("tmp/x.jpg",)),
    HostileArchive(
        "symbolic link",
        lambda: tar_members(member("p.jpg", kind=tarfile.SYMTYPE, target="/etc/passwd"), member("a.jpg")),
        _LINK_AND_PHOTO,
    ),
    HostileArchive(
        "linked folder, then a file in it",
        lambda: tar_members(member("d", kind=tarfile.SYMTYPE, target="../../../tmp"), member("d/x.jpg")),
        _LINK_AND_PHOTO,
    ),
    HostileArchive(
        "hard link",
        lambda: tar_members(member("h.jpg", kind=tarfile.LNKTYPE, target="../../etc/passwd"), member("a.jpg")),
        _LINK_AND_PHOTO,
    ),
    HostileArchive(
        "hard link to a deeper link (CVE-2026-11940)",
        lambda: tar_members(
            member("a/b/c/d/s", kind=tarfile.SYMTYPE, target="../../../../x"),
            member("s2", kind=tarfile.LNKTYPE, target="a/b/c/d/s"),
            member("a.jpg"),
        ),
        {"NOT_A_FILE": 2, "OK": 1},
    ),
    HostileArchive(
        "devices",
        lambda: tar_members(
            member("d.jpg", kind=tarfile.CHRTYPE), member("f.jpg", kind=tarfile.FIFOTYPE), member("a.jpg")
        ),
        {"NOT_A_FILE": 2, "OK": 1},
    ),
    HostileArchive("setuid", lambda: tar_members(setuid()), {"OK": 1}),
    HostileArchive(
        "another path in a pax header", lambda: tar_members(with_pax_path("../../tmp/x.jpg")), {"OK": 1}, ("tmp/x.jpg",)
    ),
    HostileArchive(
        "a name of 1 GB", lambda: gzip.compress(header("././@LongLink", 1024 * MIB, b"L") + b"A" * MIB), "ARCHIVE_BOMB"
    ),
    HostileArchive("negative size", negative_size, "ARCHIVE_BROKEN"),
    HostileArchive("damaged header", damaged_header, "ARCHIVE_BROKEN"),
    HostileArchive(
        "cut in a photo",
        lambda: tar_of({"a.jpg": a_jpeg(), "b.jpg": a_jpeg()})[: len(a_jpeg()) + 2000],
        "ARCHIVE_BROKEN",
    ),
    HostileArchive("cut between two photos", without_end, "ARCHIVE_BROKEN"),
    HostileArchive("gz that is cut", lambda: tar_of({"a.jpg": a_jpeg()}, "gz")[:-2000], "ARCHIVE_BROKEN"),
    HostileArchive("gz bomb", lambda: zeros(gzip.compress), "ARCHIVE_BOMB"),
    HostileArchive("xz bomb", lambda: zeros(lambda data: lzma.compress(data, preset=0)), "ARCHIVE_BOMB"),
    HostileArchive("bz2 bomb", lambda: zeros(bz2.compress), "ARCHIVE_BOMB"),
    HostileArchive(
        "xz that wants 1.5 GiB of memory",
        lambda: lzma.compress(
            tar_of({"a.jpg": a_jpeg()}), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1536 * MIB}]
        ),
        "ARCHIVE_BROKEN",
    ),
    HostileArchive("too many entries", lambda: tar_of(many_files(2_001), "gz"), "TOO_MANY_ENTRIES"),
    HostileArchive("empty", lambda: tar_of({}), "ARCHIVE_EMPTY"),
    HostileArchive("no bytes at all", lambda: b"", "ARCHIVE_EMPTY"),
    HostileArchive("gz of text", lambda: gzip.compress(b"hello" * 200), "ARCHIVE_BROKEN"),
    HostileArchive(
        "two in a row: the first counts",
        lambda: tar_of({"a.jpg": a_jpeg()}) + tar_members(member("p.jpg", kind=tarfile.SYMTYPE, target="/etc/passwd")),
        {"OK": 1},
    ),
    HostileArchive("a zip, whatever its name says", two_photos, {"OK": 2}),
    HostileArchive("a name twice", lambda: tar_members(member("a.jpg"), member("a.jpg")), {"OK": 2}),
    HostileArchive(
        "a name that is no text",
        lambda: tar_members(member("a\udcff.jpg"), file_format=tarfile.GNU_FORMAT),
        {"OK": 1},
        ("a\ufffd.jpg",),
    ),
    HostileArchive(
        "a long name",
        lambda: tar_members(member("n" * 200 + "/a.jpg"), file_format=tarfile.GNU_FORMAT),
        {"OK": 1},
        ("n" * 200 + "/a.jpg",),
    ),
)
