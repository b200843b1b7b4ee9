"""Hostile and odd photos, made when asked for, each with the outcome it must have. None is taken from anywhere."""

import random
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from PIL import Image

from tests.samples import ORIENTATION, encoded, jpeg, picture

MIB = 1024**2


@dataclass(frozen=True)
class HostilePhoto:
    """A file, and the code that refuses it; None: it is tagged, with `note` among the decoder's notes."""

    name: str
    make: Callable[[], bytes]
    code: str | None = None
    note: str | None = None

    def __str__(self) -> str:
        return self.name


@cache
def a_jpeg() -> bytes:
    return jpeg()


@cache
def a_png() -> bytes:
    return encoded(picture(), "PNG")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes, *, colour_type: int = 0, depth: int = 8, extra: bytes = b"") -> bytes:
    """A PNG whose header says what it is told to."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(pixels, 1)) + chunk(b"IEND", b"")


def bmp_header(width: int, height: int, *, bits: int = 24, compression: int = 0) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)


def tiff_header(tags: Mapping[int, int]) -> bytes:
    """A TIFF of one directory with short and long values, and no pixels."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def tiff_of_pages(count: int) -> bytes:
    """Directories one behind the other, which all refer to the same 8 x 8 pixels."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    first, length = 8 + 64, 2 + len(entries) + 4
    pages = [
        struct.pack("<H", len(tags)) + entries + struct.pack("<I", (first + (page + 1) * length) * (page + 1 < count))
        for page in range(count)
    ]
    return b"II*\0" + struct.pack("<I", first) + bytes(range(64)) + b"".join(pages)


def frames(count: int) -> list[Image.Image]:
    return [picture(16, 16, (40 + n % 200, 80, 200 - n % 200)) for n in range(count)]


def animated(file_format: str, count: int) -> bytes:
    first, *rest = frames(count)
    return encoded(first, file_format, save_all=True, append_images=rest)


def flipped_bits() -> bytes:
    data, chance = bytearray(a_jpeg()), random.Random(5)
    for _ in range(40):
        data[chance.randrange(700, len(data) - 2)] = chance.randrange(255)
    return bytes(data)


def damaged_png() -> bytes:
    data = bytearray(a_png())
    data[data.index(b"IDAT") + 30] ^= 0xFF
    return bytes(data)


def many_scans(count: int = 5000) -> bytes:
    """A progressive JPEG whose last scan is repeated: 5,000 take a decoder without a limit more than 30 s."""
    data = encoded(Image.new("L", (4000, 4000), 128), "JPEG", progressive=True, quality=50)
    last = data.rfind(b"\xff\xda")
    tables = data.rfind(b"\xff\xc4", 0, last)
    return data[:-2] + data[tables:-2] * count + b"\xff\xd9"


def jpeg_of_size(height: int, width: int) -> bytes:
    data = bytearray(a_jpeg())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def cyclic_tiff() -> bytes:
    data = bytearray(encoded(picture(64, 64), "TIFF"))
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * count, directory)
    return bytes(data)


def gif_of_canvas(width: int, height: int) -> bytes:
    data = bytearray(animated("GIF", 2))
    struct.pack_into("<HH", data, 6, width, height)
    return bytes(data)


def broken_exif() -> bytes:
    segment = b"\xff\xe1" + struct.pack(">H", 60) + b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 44
    return a_jpeg()[:2] + segment + a_jpeg()[2:]


def with_alpha(alpha: int) -> bytes:
    image = picture().convert("RGBA")
    image.putalpha(alpha)
    return encoded(image, "PNG")


def ftyp(brand: bytes, *compatible: bytes) -> bytes:
    """The box that films, HEIC and AVIF begin with, and nothing that could be decoded."""
    body = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + bytes(400)


def heif_of_size(width: int, height: int) -> bytes:
    ispe = struct.pack(">I4sIII", 20, b"ispe", 0, width, height)
    return ftyp(b"heic", b"mif1")[:20] + struct.pack(">I4sI", 12 + len(ispe), b"meta", 0) + ispe


_TEXT = chunk(b"zTXt", b"c\0\0" + zlib.compress(b"A" * (8 * MIB)))
_PROFILE = chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"A" * (8 * MIB)))

PHOTOS = (
    HostilePhoto("empty", lambda: b"", "EMPTY"),
    HostilePhoto("one byte", lambda: b"\xff", "NOT_AN_IMAGE"),
    HostilePhoto("text", lambda: b"hello, I am no photo\n" * 20, "NOT_AN_IMAGE"),
    HostilePhoto("html with script", lambda: b"<html><script>alert(1)</script></html>", "NOT_AN_IMAGE"),
    HostilePhoto(
        "svg with script", lambda: b'<?xml version="1.0"?>\n<svg xmlns="x"><script>1</script></svg>', "UNSUPPORTED"
    ),
    HostilePhoto("pdf", lambda: b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF", "UNSUPPORTED"),
    HostilePhoto("eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n", "UNSUPPORTED"),
    HostilePhoto("jpeg cut in half", lambda: a_jpeg()[: len(a_jpeg()) // 2], "UNREADABLE"),
    HostilePhoto("jpeg cut in its header", lambda: a_jpeg()[:200], "UNREADABLE"),
    HostilePhoto("jpeg without its last bytes", lambda: a_jpeg()[:-200], "UNREADABLE"),
    HostilePhoto("jpeg with flipped bits", flipped_bits),
    HostilePhoto("jpeg that is a zip too", lambda: a_jpeg() + b"PK\5\6" + bytes(18)),
    HostilePhoto("jpeg with html behind it", lambda: a_jpeg() + b"<script>alert(1)</script>"),
    HostilePhoto("png with a wrong checksum", damaged_png, "UNREADABLE"),
    HostilePhoto("png cut", lambda: a_png()[: len(a_png()) // 3], "UNREADABLE"),
    HostilePhoto("png of 50,000 squared", lambda: png(50_000, 50_000, bytes(6251 * 50), depth=1), "TOO_MANY_PIXELS"),
    HostilePhoto("png of 108 megapixels", lambda: png(12_000, 9_000, bytes(9_000 * 12_001)), "TOO_MANY_PIXELS"),
    HostilePhoto("png that claims 2^31 squared", lambda: png(2**31 - 1, 2**31 - 1, b""), "TOO_MANY_PIXELS"),
    HostilePhoto("png of width 0", lambda: png(0, 10, bytes(10)), "UNREADABLE"),
    HostilePhoto("png with a text bomb", lambda: png(8, 8, bytes(72), extra=_TEXT), "UNREADABLE"),
    HostilePhoto("png with a profile bomb", lambda: png(8, 8, bytes(72), extra=_PROFILE), "UNREADABLE"),
    HostilePhoto("png of 200,000 chunks", lambda: png(8, 8, bytes(72), extra=chunk(b"tEXt", b"a\0b") * 200_000)),
    HostilePhoto("gif of 300 frames", lambda: animated("GIF", 300), note="FIRST_FRAME_ONLY"),
    HostilePhoto("gif without a frame", lambda: b"GIF89a\x0a\0\x0a\0\0\0\0;", "UNREADABLE"),
    HostilePhoto("gif of 65535 squared", lambda: gif_of_canvas(65535, 65535), "TOO_MANY_PIXELS"),
    HostilePhoto("animated png", lambda: animated("PNG", 50), note="FIRST_FRAME_ONLY"),
    HostilePhoto("animated webp", lambda: animated("WEBP", 50), note="FIRST_FRAME_ONLY"),
    HostilePhoto(
        "webp that claims 16383 squared",
        lambda: b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(9),
        "TOO_MANY_PIXELS",
    ),
    HostilePhoto("tiff of 3,000 pages", lambda: tiff_of_pages(3000), note="FIRST_FRAME_ONLY"),
    HostilePhoto("tiff whose pages are a circle", cyclic_tiff),
    HostilePhoto(
        "tiff of 900 megapixels",
        lambda: tiff_header({256: 30_000, 257: 30_000, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 30_000, 279: 99}),
        "TOO_MANY_PIXELS",
    ),
    HostilePhoto("bmp of 3.6 gigapixels", lambda: bmp_header(60_000, 60_000), "TOO_MANY_PIXELS"),
    HostilePhoto(
        "bmp cut in its runs",
        lambda: bmp_header(7000, 7000, bits=8, compression=1) + bytes(1024) + b"\xff\x01" * 200,
        "UNREADABLE",
    ),
    HostilePhoto(
        "psd", lambda: b"8BPS\0\1" + bytes(6) + b"\0\3" + struct.pack(">II", 30_000, 30_000) + bytes(64), "UNSUPPORTED"
    ),
    HostilePhoto("fits", lambda: b"SIMPLE  =                    T".ljust(2880), "NOT_AN_IMAGE"),
    HostilePhoto("jpeg 2000", lambda: encoded(picture(64, 64), "JPEG2000"), "UNSUPPORTED"),
    HostilePhoto("avif", lambda: encoded(picture(64, 64), "AVIF")),
    HostilePhoto("heic of nothing but a header", lambda: ftyp(b"heic", b"mif1", b"heic"), "UNREADABLE"),
    HostilePhoto("heic that claims 65535 squared", lambda: heif_of_size(65535, 65535), "TOO_MANY_PIXELS"),
    HostilePhoto("cmyk", lambda: encoded(picture().convert("CMYK"), "JPEG")),
    HostilePhoto("grey", lambda: encoded(picture().convert("L"), "JPEG")),
    HostilePhoto("16 bits", lambda: encoded(Image.new("I;16", (64, 64), 40_000), "PNG"), note="DEPTH_REDUCED"),
    HostilePhoto("1 bit", lambda: encoded(picture().convert("1"), "PNG")),
    HostilePhoto("palette with transparency", lambda: encoded(picture().convert("P"), "PNG", transparency=0)),
    HostilePhoto("fully transparent", lambda: with_alpha(0)),
    HostilePhoto("grey with alpha", lambda: encoded(picture().convert("LA"), "PNG")),
    HostilePhoto("lying on its side", lambda: jpeg(exif={ORIENTATION: 6})),
    HostilePhoto("broken exif", broken_exif),
    HostilePhoto("orientation 99", lambda: jpeg(exif={ORIENTATION: 99})),
    HostilePhoto(
        "garbage for a profile", lambda: encoded(picture(), "JPEG", icc_profile=b"garbage" * 200), note="ICC_IGNORED"
    ),
    HostilePhoto("one pixel", lambda: encoded(picture(1, 1), "PNG")),
    HostilePhoto("1 x 60,000", lambda: encoded(Image.new("RGB", (1, 60_000)), "PNG"), "TOO_MANY_PIXELS"),
    HostilePhoto("png, whatever its name says", a_png),
    HostilePhoto("40 MB behind a jpeg", lambda: a_jpeg() + bytes(40 * MIB), "TOO_BIG"),
    HostilePhoto("5,000 scans", many_scans, "TOO_COMPLEX"),
    HostilePhoto(
        "mpo", lambda: encoded(picture(), "MPO", save_all=True, append_images=[picture()]), note="FIRST_FRAME_ONLY"
    ),
    HostilePhoto("jpeg that claims 65535 squared", lambda: jpeg_of_size(65535, 65535), "TOO_MANY_PIXELS"),
    HostilePhoto("jpeg of height 0", lambda: jpeg_of_size(0, 640), "UNREADABLE"),
    HostilePhoto("icon", lambda: encoded(picture(64, 64), "ICO"), "UNSUPPORTED"),
    HostilePhoto("jpeg cut after its first marker", lambda: b"\xff\xd8\xff\xe0", "UNREADABLE"),
    HostilePhoto("good", a_jpeg),
    HostilePhoto("motion photo: a film behind a jpeg", lambda: a_jpeg() + b"\xff\xda\0\x08" * 50_000),
    HostilePhoto("film", lambda: ftyp(b"isom", b"mp42"), "UNSUPPORTED"),
    HostilePhoto("film of an old camera", lambda: b"RIFF\0\0\0\0AVI LIST" + bytes(100), "UNSUPPORTED"),
    HostilePhoto("jpeg xl", lambda: b"\xff\x0a" + bytes(100), "UNSUPPORTED"),
    HostilePhoto("raw of canon", lambda: b"II*\0\x10\0\0\0CR\2\0" + bytes(400), "UNSUPPORTED"),
    HostilePhoto("raw as dng", lambda: tiff_header({254: 1, 256: 160, 257: 120, 330: 999, 50706: 1}), "UNSUPPORTED"),
    HostilePhoto("raw of nikon", lambda: tiff_header({254: 1, 256: 160, 257: 120, 259: 1, 330: 999}), "UNSUPPORTED"),
)
