"""Photos of real cameras, phones and programs: every one is tagged as what it is, or left alone as a sidecar."""

import io
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from db.errors import Refusal
from db.names import is_junk, photo_suffixes
from worker.artifact import PACKAGE_DIR, read_card
from worker.classifier import load_classifier
from worker.decoder_pool import DecoderPool
from worker.decoder_process import Source
from worker.decoding import Decoded, decode
from worker.limits import Limits
from worker.settings import WorkerSettings

LIMITS = Limits()
# By suffix: in these collections, unlike in life, a suffix tells the truth.
FORMAT = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".avif": "AVIF",
}


def expected_pixels(path: Path) -> np.ndarray:
    """The photo by the plain way: decoded in full, upright, in sRGB."""
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")  # odd metadata
        upright = ImageOps.exif_transpose(image).convert("RGB")
        profile = image.info.get("icc_profile")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else None
        if source and not ImageCms.getProfileDescription(source).startswith("sRGB"):
            ImageCms.profileToProfile(upright, source, ImageCms.createProfile("sRGB"), inPlace=True)
        return np.asarray(upright.resize((224, 224), Image.Resampling.BILINEAR)).astype(int)


def bits_apart(one: Decoded, other: Decoded) -> int:
    assert one.facts.phash is not None
    assert other.facts.phash is not None
    return ((one.facts.phash ^ other.facts.phash) % 2**64).bit_count()


@pytest.mark.timeout(300)
def test_every_shared_photo_is_decoded_as_what_it_is(shared: Path) -> None:
    """By the real pool: formats, sizes and pixels are right; what is no photo is refused and named a sidecar."""
    folder = shared / "photos" / "formats"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seen: Counter[str] = Counter()

    with DecoderPool(LIMITS, 2) as pool:
        for path, result in pool.decode_all((path, Source(path)) for path in files):
            seen[path.suffix] += 1
            if path.suffix == ".xmp":
                assert isinstance(result, Refusal)
                assert (result.code, is_junk(str(path))) == ("NOT_AN_IMAGE", True)
                continue
            assert isinstance(result, Decoded), f"{path}: {result}"
            assert path.suffix in photo_suffixes
            assert result.facts.format == FORMAT[path.suffix], path
            assert result.facts.notes is None, path
            assert result.facts.phash is not None
            assert result.facts.has_previews
            # JPEG is decoded small; 12 MP made small in one step differ most
            assert np.abs(result.pixels - expected_pixels(path)).mean() < 2.5, path

    assert sum(seen.values()) == len(files) > 100
    assert set(seen) == {*FORMAT, ".xmp"}


@pytest.mark.parametrize(
    ("names", "size", "apart"),
    [
        ("orientation/Landscape_*.jpg", (1800, 1200), 1.5),
        ("orientation/Portrait_*.jpg", (1200, 1800), 1.5),
        ("ianare/jpg/orientation/landscape_*.jpg", (600, 450), 3.5),  # the first without a profile, the others with
        ("ianare/jpg/orientation/portrait_*.jpg", (450, 600), 3.5),
    ],
)
def test_however_the_camera_was_held_the_photo_is_the_same(
    shared: Path, tmp_path: Path, names: str, size: tuple[int, int], apart: float
) -> None:
    """Orientations 0 to 8 of one picture: same size, pixels, labels and nearly the same hash; also in the preview.

    Only a drawn number tells the files apart.
    """
    card = read_card(PACKAGE_DIR / "tiny").model_dump(mode="json")
    classifier = load_classifier(WorkerSettings(), tmp_path, "package:tiny", card)
    files = sorted((shared / "photos" / "formats").glob(names))

    first, *others = [decode(path.read_bytes(), LIMITS) for path in files]
    scores = classifier.predict(classifier.features(np.stack([one.pixels for one in (first, *others)])))

    assert len(others) == (8 if "_*" in names and names.startswith("orientation") else 7)
    for one in (first, *others):
        assert (one.facts.width, one.facts.height) == size
        with Image.open(io.BytesIO(one.previews[1024])) as preview:
            assert (preview.width > preview.height) == (size[0] > size[1])
        assert np.abs(one.pixels.astype(int) - first.pixels).mean() < apart
        assert bits_apart(one, first) <= 4
    top = classifier.top5(scores)
    assert len({labels[0][0] for labels in top}) == 1
    assert np.ptp(scores, axis=0).max() < 0.03
