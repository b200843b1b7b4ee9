"""What a photo says of itself: time, camera, exposure and place, read from files that may lie or be broken."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL.TiffImagePlugin import IFDRational

from db.facts import PhotoFacts
from tests.samples import (
    DATE_TIME,
    DATE_TIME_DIGITIZED,
    DATE_TIME_ORIGINAL,
    EXPOSURE_TIME,
    F_NUMBER,
    FOCAL_LENGTH,
    GPS,
    ISO,
    LENS_MODEL,
    MAKE,
    MODEL,
    encoded,
    exif_bytes,
    jpeg,
    picture,
)
from worker.decoding import decode
from worker.limits import Limits
from worker.metadata import parse_date

LIMITS = Limits()
# Degrees, minutes and seconds of 43.4674483 north, 11.8851267 east.
NORTH, EAST = (43.0, 28.0, 2.814), (11.0, 53.0, 6.456)


def facts_of(tags: dict[int, Any]) -> PhotoFacts:
    return decode(jpeg(64, 48, exif=tags), LIMITS, previews=()).facts


def place_of(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    facts = facts_of({GPS: gps})
    return facts.latitude, facts.longitude


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({DATE_TIME_ORIGINAL: "2021:05:04 12:30:01", DATE_TIME: "2023:01:01 00:00:00"}, "2021-05-04T12:30:01"),
        ({DATE_TIME_DIGITIZED: "2020:05:04 12:30:02", DATE_TIME: "2023:01:01 00:00:00"}, "2020-05-04T12:30:02"),
        ({DATE_TIME: "2023:01:01 00:00:00"}, "2023-01-01T00:00:00"),
        ({DATE_TIME_ORIGINAL: "0000:00:00 00:00:00", DATE_TIME: "2019:02:03 04:05:06"}, "2019-02-03T04:05:06"),
        ({}, None),
    ],
)  # fmt: skip
def test_the_time_a_photo_was_taken(tags: dict[int, str], expected: str | None) -> None:
    """The first of the three dates that is one."""
    taken_at = decode(jpeg(exif=tags), LIMITS).facts.taken_at

    assert (taken_at and taken_at.isoformat()) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        "    :  :     :  :  ",
        "2021:13:40 25:61:61",
        "0000:00:00 00:00:00",
        "1904:01:01 00:00:00",
        5,
        None,
    ],
)
def test_garbage_is_no_date(value: object) -> None:
    """Cameras without a clock, and broken files."""
    assert parse_date(value) is None


@pytest.mark.parametrize(
    "value", ["2021:05:04 12:30:00", "2021-05-04T12:30:00+02:00", "2021/05/04 12:30", b"2021:05:04 12:30:00\0"]
)
def test_other_spellings_of_a_date_are_read(value: object) -> None:
    """Programs do not keep to the standard."""
    date = parse_date(value)

    assert date is not None
    assert date.isoformat() == "2021-05-04T12:30:00"


@pytest.mark.parametrize(
    ("maker", "model", "expected"),
    [
        ("Canon", "Canon EOS 40D", "Canon EOS 40D"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530 ZOOM", "KODAK CX7530 ZOOM"),
        ("FUJIFILM", "FinePix E500   ", "FUJIFILM FinePix E500"),
        ("SONY\0", "DSC-D700\0\0", "SONY DSC-D700"),
        ("WWL     ", "ION230\0F", "WWL ION230"),
        ("Canon", "", "Canon"),
        ("", "SM-G930F", "SM-G930F"),
        ("  ", "\0", None),
        ("a\x1b[31mb\x07", "c\r\nd", "a[31mb c d"),
        ("x" * 100, "y" * 100, "x" * 100 + " " + "y" * 19),
    ],
)  # fmt: skip
def test_the_camera_is_named_once_and_harmlessly(maker: str, model: str, expected: str | None) -> None:
    """The maker is not repeated; padding, control characters and excess go."""
    assert facts_of({MAKE: maker, MODEL: model}).camera == expected


def test_text_that_turns_the_direction_of_text_is_cleaned() -> None:
    """UTF-8, as newer programs write it, with an override that would show gpj.exe backwards."""
    facts = facts_of({MAKE: "Fabrikátor".encode(), MODEL: "\u202eexe.jpg\u2028x".encode()})

    assert facts.camera == "Fabrikátor exe.jpg x"


def test_the_exposure_is_read() -> None:
    """In seconds, millimetres and plain numbers; it can be stored as JSON."""
    facts = facts_of(
        {
            LENS_MODEL: "EF28-80mm f/3.5-5.6 USM\0",
            EXPOSURE_TIME: IFDRational(1, 400),
            F_NUMBER: IFDRational(56, 10),
            ISO: 200,
            FOCAL_LENGTH: IFDRational(60, 1),
        }
    )

    expected = {
        "lens": "EF28-80mm f/3.5-5.6 USM",
        "exposure_s": 0.0025,
        "f_number": 5.6,
        "iso": 200,
        "focal_length_mm": 60.0,
    }
    assert facts.exif == json.loads(json.dumps(facts.exif)) == expected


def test_an_exposure_that_cannot_be_is_left_out() -> None:
    """Zero, a denominator of zero, text where a number belongs: the rest is kept."""
    facts = facts_of(
        {EXPOSURE_TIME: IFDRational(0, 1), F_NUMBER: IFDRational(1, 0), ISO: (400, 400), FOCAL_LENGTH: "far", 0x920B: 1}
    )

    assert facts.exif == {"iso": 400}
    assert facts_of({F_NUMBER: IFDRational(0, 0)}).exif is None


@pytest.mark.parametrize(
    ("gps", "expected"),
    [
        ({1: "N", 2: NORTH, 3: "E", 4: EAST}, (43.4674483, 11.8851267)),
        ({1: "S", 2: NORTH, 3: "W", 4: EAST}, (-43.4674483, -11.8851267)),
        ({1: "s", 2: (43.5,), 3: "w", 4: (11.0, 30.0)}, (-43.5, -11.5)),
        ({2: (43.0, 30.0, 0.0), 4: (11.0, 30.0, 0.0)}, (43.5, 11.5)),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, (0.0, 0.0)),
        ({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}, (None, None)),
        ({1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: EAST}, (None, None)),
        ({1: "N", 2: NORTH, 3: "E", 4: (180.0, 0.0, 1.0)}, (None, None)),
        ({1: "N", 2: NORTH, 3: "E"}, (None, None)),
        ({1: "N", 2: (43.0, 28.0, IFDRational(0, 0)), 3: "E", 4: EAST}, (43.4666667, 11.8851267)),
        ({1: "\0", 2: (IFDRational(0, 0),) * 3, 3: "\0", 4: (IFDRational(0, 0),) * 3}, (None, None)),
        ({1: 5, 2: (43.0, 28.0, 2.814, 7.0), 3: 7, 4: EAST}, (None, None)),
    ],
)  # fmt: skip
def test_the_place_is_read_or_left_out(gps: dict[int, Any], expected: tuple[float | None, float | None]) -> None:
    """Both coordinates or none; a cleared field is no place off the coast of Africa."""
    assert place_of(gps) == expected


def test_broken_parts_of_exif_cost_only_themselves() -> None:
    """A place that points behind the end of the file takes neither the camera nor the photo with it."""
    exif = bytearray(exif_bytes({MAKE: "maker", DATE_TIME: "2021:05:04 12:30:00", GPS: {1: "N", 2: NORTH}}))
    at = exif.index(GPS.to_bytes(2, "big"))
    exif[at + 8 : at + 12] = b"\xff\xff\xff\x7f"

    facts = decode(encoded(picture(64, 48), "JPEG", exif=bytes(exif)), LIMITS).facts

    assert (facts.camera, facts.latitude) == ("maker", None)
    assert facts.taken_at is not None


def test_photos_without_exif_say_nothing() -> None:
    """All of it is optional."""
    facts = facts_of({})

    assert (facts.camera, facts.latitude, facts.longitude, facts.exif, facts.notes) == (None, None, None, None, None)


@pytest.mark.parametrize(
    ("name", "camera", "taken_at", "place", "exif"),
    [
        (
            "ianare/jpg/Canon_40D.jpg", "Canon EOS 40D", "2008-05-30T15:56:01", None,
            {"exposure_s": 0.00625, "f_number": 7.1, "iso": 100, "focal_length_mm": 135.0},
        ),
        (
            "ianare/jpg/gps/DSCN0010.jpg", "NIKON COOLPIX P6000", "2008-10-22T16:28:39", (43.4674483, 11.8851267),
            {"exposure_s": 0.0133333, "f_number": 5.9, "iso": 64, "focal_length_mm": 24.0},
        ),
        (
            "ianare/jpg/gps/DSCN0042.jpg", "NIKON COOLPIX P6000", "2008-10-22T17:00:07", (43.464455, 11.8814783),
            {"exposure_s": 0.01, "f_number": 4.4, "iso": 64, "focal_length_mm": 15.0},
        ),
        (
            "ianare/jpg/Kodak_CX7530.jpg", "KODAK CX7530 ZOOM DIGITAL CAMERA", "2005-08-13T09:47:23",
            (-0.3713, 36.0564167), {"exposure_s": 0.004, "f_number": 4.6, "focal_length_mm": 16.8},
        ),
        (
            "immich/formats/heic/IMG_2682.heic", "Apple iPhone 7", "2019-03-21T11:04:22", (41.2203, -96.071625),
            {"lens": "iPhone 7 back camera 3.99mm f/1.8", "exposure_s": 0.0011274, "f_number": 1.8, "iso": 20,
             "focal_length_mm": 3.99},
        ),
        (
            "immich/formats/webp/denali.webp", "Canon EOS 7D", "2010-08-13T21:00:01", None,
            {"lens": "EF28-80mm f/3.5-5.6 USM", "exposure_s": 0.0025, "f_number": 11.0, "iso": 200,
             "focal_length_mm": 60.0},
        ),
        (
            "immich/metadata/gps-position/empty_gps.jpg", "motorola moto g(9) plus", "2025-06-01T16:59:26", None,
            {"exposure_s": 0.025, "f_number": 1.8, "iso": 234, "focal_length_mm": 5.53},
        ),
        ("immich/metadata/gps-position/thompson-springs.jpg", None, None, (39.115, -108.4009683), None),
        ("ianare/jpg/tests/67-0_length_string.jpg", "samsung SM-G930F", "2016-09-12T10:05:31", (51.025, 7.5919444), None),
    ],
)  # fmt: skip
def test_what_real_cameras_wrote(
    shared: Path,
    name: str,
    camera: str | None,
    taken_at: str | None,
    place: tuple[float, float] | None,
    exif: dict[str, Any] | None,
) -> None:
    """Files of well-known test sets, with what their makers' programs show of them."""
    facts = decode((shared / "photos" / "formats" / name).read_bytes(), LIMITS, previews=()).facts

    assert (facts.camera, facts.taken_at and facts.taken_at.isoformat()) == (camera, taken_at)
    assert (facts.latitude, facts.longitude) == (place or (None, None))
    assert facts.exif == exif
