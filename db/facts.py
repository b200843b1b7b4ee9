"""What decoding finds out about a photo. Apart from everything else, so that decoder processes import little."""

import datetime as dt
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What is stored with a photo once it was decoded.

    Attributes:
        format: JPEG, PNG, GIF, BMP, TIFF, WEBP, HEIC or AVIF, by content.
        width: px, after EXIF orientation.
        height: px.
        taken_at: the camera's local time, without zone.
        notes: comma separated: FIRST_FRAME_ONLY, DEPTH_REDUCED, EXIF_IGNORED, ICC_IGNORED; None without any.
        has_previews: previews of 320 and 1024 px were made.
        camera: maker and model as EXIF names them, once each, harmless to show; at most 120 characters.
        latitude: degrees north, -90 to 90; None unless longitude is known too.
        longitude: degrees east, -180 to 180.
        exif: of lens (at most 120 characters), exposure_s, f_number, iso and focal_length_mm those that are known.
        phash: `imagehash.phash` of the upright picture, its 64 bits read as a signed number, first bit highest.
    """

    format: str
    width: int
    height: int
    taken_at: dt.datetime | None = None
    notes: str | None = None
    has_previews: bool = True
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    exif: dict[str, Any] | None = None
    phash: int | None = None
