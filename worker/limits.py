"""What a photo, an archive and a decoder may cost. Enforced while bytes stream, never from headers alone."""

from dataclasses import dataclass

KIB, MIB, GIB = 1024, 1024**2, 1024**3


@dataclass(frozen=True)
class Limits:
    """The limits of intake and decoding. Sizes in bytes, times in seconds."""

    max_photo_bytes: int = 100 * MIB
    # JPEG is decoded small (draft mode), so a 200 MP phone photo is cheap; other formats decode in full
    max_jpeg_pixels: int = 200_000_000
    max_pixels: int = 64_000_000
    max_side: int = 30_000
    max_jpeg_scans: int = 200
    max_archive_bytes: int = 20 * GIB
    max_entries: int = 200_000
    max_unpacked_bytes: int = 40 * GIB
    max_entry_ratio: int = 200
    max_stream_ratio: int = 100
    max_tar_header: int = 64 * KIB
    decoder_memory_bytes: int = 2 * GIB
    decoder_cpu_s: int = 20
    decoder_wall_s: float = 30.0
