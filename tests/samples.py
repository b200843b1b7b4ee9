"""Pictures and archives made for the tests: none is stored in the repository, all are drawn from numbers."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION, DATE_TIME, DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x0112, 0x0132, 0x9003, 0x9004
MAKE, MODEL, EXPOSURE_TIME, F_NUMBER, ISO = 0x010F, 0x0110, 0x829A, 0x829D, 0x8827
FOCAL_LENGTH, LENS_MODEL, GPS = 0x920A, 0xA434, 0x8825
_EXIF_IFD = 0x8769

# 64 x 48, four flat quarters: red, green, blue, white. Drawn by us, written with x265: nothing we ship writes HEIC.
HEIC_QUARTERS = Path(__file__).parent / "data" / "quarters.heic"


def picture(width: int = 640, height: int = 480, colour: tuple[int, int, int] = (200, 80, 40)) -> Image.Image:
    """A smooth picture that is brighter to the right and bluer to the bottom: no two of its sides look alike."""
    x = np.linspace(0.3, 1.0, width)[None, :, None]
    y = np.linspace(0.0, 1.0, height)[:, None, None]
    blue = np.array([0, 0, 120])
    return Image.fromarray(np.clip(np.array(colour) * x + blue * y, 0, 255).astype(np.uint8))


def scene(seed: int, width: int = 640, height: int = 480) -> Image.Image:
    """A picture with structure that looks like that of no other seed: no two are near-duplicates."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """`image` as a file of a format that Pillow writes."""
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def jpeg(
    width: int = 640,
    height: int = 480,
    colour: tuple[int, int, int] = (200, 80, 40),
    *,
    exif: Mapping[int, Any] | None = None,
    quality: int = 85,
) -> bytes:
    """A JPEG; `exif` maps tags to values, those of the moment (dates, exposure) go where cameras write them."""
    return encoded(picture(width, height, colour), "JPEG", quality=quality, exif=exif_bytes(exif or {}))


def exif_bytes(tags: Mapping[int, Any]) -> bytes:
    """EXIF as a file carries it; empty without tags."""
    if not tags:
        return b""
    exif = Image.Exif()
    camera = {tag: value for tag, value in tags.items() if tag >= EXPOSURE_TIME and tag != GPS}
    for tag, value in tags.items():
        if tag not in camera:
            exif[tag] = value
    if camera:
        exif[_EXIF_IFD] = camera
    return exif.tobytes()


def photo_folder(folder: Path, count: int, *, width: int = 64, height: int = 48) -> list[Path]:
    """Writes `count` different photos, ten to a subfolder, and returns their paths in order."""
    paths: list[Path] = []
    for number in range(count):
        path = folder / f"album-{number // 10:03}" / f"photo-{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(numbered_photo(number, width=width, height=height))
        paths.append(path)
    return paths


def numbered_photo(number: int, *, width: int = 64, height: int = 48) -> bytes:
    """A small photo that differs from every other number's, in its bytes and in its colours."""
    colour = (40 + 53 * number % 200, 40 + 101 * number % 200, 40 + 31 * number % 200)
    return jpeg(width, height, colour) + f"photo {number}".encode()  # bytes after the end are not decoded


def zip_of(files: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A .zip; a name that ends with "/" is a folder."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    return out.getvalue()


def tar_of(files: Mapping[str, bytes], compression: str = "") -> bytes:
    """A .tar; `compression` is "", "gz", "bz2", "xz" or "zst". A name that ends with "/" is a folder."""
    out = io.BytesIO()
    mode: Any = "w" if compression in ("", "zst") else f"w:{compression}"
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return zstd(out.getvalue()) if compression == "zst" else out.getvalue()


def zstd(data: bytes) -> bytes:
    """`data` compressed by Zstandard."""
    from backports.zstd import compress

    return compress(data)
