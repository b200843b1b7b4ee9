"""What a photo says of itself: orientation, time, camera and place, from EXIF that may be broken."""

import contextlib
import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

from db.names import clean_text

_DATE = re.compile(r"\s*(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?")
# Photography begins here; cameras without a clock write 0000 or 1904, which are no dates.
FIRST_YEAR = 1826
_UNSET = frozenset({dt.datetime(1904, 1, 1), dt.datetime(1970, 1, 1)})  # noqa: DTZ001 - EXIF has no zone
LAST_YEAR = 2100

UPRIGHT = 1
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the picture upright."""
SIDEWAYS = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""

MAX_TEXT_CHARS = 120

# Beyond these a value is an error of the file, not a property of a photo: (lowest, highest).
_EXPOSURE: Mapping[str, tuple[int, float, float]] = {
    "exposure_s": (ExifTags.Base.ExposureTime, 1e-7, 1e6),
    "f_number": (ExifTags.Base.FNumber, 0.1, 1e3),
    "iso": (ExifTags.Base.ISOSpeedRatings, 1, 1e8),
    "focal_length_mm": (ExifTags.Base.FocalLength, 0.1, 1e5),
}
_SIGNS = {"N": 1, "E": 1, "S": -1, "W": -1}
# About a metre: places without a hemisphere that lie this close to 0, 0 are cleared fields.
_NOWHERE = 1e-5


@dataclass(frozen=True)
class ExifFacts:
    """What is used of EXIF.

    Attributes:
        orientation: 1 to 8.
        taken_at: the camera's local time, without zone.
        broken: whether EXIF was there and could not be read.
        camera: maker and model, harmless to show.
        place: degrees north and east.
        exposure: lens, exposure_s, f_number, iso and focal_length_mm, those that are known.
    """

    orientation: int = UPRIGHT
    taken_at: dt.datetime | None = None
    broken: bool = False
    camera: str | None = None
    place: tuple[float, float] | None = None
    exposure: dict[str, Any] = field(default_factory=dict[str, Any])


def read_exif(image: Image.Image) -> ExifFacts:
    """Reads EXIF of a loaded image; broken EXIF is never a reason to refuse a photo."""
    try:
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, UPRIGHT)
        camera = exif.get_ifd(ExifTags.IFD.Exif)
        dates = (
            camera.get(ExifTags.Base.DateTimeOriginal),
            camera.get(ExifTags.Base.DateTimeDigitized),
            exif.get(ExifTags.Base.DateTime),
        )
    except Exception:  # noqa: BLE001 - Pillow raises a dozen types here, among them SyntaxError
        return ExifFacts(broken=True)
    taken_at = next((date for date in map(parse_date, dates) if date is not None), None)
    return ExifFacts(
        orientation if orientation in ORIENTATIONS else UPRIGHT,
        taken_at,
        camera=_camera(_value(exif, ExifTags.Base.Make), _value(exif, ExifTags.Base.Model)),
        place=_place(exif),
        exposure=_exposure(camera),
    )


def parse_date(value: object) -> dt.datetime | None:
    """An EXIF date ("2021:05:04 12:30:00"), or None for anything that is not one."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str) or (match := _DATE.match(value)) is None:
        return None
    year, month, day, hour, minute, second = (int(group or 0) for group in match.groups())
    try:
        date = dt.datetime(year, month, day, hour, minute, min(second, 59))  # noqa: DTZ001 - EXIF has no zone
    except ValueError:
        return None
    return date if FIRST_YEAR <= year <= LAST_YEAR and date not in _UNSET else None


def _camera(maker: object, model: object) -> str | None:
    """Maker and model; the model alone where it repeats the maker ("NIKON CORPORATION", "NIKON D70")."""
    maker, model = _text(maker), _text(model)
    repeated = model.split(" ", 1)[0].casefold() in maker.casefold().split()
    return clean_text(model if repeated else f"{maker} {model}", MAX_TEXT_CHARS) or None


def _place(exif: Image.Exif) -> tuple[float, float] | None:
    """Degrees north and east, if both are said and lie on Earth."""
    try:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # noqa: BLE001 - as above
        return None
    south_north = _sign(_value(gps, ExifTags.GPS.GPSLatitudeRef), "NS")
    west_east = _sign(_value(gps, ExifTags.GPS.GPSLongitudeRef), "WE")
    latitude = _degrees(_value(gps, ExifTags.GPS.GPSLatitude), south_north, 90)
    longitude = _degrees(_value(gps, ExifTags.GPS.GPSLongitude), west_east, 180)
    if latitude is None or longitude is None:
        return None
    unsaid = south_north is None and west_east is None
    return None if unsaid and max(abs(latitude), abs(longitude)) < _NOWHERE else (latitude, longitude)


def _sign(value: object, expected: str) -> int | None:
    letter = _text(value)[:1].upper()
    return _SIGNS[letter] if letter and letter in expected else None


def _degrees(value: Any, sign: int | None, highest: int) -> float | None:
    """Degrees, minutes and seconds, of which the later ones may be missing; signed by themselves without a `sign`."""
    parts = [_number(part) for part in _several(value)]
    if not 1 <= len(parts) <= 3 or parts[0] is None:
        return None
    rest = sum((abs(part or 0.0) / 60**power for power, part in enumerate(parts[1:], start=1)), 0.0)
    degrees = abs(parts[0]) + rest
    if sign is None:
        sign = -1 if parts[0] < 0 else 1
    return round(sign * degrees, 7) if degrees <= highest else None  # 7 decimals: 1 cm


def _exposure(camera: Mapping[int, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if lens := clean_text(_text(_value(camera, ExifTags.Base.LensModel)), MAX_TEXT_CHARS):
        found["lens"] = lens
    for name, (tag, lowest, highest) in _EXPOSURE.items():
        value = _value(camera, tag)
        number = _number(next(iter(_several(value)), None))
        if number is not None and lowest <= number <= highest:
            found[name] = round(number) if name == "iso" else float(f"{number:.6g}")
    return found


def _value(directory: Mapping[int, Any] | Image.Exif, tag: int) -> Any:
    """A tag's value. Pillow reads it only now, and raises a dozen types if it is broken."""
    with contextlib.suppress(Exception):
        return directory.get(tag)
    return None


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)  # pyright: ignore[reportUnknownVariableType]


def _number(value: Any) -> float | None:
    """A finite number, or None: fractions may have a denominator of 0."""
    with contextlib.suppress(ArithmeticError, ValueError, TypeError):
        number = float(value)
        return number if math.isfinite(number) else None
    return None


def _text(value: object) -> str:
    """Text up to its first NUL. Pillow takes it for Latin-1, as old cameras write it; new ones write UTF-8."""
    if isinstance(value, str):
        with contextlib.suppress(UnicodeError):
            return value.encode("latin-1").decode().split("\0", 1)[0].strip()
    elif isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.split("\0", 1)[0].strip() if isinstance(value, str) else ""
