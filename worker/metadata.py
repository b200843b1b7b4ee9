"""What a photo says of itself: orientation and the time it was taken, from EXIF that may be broken."""

import datetime as dt
import re
from dataclasses import dataclass

from PIL import ExifTags, Image

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


@dataclass(frozen=True)
class ExifFacts:
    """What is used of EXIF.

    Attributes:
        orientation: 1 to 8.
        taken_at: the camera's local time, without zone.
        broken: whether EXIF was there and could not be read.
    """

    orientation: int = UPRIGHT
    taken_at: dt.datetime | None = None
    broken: bool = False


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
    return ExifFacts(orientation if orientation in ORIENTATIONS else UPRIGHT, taken_at)


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
