"""Photos to pixels: the one decode function of tagging, training and evaluation."""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import imagehash
import numpy as np
from pi_heif import register_heif_opener  # pyright: ignore[reportUnknownVariableType]
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from db.errors import Refusal
from db.facts import PhotoFacts
from worker.headers import check_header, check_size
from worker.limits import Limits
from worker.metadata import ORIENTATIONS, SIDEWAYS, ExifFacts, read_exif

# Part of the address of features: raise it when the same file gives other pixels than before.
DECODE_VERSION = "squash-224-v1"
SIZE = 224
PREVIEW_SIZES = (320, 1024)
PREVIEW_QUALITY = 80
# 0 is the quickest of WebP's methods: 7.7 ms for 500 x 375 against 26 ms for the default 4, and 16 % larger.
PREVIEW_METHOD = 0

# A photo is first made as small as these still allow, which for JPEG costs a fraction of a full decode.
# A 12 MP photo (4032 x 3024) is worked on as 1008 x 756: its large preview is then 1008 px, not 1024.
WORKING_LONG_SIDE = 960
WORKING_SHORT_SIDE = 2 * SIZE
_SCALES = (8, 4, 2)

# Image.open(formats=...) finds only plugins that are imported; Pillow has 40 more, which nobody needs to attack.
PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
_PILLOW_NAMES = {"HEIC": "HEIF"}
_MAX_ICC_BYTES = 4 * 1024**2
_WHITE = 255

# One thread: the pool has a process for each core.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


@dataclass(frozen=True)
class Decoded:
    """A decoded photo.

    Attributes:
        pixels: uint8 (224, 224, 3), RGB, what the network gets.
        facts: what became known of the photo.
        previews: WebP files by the length of their longer side in px; a smaller photo is not enlarged.
    """

    pixels: np.ndarray
    facts: PhotoFacts
    previews: Mapping[int, bytes] = field(default_factory=dict[int, bytes])


