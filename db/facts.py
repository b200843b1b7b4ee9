"""What decoding finds out about a photo. Apart from everything else, so that decoder processes import little."""

import datetime as dt
from dataclasses import dataclass


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
    """

    format: str
    width: int
    height: int
    taken_at: dt.datetime | None = None
    notes: str | None = None
    has_previews: bool = True
