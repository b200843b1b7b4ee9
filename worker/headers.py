"""What a file is by its content, and how large its picture claims to be: checked before any decoder runs."""

import re
import struct
from collections.abc import Iterator

from db.errors import Refusal
from worker.limits import Limits

# Enough of a file to say what it is.
HEAD_BYTES = 4096

_PHOTOS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNSUPPORTED = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture; export it as JPEG"),
    (b"\xff\x0a", "a JPEG XL picture; export it as JPEG"),
    (b"\0\0\1\0", "an icon"),
    (b"\0\0\2\0", "a mouse pointer"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\0\0\1\xba", "a video"),
    (b"\0\0\1\xb3", "a video"),
    (b"FLV\1", "a video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a video"),
    (b"FUJIFILMCCD-RAW", "a RAW photo; export it as JPEG"),
    (b"IIU\0", "a RAW photo; export it as JPEG"),
    (b"IIRO", "a RAW photo; export it as JPEG"),
    (b"IIRS", "a RAW photo; export it as JPEG"),
    (b"MMOR", "a RAW photo; export it as JPEG"),
    (b"\0MRM", "a RAW photo; export it as JPEG"),
    (b"FOVb", "a RAW photo; export it as JPEG"),
    (b"II\x1a\0\0\0HEAPCCDR", "a RAW photo; export it as JPEG"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound file"),
    (b"fLaC", "a sound file"),
)
_RIFF_UNSUPPORTED = {b"AVI ": "a video", b"WAVE": "a sound file"}
_ARCHIVES = (b"PK\3\4", b"PK\5\6", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_GENERIC_BRANDS = frozenset({b"mif1", b"msf1", b"mif2", b"miaf", b"MiHB", b"MiHA", b"MiHE"})
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)

# TIFF tags that tell a camera's RAW file, which is a TIFF with a thumbnail in front, from a picture.
_NEW_SUBFILE_TYPE, _COMPRESSION, _SUB_IFDS, _DNG_VERSION = 254, 259, 330, 50706
_RAW_COMPRESSIONS = frozenset({6, 7, 32767, 32769, 32770, 34713, 65535})
_REDUCED_RESOLUTION = 1

# A marker in JPEG data: not a stuffed zero, not a restart, not a fill byte.
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01


def photo_format(head: bytes) -> str:
    """Names the format of a photo by its first bytes.

    Args:
        head: the first `HEAD_BYTES` of the file or more; all of it if it is shorter.

    Returns:
        JPEG, PNG, GIF, BMP, TIFF, WEBP, HEIC or AVIF.

    Raises:
        Refusal: EMPTY; UNSUPPORTED for a picture or film in a format that is not read; NOT_AN_IMAGE for all else.
    """
    if not head:
        raise Refusal("EMPTY")
    for magic, name in _PHOTOS:
        if head.startswith(magic):
            return name
    if head.startswith(_TIFF_MAGIC):
        return _tiff_or_raw(head)
    if head.startswith(b"RIFF"):
        return _riff_format(head)
    if head[4:8] == b"ftyp":
        return _ftyp_format(head)
    raise _no_photo(head)


def check_header(data: bytes, limits: Limits) -> str:
    """What must hold before a decoder sees `data`; some decoders allocate what a header claims.

    Returns:
        The format, as `photo_format` does.

    Raises:
        Refusal: TOO_BIG, TOO_MANY_PIXELS, TOO_COMPLEX, or as `photo_format`.
    """
    if len(data) > limits.max_photo_bytes:
        raise too_big(limits)
    name = photo_format(data[: 16 * HEAD_BYTES])
    for size in _claimed_sizes(name, data):
        check_size(*size, name, limits)
    # Every scan passes over the whole picture: 328 kB with 5,000 scans took more than 30 s to decode.
    if name == "JPEG" and data.count(b"\xff\xda") > limits.max_jpeg_scans and _scans(data) > limits.max_jpeg_scans:
        raise Refusal("TOO_COMPLEX", f"more than {limits.max_jpeg_scans} scans")
    return name


def check_size(width: int, height: int, name: str, limits: Limits) -> None:
    """Refuses a picture with more pixels than allowed, before they are decoded.

    Raises:
        Refusal: TOO_MANY_PIXELS.
    """
    max_pixels = limits.max_jpeg_pixels if name == "JPEG" else limits.max_pixels
    if width * height > max_pixels or max(width, height) > limits.max_side:
        detail = f"{width} x {height}; at most {max_pixels / 1e6:g} million, {limits.max_side} a side"
        raise Refusal("TOO_MANY_PIXELS", detail)


def too_big(limits: Limits) -> Refusal:
    """The refusal of a file with more bytes than a photo may have."""
    return Refusal("TOO_BIG", f"more than {limits.max_photo_bytes / 1024**2:g} MiB")


def _no_photo(head: bytes) -> Refusal:
    kind = next((kind for magic, kind in _UNSUPPORTED if head.startswith(magic)), None)
    if kind is None and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and _SVG.search(head[:HEAD_BYTES]):
        kind = "an SVG drawing"
    if kind is not None:
        return Refusal("UNSUPPORTED", kind)
    return Refusal("NOT_AN_IMAGE", "an archive inside" if head.startswith(_ARCHIVES) else "")


def _riff_format(head: bytes) -> str:
    form = head[8:12]
    if form == b"WEBP":
        return "WEBP"
    if kind := _RIFF_UNSUPPORTED.get(form):
        raise Refusal("UNSUPPORTED", kind)
    raise Refusal("NOT_AN_IMAGE")


def _ftyp_format(head: bytes) -> str:
    """HEIC, AVIF and most films share one container; brands tell them apart (ISO/IEC 14496-12, 23008-12)."""
    length = min(max(int.from_bytes(head[:4], "big"), 16), 256, len(head))
    major = head[8:12]
    brands = {major, *(head[at : at + 4] for at in range(16, length, 4))}
    if major in _HEIF_BRANDS or major in _AVIF_BRANDS or major in _GENERIC_BRANDS:
        return "AVIF" if brands & _AVIF_BRANDS else "HEIC"
    if major == b"crx ":
        raise Refusal("UNSUPPORTED", "a RAW photo; export it as JPEG")
    if major == b"M4A ":
        raise Refusal("UNSUPPORTED", "a sound file")
    raise Refusal("UNSUPPORTED", "a video")


def _tiff_or_raw(head: bytes) -> str:
    """TIFF, unless its first directory is the thumbnail of a camera's RAW file (CR2, NEF, ARW, DNG, PEF, ...)."""
    tags = _tiff_tags(head)
    thumbnail = tags.get(_NEW_SUBFILE_TYPE, 0) == _REDUCED_RESOLUTION or tags.get(_COMPRESSION, 1) in _RAW_COMPRESSIONS
    if head[8:10] == b"CR" or _DNG_VERSION in tags or (_SUB_IFDS in tags and thumbnail):
        raise Refusal("UNSUPPORTED", "a RAW photo; export it as JPEG")
    return "TIFF"


def _tiff_tags(head: bytes) -> dict[int, int]:
    """Tags of the first directory with short values; empty if it does not lie within `head`."""
    order = "<" if head[:1] == b"I" else ">"
    try:
        (offset,) = struct.unpack_from(f"{order}I", head, 4)
        (count,) = struct.unpack_from(f"{order}H", head, offset)
        entries = [struct.unpack_from(f"{order}HHIH", head, offset + 2 + 12 * i) for i in range(min(count, 200))]
    except struct.error:
        return {}
    return {tag: value for tag, _, _, value in entries}


def _claimed_sizes(name: str, data: bytes) -> Iterator[tuple[int, int]]:
    """Sizes in the header, for the formats whose decoders allocate before Pillow can look."""
    match name:
        case "PNG" if data[12:16] == b"IHDR":
            yield int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        case "GIF":
            yield int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
        case "BMP":
            yield _bmp_size(data)
        case "WEBP":
            yield _webp_size(data)
        case "HEIC" | "AVIF":
            yield from _ispe_sizes(data)
        case _:
            return


def _bmp_size(data: bytes) -> tuple[int, int]:
    if data[14:15] == b"\x0c":
        return int.from_bytes(data[18:20], "little"), int.from_bytes(data[20:22], "little")
    height = int.from_bytes(data[22:26], "little", signed=True)
    return int.from_bytes(data[18:22], "little"), abs(height)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas size from the first chunk (RFC 9649). A 34-byte file made the decoder allocate 16383 x 16383."""
    match data[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
        case b"VP8 ":
            width, height = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
            return width & 0x3FFF, height & 0x3FFF
        case _:
            raise Refusal("UNREADABLE")


def _ispe_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Every image size property in the `meta` box (ISO/IEC 23008-12, 6.5.3)."""
    start, end = _top_level_box(data, b"meta")
    at = data.find(b"ispe", start, end)
    while 0 <= at <= end - 16:
        yield struct.unpack_from(">II", data, at + 8)
        at = data.find(b"ispe", at + 16, end)


def _top_level_box(data: bytes, kind: bytes) -> tuple[int, int]:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        elif length == 0:
            length = len(data) - at
        if data[at + 4 : at + 8] == kind:
            return at, min(at + length, len(data))
        if length < 8:
            break
        at += length
    return 0, 0


def _scans(data: bytes) -> int:
    """Scans up to the end of the first picture. What follows it (a film, in phones' motion photos) is not decoded."""
    scans, at = 0, 2
    while (marker := _JPEG_MARKER.search(data, at)) is not None:
        at = marker.end()
        code = data[at - 1]
        if code == _EOI:
            break
        if code in (_SOI, _TEM):
            continue
        scans += code == _SOS
        at += int.from_bytes(data[at : at + 2], "big")
    return scans
