"""What decoding finds out about a photo. Apart from everything else, so that decoder processes import little."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class PhotoFacts:
    """What is stored with a photo once it was decoded.

    Attributes:
        format: JPEG, PNG, GIF, BMP, TIFF, WEBP, HEIC or AVIF, by content.
        width: px, after EXIF orientation.
        height: px.
        taken_at: the camera's local time, without zone.
        notes: comma separated: FIRST_FRAME_ONLY, DEPTH_REDUCED, EXIF_IGNORED, ICC_IGNORED; may be empty.
    """

    format: str
    width: int
    height: int
    taken_at: dt.datetime | None = None
    notes: str = ""
