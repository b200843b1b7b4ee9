"""None astride, by trying: photos saved again, renamed, cropped, taken as a burst and sent again, in any order."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from db.blobs import Blobs, open_blobs
from db.settings import DataSettings
from tests.samples import encoded, scene
from training.holdout import Fingerprints, assign
from training.same_picture import PREVIEW, Pictures, are_one_picture, small_picture
from worker.decoding import decode
from worker.limits import Limits

NONE = Fingerprints([], [], None)
SHARES = st.floats(0.0, 0.05)


class Change(NamedTuple):
    """What becomes of a photo: shares of its sides that are cut off, what a hand does in a burst, and how it is saved."""

    left: float
    right: float
    top: float
    bottom: float
    degrees: float
    light: float
    size: float
    file_format: str
    quality: int

    def made_of(self, image: Image.Image) -> bytes:
        """The changed photo as a file."""
        turned = image.rotate(self.degrees, Image.Resampling.BICUBIC)
        frame = 0.03 if self.degrees else 0.0  # a camera's frame is full
        width, height = image.size
        box = (
            round(width * (self.left + frame)),
            round(height * (self.top + frame)),
            round(width * (1 - self.right - frame)),
            round(height * (1 - self.bottom - frame)),
        )
        cut = ImageEnhance.Brightness(turned.crop(box)).enhance(self.light)
        small = cut.resize((round(cut.width * self.size), round(cut.height * self.size)))
        return encoded(small, self.file_format, quality=self.quality)


def saved(image: Image.Image) -> bytes:
    return encoded(image, "JPEG", quality=90)


def changes(*, cut: st.SearchStrategy[float], degrees: float, light: float) -> st.SearchStrategy[Change]:
    """Each saved again in some format, quality and size, and perhaps cut, turned and in another light."""
    return st.builds(
        Change,
        *[cut] * 4,
        st.floats(-degrees, degrees),
        st.floats(1 - light, 1 + light),
        st.floats(0.5, 1.4),
        st.sampled_from(("JPEG", "WEBP")),
        st.integers(40, 95),
    )


SAVED_AGAIN = changes(cut=st.just(0.0), degrees=0.0, light=0.0)
CROPPED = changes(cut=SHARES, degrees=0.0, light=0.0)  # up to 10 % of the width and of the height
BURST = changes(cut=st.floats(0.0, 0.03), degrees=2.0, light=0.12)
SENT_AGAIN = st.none()  # the same file, under whatever name
TRIED = st.one_of(SAVED_AGAIN, CROPPED, BURST, SENT_AGAIN)


def subsets_of(files: Sequence[bytes], order: Sequence[int], blobs: Blobs) -> list[str]:
    """What is decided of each file, when they come in this order; by hashes and pictures, without a network."""
    hashes: list[int | None] = []
    names = [hashlib.sha256(data).hexdigest() for data in files]
    for name, data in zip(names, files, strict=True):
        decoded = decode(data, Limits(), previews=(PREVIEW,))
        blobs.write_preview(name, PREVIEW, decoded.previews[PREVIEW])
        hashes.append(decoded.facts.phash)
    ordered = [names[row] for row in order]
    pictures = Pictures(blobs, ordered)
    prints = Fingerprints(ordered, [hashes[row] for row in order], None)
    decided = assign(prints, NONE, [], are_one=pictures.are_one)
    return [decided[order.index(row)] for row in range(len(files))]


def require_none_astride(
    originals: Sequence[Image.Image], tried: Sequence[Change | None], data: st.DataObject, blobs: Blobs
) -> None:
    files = [saved(image) if change is None else change.made_of(image) for image in originals for change in tried]
    files += [saved(image) for image in originals]
    order = data.draw(st.permutations(range(len(files))))

    subsets = subsets_of(files, order, blobs)

    for number in range(len(originals)):
        of_photo = {
            *subsets[number * len(tried) : (number + 1) * len(tried)],
            subsets[len(originals) * len(tried) + number],
        }
        assert {"training", "holdout"} - of_photo, f"photo {number} is astride"


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


@given(seed=st.integers(0, 10_000), tried=st.lists(TRIED, min_size=1, max_size=4), data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_copies_of_drawn_pictures_are_never_astride(
    seed: int, tried: list[Change | None], data: st.DataObject, blobs: Blobs
) -> None:
    """Three photos, and up to four changed copies of each."""
    require_none_astride([scene(seed + number) for number in range(3)], tried, data, blobs)


@given(seed=st.integers(0, 10_000), tried=st.lists(TRIED, min_size=1, max_size=4), data=st.data())
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_copies_of_photos_are_never_astride(
    seed: int, tried: list[Change | None], data: st.DataObject, blobs: Blobs, shared: Path
) -> None:
    """Three of a library's photos, likewise. The same examples each time: of 400 others one may be astride."""
    paths = sorted((shared / "photos" / "library").rglob("*.JPEG"))
    originals: list[Image.Image] = []
    for number in np.random.RandomState(seed).choice(len(paths), 3, replace=False):
        with Image.open(paths[number]) as image:
            picture = image.convert("RGB")
        picture.thumbnail((640, 640))
        originals.append(picture)
    require_none_astride(originals, tried, data, blobs)


def test_different_pictures_are_not_one() -> None:
    """However well they are laid over each other; nor are pictures of one colour, or one that stands on its head."""
    pictures = [small(scene(number)) for number in range(30)]
    plain = small(Image.new("RGB", (64, 48), "grey"))

    found = [are_one_picture(one, other) for row, one in enumerate(pictures) for other in pictures[:row]]

    assert not any(found)
    assert not are_one_picture(plain, plain)
    assert not are_one_picture(pictures[0], pictures[0][::-1].copy())
    assert all(are_one_picture(one, one) for one in pictures)


def test_photos_whose_preview_is_gone_or_damaged_are_not_looked_at(blobs: Blobs) -> None:
    """They are told apart by hash and features alone."""
    data = saved(scene(1))
    names = [hashlib.sha256(bytes([number])).hexdigest() for number in range(2)]
    blobs.write_preview(names[0], PREVIEW, decode(data, Limits(), previews=(PREVIEW,)).previews[PREVIEW])

    assert not Pictures(blobs, names).are_one(0, 1)
    for damaged in (b"", b"no picture", encoded(scene(1), "WEBP")[:200]):
        blobs.write_preview(names[1], PREVIEW, damaged)
        assert not Pictures(blobs, names).are_one(0, 1)
    blobs.write_preview(names[1], PREVIEW, decode(data, Limits(), previews=(PREVIEW,)).previews[PREVIEW])
    assert Pictures(blobs, names).are_one(0, 1)


def small(image: Image.Image) -> np.ndarray:
    return small_picture(encoded(image, "PNG"))
