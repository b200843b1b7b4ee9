"""Decoding: every format, upright, in sRGB, on white; what is refused, and why."""

import io
import zlib

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageCms

from db.errors import Refusal
from tests.hostile_photos import chunk, png
from tests.samples import (
    DATE_TIME,
    HEIC_QUARTERS,
    ORIENTATION,
    encoded,
    exif_bytes,
    jpeg,
    picture,
)
from worker.decoding import PREVIEW_SIZES, decode
from worker.limits import Limits
from worker.metadata import ORIENTATIONS

LIMITS = Limits()
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
UNDO = {
    Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
    Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
}


def pixels_of(data: bytes) -> np.ndarray:
    return decode(data, LIMITS, previews=()).pixels.astype(int)


def phash_of(data: bytes) -> int:
    phash = decode(data, LIMITS, previews=()).facts.phash
    assert phash is not None
    return phash


def code_of(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(Refusal) as refusal:
        decode(data, limits)
    return refusal.value.code


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_picture_looks_the_same_in_every_format(file_format: str) -> None:
    """Name, size and pixels are right, as far as the format's own losses allow."""
    decoded = decode(encoded(picture(), file_format), LIMITS)

    assert (decoded.facts.format, decoded.facts.width, decoded.facts.height) == (file_format, 640, 480)
    assert decoded.pixels.shape == (224, 224, 3)
    assert decoded.pixels.dtype == np.uint8
    expected = np.asarray(picture().resize((224, 224), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decoded.pixels - expected).mean() < (6 if file_format == "GIF" else 2)


def test_heic_is_decoded() -> None:
    """Each quarter of the sample has its colour."""
    decoded = decode(HEIC_QUARTERS.read_bytes(), LIMITS)

    assert (decoded.facts.format, decoded.facts.width, decoded.facts.height) == ("HEIC", 64, 48)
    corners = decoded.pixels[[10, 10, -10, -10], [10, -10, 10, -10]].astype(int)
    assert np.abs(corners - [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_photos_are_turned_upright(file_format: str, orientation: int) -> None:
    """However the camera was held, the pixels are nearly those of the upright picture."""
    image = picture()
    if orientation in ORIENTATIONS:
        turn = ORIENTATIONS[orientation]
        image = image.transpose(UNDO.get(turn, turn))
    exif = exif_bytes({ORIENTATION: orientation})

    decoded = decode(encoded(image, file_format, exif=exif), LIMITS)

    assert (decoded.facts.width, decoded.facts.height) == (640, 480)
    assert np.abs(decoded.pixels - pixels_of(encoded(picture(), file_format))).mean() < 2


def test_transparency_becomes_white() -> None:
    """Alpha, a transparent palette entry, and a transparent colour all show the page behind."""
    rgba = picture().convert("RGBA")
    rgba.putalpha(0)
    grey = Image.new("LA", (64, 64), (0, 0))
    palette = Image.new("P", (64, 64), 3)
    palette.putpalette(bytes(range(256)) * 3)

    for data in (
        encoded(rgba, "PNG"),
        encoded(rgba, "WEBP"),
        encoded(grey, "PNG"),
        encoded(palette, "PNG", transparency=3),
        encoded(Image.new("RGB", (64, 64), (9, 9, 9)), "PNG", transparency=(9, 9, 9)),
    ):
        assert pixels_of(data).min() > 250


def test_half_transparency_is_mixed_with_white() -> None:
    """Black at half strength is grey."""
    data = encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 128)), "PNG")

    assert abs(pixels_of(data).mean() - 127) < 2


@pytest.mark.parametrize("value", [0, 257, 40_000, 65_535])
def test_16_bits_are_scaled_to_8(value: int) -> None:
    """By 257, so that white stays white; and the photo says so."""
    decoded = decode(encoded(Image.new("I;16", (64, 64), value), "PNG"), LIMITS)

    assert np.all(decoded.pixels == round(value / 257))
    assert decoded.facts.notes == "DEPTH_REDUCED"


def test_16_bits_a_colour_are_noted() -> None:
    """Pillow drops the lower half by itself; the note still says so."""
    row = b"\0" + b"\xff\xff\x80\x00\x00\x00" * 8
    decoded = decode(png(8, 8, row * 8, colour_type=2, depth=16), LIMITS)

    assert np.all(decoded.pixels == [255, 128, 0])
    assert decoded.facts.notes == "DEPTH_REDUCED"


@pytest.mark.parametrize("top", [1.0, 255.0, 65_535.0, 1000.0])
def test_floating_point_pictures_use_their_range(top: float) -> None:
    """Scientific TIFF: half of the range is half of grey."""
    ramp = np.array([[0.0, top / 2, top]], np.float32).repeat(8, axis=0).repeat(8, axis=1)
    pixels = pixels_of(encoded(Image.fromarray(ramp), "TIFF"))

    assert pixels.min() == 0
    assert abs(pixels[:, 112].mean() - 127) < 3
    assert pixels.max() == 255


def test_grey_one_bit_and_print_colours_become_rgb() -> None:
    """Grey stays grey; CMYK, which Adobe stores inverted, keeps its colours."""
    grey = pixels_of(encoded(picture().convert("L"), "JPEG"))
    one_bit = pixels_of(encoded(Image.new("1", (64, 64), 1), "PNG"))
    cmyk = pixels_of(encoded(picture().convert("CMYK"), "JPEG", quality=95))

    assert np.ptp(grey, axis=2).max() == 0
    assert one_bit.min() == 255
    assert np.abs(cmyk - pixels_of(encoded(picture(), "PNG"))).mean() < 3


def test_lab_pictures_become_rgb() -> None:
    """A TIFF in Lab: L=255 and neutral a and b is white."""
    lab = Image.merge("LAB", [Image.new("L", (64, 64), value) for value in (255, 128, 128)])

    assert pixels_of(encoded(lab, "TIFF")).min() > 245


def test_colours_are_converted_by_the_profile() -> None:
    """A profile that has red and blue swapped makes a red picture blue."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # pyright: ignore[reportUnknownArgumentType]
    swapped = srgb.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))

    decoded = decode(encoded(Image.new("RGB", (64, 64), (255, 0, 0)), "PNG", icc_profile=swapped), LIMITS)

    assert decoded.pixels[112, 112].tolist() == pytest.approx([0, 0, 255], abs=3)
    assert decoded.facts.notes is None


def test_a_broken_profile_is_ignored_with_a_note() -> None:
    """The photo is decoded as if it had none."""
    decoded = decode(encoded(picture(), "JPEG", icc_profile=b"garbage" * 200), LIMITS)

    assert decoded.facts.notes == "ICC_IGNORED"
    assert np.array_equal(decoded.pixels, pixels_of(encoded(picture(), "JPEG")))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_broken_exif_is_ignored_with_a_note(file_format: str) -> None:
    """A photo is never refused for its EXIF."""
    decoded = decode(encoded(picture(), file_format, exif=b"Exif\0\0garbage garbage"), LIMITS)

    assert decoded.facts.notes == "EXIF_IGNORED"
    assert np.array_equal(decoded.pixels, pixels_of(encoded(picture(), file_format)))


def test_large_photos_are_decoded_small_and_look_the_same() -> None:
    """12 MP: the facts tell the full size, the pixels are those of a full decode."""
    data = jpeg(4032, 3024)

    decoded = decode(data, LIMITS)

    full = Image.open(io.BytesIO(data)).resize((224, 224), Image.Resampling.BILINEAR)
    assert (decoded.facts.width, decoded.facts.height) == (4032, 3024)
    assert np.abs(decoded.pixels - np.asarray(full).astype(int)).mean() < 1
    assert Image.open(io.BytesIO(decoded.previews[1024])).size == (1008, 756)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(5000, 300), (300, 5000)])
def test_narrow_photos_keep_their_short_side(file_format: str, size: tuple[int, int]) -> None:
    """A panorama is not made so small that its short side would be enlarged again."""
    lines = (np.arange(300) // 3 % 2 * 255).astype(np.uint8)[:, None].repeat(5000, axis=1)
    image = Image.fromarray(lines if size == (5000, 300) else lines.T)

    decoded = decode(encoded(image, file_format), LIMITS)

    expected = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)).astype(int)[:, :, None]
    assert np.abs(decoded.pixels - expected).mean() < 5


def test_previews_fit_and_are_never_enlarged() -> None:
    """Longer side 320 and 1024, the shape kept; a small photo stays as it is."""
    large = decode(jpeg(1500, 1000), LIMITS).previews
    small = decode(jpeg(200, 100), LIMITS).previews

    assert [Image.open(io.BytesIO(large[side])).size for side in PREVIEW_SIZES] == [(320, 213), (1024, 683)]
    assert [Image.open(io.BytesIO(small[side])).size for side in PREVIEW_SIZES] == [(200, 100), (200, 100)]


def test_previews_carry_no_metadata() -> None:
    """Neither EXIF, which may say where a person lives, nor a profile, nor XMP."""
    data = encoded(
        picture(),
        "JPEG",
        exif=exif_bytes({DATE_TIME: "2021:05:04 12:30:00", 0x010F: "maker"}),
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),  # pyright: ignore[reportUnknownArgumentType]
        xmp=b"<x:xmpmeta/>",
    )

    for webp in decode(data, LIMITS).previews.values():
        assert not any(name in webp for name in (b"EXIF", b"ICCP", b"XMP ", b"maker"))


@pytest.mark.parametrize("size", [(640, 480), (3000, 2000)])
def test_pixels_do_not_depend_on_previews(size: tuple[int, int]) -> None:
    """Training decodes without previews and must see what tagging saw."""
    data = jpeg(*size)

    assert np.array_equal(decode(data, LIMITS).pixels, decode(data, LIMITS, previews=()).pixels)


def test_pictures_that_look_alike_have_hashes_that_are_alike() -> None:
    """The hash is imagehash's own, as a signed number; turned, smaller or saved badly, a photo keeps nearly all bits."""
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    other = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    lying = encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif_bytes({ORIENTATION: 6}))

    original = phash_of(encoded(image, "PNG"))

    assert original % 2**64 == int(str(imagehash.phash(image)), 16)
    assert -(2**63) <= original < 2**63
    for alike in (lying, encoded(image.resize((200, 150)), "JPEG", quality=30), encoded(image, "WEBP", quality=50)):
        assert ((phash_of(alike) ^ original) % 2**64).bit_count() <= 6
    assert ((phash_of(encoded(other, "PNG")) ^ original) % 2**64).bit_count() > 16


