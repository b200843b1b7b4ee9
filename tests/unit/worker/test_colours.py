"""Colours: wide gamuts, profiles of grey, palettes, depths and frames, as cameras and programs really write them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.samples import encoded, picture
from worker.decoding import decode
from worker.limits import Limits

LIMITS = Limits()
RED, BLUE = (255, 0, 0), (0, 0, 255)
# Red, green and blue of Display P3 as ICC profiles have them: adapted to D50 (Apple's profile, in XYZ).
DISPLAY_P3 = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}


def pixels_of(data: bytes) -> np.ndarray:
    return decode(data, LIMITS, previews=()).pixels.astype(int)


def s15_fixed16(*values: float) -> bytes:
    """Numbers as ICC profiles have them."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def display_p3() -> bytes:
    """The sRGB profile with the primaries of Display P3, whose curve is the same."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())  # pyright: ignore[reportUnknownArgumentType]
    for number in range(int.from_bytes(profile[128:132], "big")):
        tag, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if tag in DISPLAY_P3:
            profile[offset + 8 : offset + 20] = s15_fixed16(*DISPLAY_P3[tag])
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "P3 ?".encode("utf-16-be"))


def linear_grey() -> bytes:
    """A profile of grey whose values are proportional to light."""
    description = b"desc" + struct.pack(">II", 0, 7) + b"linear\0" + bytes(78)
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"wtpt": b"XYZ " + bytes(4) + s15_fixed16(0.9642, 1.0, 0.8249),
        b"kTRC": b"curv" + struct.pack(">III", 0, 0, 0)[:8],
    }
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, offset + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + s15_fixed16(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_wide_gamut_pictures_keep_their_colours(file_format: str) -> None:
    """The red of sRGB, as a phone that writes Display P3 stores it; grey is the same in both."""
    image = Image.new("RGB", (64, 64), (234, 51, 35))
    image.paste((128, 128, 128), (0, 0, 64, 32))
    options = {"quality": 100, "subsampling": "4:4:4"} if file_format in ("JPEG", "AVIF") else {}
    options |= {"lossless": True} if file_format == "WEBP" else {}

    decoded = decode(encoded(image, file_format, icc_profile=display_p3(), **options), LIMITS)

    assert decoded.facts.notes is None
    assert decoded.pixels[168, 112].tolist() == pytest.approx(RED, abs=4)
    assert decoded.pixels[56, 112].tolist() == pytest.approx([128] * 3, abs=2)


def test_colours_outside_srgb_become_its_nearest() -> None:
    """The red of Display P3 is redder than any screen of sRGB can show: it is clipped, not wrapped round."""
    decoded = pixels_of(encoded(Image.new("RGB", (64, 64), RED), "PNG", icc_profile=display_p3()))

    assert decoded[112, 112].tolist() == pytest.approx(RED, abs=2)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
def test_grey_is_converted_by_its_profile(file_format: str) -> None:
    """Half the light is 188 of 255 in sRGB."""
    decoded = decode(encoded(Image.new("L", (64, 64), 128), file_format, icc_profile=linear_grey()), LIMITS)

    assert decoded.facts.notes is None
    assert decoded.pixels[112, 112].tolist() == pytest.approx([188] * 3, abs=2)


def test_a_profile_of_other_colours_is_ignored_with_a_note() -> None:
    """A profile of grey on a picture in colour: programs forget to drop it."""
    decoded = decode(encoded(picture(), "PNG", icc_profile=linear_grey()), LIMITS)

    assert decoded.facts.notes == "ICC_IGNORED"
    assert np.array_equal(decoded.pixels, pixels_of(encoded(picture(), "PNG")))


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("colours", [2, 16, 256])
def test_palettes_are_looked_up(file_format: str, colours: int) -> None:
    """Of 1, 4 and 8 bits: the pixels are those of the picture in full colour."""
    reduced = picture().quantize(colours, dither=Image.Dither.NONE)

    pixels = pixels_of(encoded(reduced, file_format))

    assert np.abs(pixels - pixels_of(encoded(reduced.convert("RGB"), "PNG"))).mean() < 0.5


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_scans_of_16_bits_are_scaled(mode: str) -> None:
    """TIFF of scanners and microscopes, of either byte order."""
    values = np.array([[0, 257 * 100, 65_535]], "<u2" if mode == "I;16" else ">u2").repeat(8, axis=0).repeat(8, axis=1)
    image = Image.frombytes(mode, (24, 8), values.tobytes())

    decoded = decode(encoded(image, "TIFF"), LIMITS)

    assert decoded.facts.notes == "DEPTH_REDUCED"
    assert decoded.pixels[112, [20, 112, 204], 0].tolist() == pytest.approx([0, 100, 255], abs=1)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_of_many_frames_the_first_is_taken(file_format: str) -> None:
    """Animations, pages of a scan, pairs of a phone: the first picture, and a note."""
    first, second = Image.new("RGB", (64, 48), RED), Image.new("RGB", (64, 48), BLUE)

    decoded = decode(encoded(first, file_format, save_all=True, append_images=[second]), LIMITS)

    assert decoded.facts.notes == "FIRST_FRAME_ONLY"
    assert decoded.pixels[112, 112].tolist() == pytest.approx(RED, abs=6)
    assert Image.open(io.BytesIO(decoded.previews[320])).convert("RGB").getpixel((32, 24)) == pytest.approx(RED, abs=6)