def decode(data: bytes, limits: Limits, *, size: int = SIZE, previews: Sequence[int] = PREVIEW_SIZES) -> Decoded:
    """Decodes the first frame of a photo, upright, in sRGB on white, squashed to `size` x `size`.

    Hostile files are to be decoded in a process with limits (worker.decoder_pool), not by calling this.

    Args:
        data: the whole file.
        limits: bytes, pixels and scans that are accepted.
        size: side of `Decoded.pixels`.
        previews: longer sides of the previews to make; the pixels do not depend on it.

    Raises:
        Refusal: EMPTY, NOT_AN_IMAGE, UNSUPPORTED, UNREADABLE, TOO_BIG, TOO_MANY_PIXELS, TOO_COMPLEX or DECODER_LIMIT.
    """
    name = check_header(data, limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata and large pictures: both are dealt with here
            working, facts = _open_working(data, name, limits)
            facts = replace(facts, has_previews=bool(previews), phash=_phash(working))
            pixels = np.array(working.resize((size, size), Image.Resampling.BILINEAR))  # (size, size, 3)
            return Decoded(pixels, facts, {side: _preview(working, side) for side in previews})
    except Refusal:
        raise
    except MemoryError as error:
        raise Refusal("DECODER_LIMIT", "it needs more memory than allowed") from error
    except Image.DecompressionBombError as error:
        raise Refusal("TOO_MANY_PIXELS") from error
    except Exception as error:
        # Broken files make the decoders raise nearly every type there is; none of it is our fault.
        raise Refusal("UNREADABLE", "cut off" if "truncated" in str(error) else "") from error


def _open_working(data: bytes, name: str, limits: Limits) -> tuple[Image.Image, PhotoFacts]:
    """The photo as RGB, upright, no larger than needed, and its facts."""
    with Image.open(io.BytesIO(data), formats=(_PILLOW_NAMES.get(name, name),)) as image:
        full = image.size
        check_size(*full, name, limits)
        notes = ["FIRST_FRAME_ONLY"] if getattr(image, "is_animated", False) else []
        if name == "JPEG":
            scale = _scale(full)
            image.draft(None, (full[0] // scale, full[1] // scale))
        if ";16" in str(image.tile):  # the decoder drops the lower bits by itself, as with 16-bit RGB
            notes.append("DEPTH_REDUCED")
        image.load()
        if name != "JPEG":
            full = image.size  # TIFF turns itself upright while loading
        exif = read_exif(image)
        working = _to_srgb_on_white(_to_8_bit(image, notes), image.info.get("icc_profile"), notes)
    if exif.broken:
        notes.append("EXIF_IGNORED")
    if exif.orientation in ORIENTATIONS:
        working = working.transpose(ORIENTATIONS[exif.orientation])
    return working, _facts(name, full, exif, notes)


def _facts(name: str, full: tuple[int, int], exif: ExifFacts, notes: Sequence[str]) -> PhotoFacts:
    width, height = reversed(full) if exif.orientation in SIDEWAYS else full
    return PhotoFacts(
        name,
        width,
        height,
        exif.taken_at,
        ",".join(dict.fromkeys(notes)) or None,
        camera=exif.camera,
        latitude=exif.place and exif.place[0],
        longitude=exif.place and exif.place[1],
        exif=exif.exposure or None,
    )


def _scale(size: tuple[int, int]) -> int:
    """By how much a picture is made smaller before anything else: 1, 2, 4 or 8."""
    long, short = max(size), min(size)
    return next((s for s in _SCALES if long // s >= WORKING_LONG_SIDE and short // s >= WORKING_SHORT_SIDE), 1)


def _to_8_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """The picture in an 8-bit mode that can be scaled, made smaller."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        notes.append("DEPTH_REDUCED")
        image = Image.fromarray(_scaled_to_8_bit(np.asarray(image)))
    elif image.has_transparency_data:
        image = image.convert("LA" if mode in ("L", "LA", "La") else "RGBA")
    elif mode == "1":
        image = image.convert("L")
    elif mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    scale = _scale(image.size)
    return image.reduce(scale) if scale > 1 else image


def _scaled_to_8_bit(values: np.ndarray) -> np.ndarray:
    """Grey values of 16 or 32 bits to uint8: 16 bits by 257, others by 1, by 255 or by the highest."""
    if values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    is_float = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    highest = float(values.max(initial=0))
    top = 1.0 if is_float and highest <= 1 else max(highest, _WHITE)
    return np.clip(values * (_WHITE / top), 0, _WHITE).round().astype(np.uint8)


def _to_srgb_on_white(image: Image.Image, profile: object, notes: list[str]) -> Image.Image:
    if image.mode in ("LA", "RGBA"):
        solid = Image.new(image.mode[:-1], image.size, "white")
        solid.paste(image.convert(solid.mode), mask=image.getchannel("A"))
        image = solid
    if isinstance(profile, bytes) and profile:
        try:
            image = _apply_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            notes.append("ICC_IGNORED")
    return image.convert("RGB")


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    if len(profile) > _MAX_ICC_BYTES:
        msg = "profile too large"
        raise ValueError(msg)
    transform = _transform(profile, image.mode)
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=8)  # the photos of one camera share their profile
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What turns `mode` with `profile` into sRGB; None where it already is."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if mode == "RGB" and ImageCms.getProfileDescription(source).startswith("sRGB"):
        return None
    return ImageCms.buildTransform(source, _srgb(), mode, "RGB")


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownArgumentType]


def _phash(working: Image.Image) -> int:
    """Pictures that look alike differ in few bits: enlarged, saved again or slightly changed, mostly in up to ten.

    6 ms for 1008 x 756, nearly all of it for making the picture small.
    """
    bits = np.asarray(imagehash.phash(working).hash, bool)  # (8, 8)
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)


def _preview(working: Image.Image, side: int) -> bytes:
    """A WebP without metadata, at most `side` px long, never enlarged."""
    scale = side / max(working.size)
    if scale < 1:
        size = (max(1, round(working.width * scale)), max(1, round(working.height * scale)))
        working = working.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    working.save(out, "WEBP", quality=PREVIEW_QUALITY, method=PREVIEW_METHOD)
    return out.getvalue()