def test_limits_are_kept() -> None:
    """Bytes, pixels and sides; JPEG may have more pixels, because it is decoded small."""
    assert code_of(jpeg(), Limits(max_photo_bytes=1000)) == "TOO_BIG"
    assert code_of(encoded(picture(), "PNG"), Limits(max_pixels=640 * 480 - 1)) == "TOO_MANY_PIXELS"
    assert code_of(encoded(picture(), "TIFF"), Limits(max_pixels=640 * 480 - 1)) == "TOO_MANY_PIXELS"
    assert code_of(jpeg(), Limits(max_side=639)) == "TOO_MANY_PIXELS"
    assert code_of(jpeg(), Limits(max_jpeg_pixels=640 * 480 - 1)) == "TOO_MANY_PIXELS"
    decode(jpeg(), Limits(max_pixels=1, max_jpeg_pixels=640 * 480, max_side=640))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\x0a" + bytes(100), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "JPEG XL"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "RAW"),
    ],
)
def test_photos_in_other_formats_are_refused_with_what_to_do(head: bytes, kind: str) -> None:
    """They are photos to the person who sent them."""
    with pytest.raises(Refusal, match=f"{kind}.*export it as JPEG"):
        decode(head, LIMITS)


def test_a_gif_frame_larger_than_its_canvas_is_counted() -> None:
    """The header claims one pixel, the frame 4 gigapixels."""
    data = bytearray(encoded(picture(64, 64), "GIF"))
    data[6:10] = b"\1\0\1\0"
    frame = data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"

    assert code_of(bytes(data)) == "TOO_MANY_PIXELS"


def test_a_film_behind_a_photo_does_not_count_as_scans() -> None:
    """Motion photos: megabytes of film in which the scan marker occurs by chance."""
    film = b"\xff\xda\0\x08" * 50_000

    decode(jpeg() + film, LIMITS)


def test_a_profile_that_unpacks_to_megabytes_is_refused() -> None:
    """Before it is unpacked."""
    profile = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(8 * 1024**2)))

    assert code_of(png(8, 8, bytes(72), extra=profile)) == "UNREADABLE"
