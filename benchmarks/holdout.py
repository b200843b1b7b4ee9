"""How alike copies, crops and burst shots of one photo are, how alike different photos, and how many end up astride.

    python benchmarks/holdout.py PHOTOS... --weights FILE --cache DIR

PHOTOS hold folders of photos, at any depth. Features are of VGG16 with the weights of FILE, of seeded VGG16, and of the
tiny backbone; the perceptual hash is beside them. Then all photos, originals and changed ones, are decided in four orders,
with and without looking at pictures. Figures are printed, and stand in training/holdout.py.
"""

import argparse
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from recipe_features import kept_features, squash

from db.errors import Refusal
from db.feature_codes import pooled
from training.holdout import ALIKE_DISTANCE, Fingerprints, assign
from training.same_picture import PREVIEW, are_one_picture, small_picture
from worker.decoding import decode
from worker.limits import Limits
from worker.tiny import tiny_features

ORDERS = 4
ALIKE = {"weights": ALIKE_DISTANCE["file"], "seeded": ALIKE_DISTANCE["seeded"], "tiny": None}
A_FOLDER = 25  # photos taken of each folder, spread evenly


class Measured(NamedTuple):
    """Hashes (n,), pooled features (n, channels) by backbone, and small pictures (n, 32, 32)."""

    phashes: np.ndarray
    vectors: dict[str, np.ndarray]
    pictures: np.ndarray


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The picture as a JPEG file."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def upright(data: bytes) -> Image.Image:
    """The picture, at most 1024 px long."""
    with Image.open(io.BytesIO(data)) as image:
        picture = ImageOps.exif_transpose(image).convert("RGB")
    picture.thumbnail((1024, 1024))
    return picture


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Without these shares of its width and height."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def saved_again(image: Image.Image) -> bytes:
    """Smaller, JPEG quality 50."""
    return jpeg(image.resize((max(1, image.width * 6 // 10), max(1, image.height * 6 // 10))), 50)


def burst(image: Image.Image, degrees: float, shift: float, light: float) -> bytes:
    """The next shot of a hand that moves: turned, moved by a share of the frame, with other light. The frame is full."""
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    framed = cut(turned, 0.03 + shift, 0.03 - shift / 2, 0.03 - shift, 0.03 + shift / 2)
    return jpeg(ImageEnhance.Brightness(framed).enhance(light), 88)


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "saved again": saved_again,
    "crop 5 %": lambda image: jpeg(cut(image, 0.025, 0.025, 0.025, 0.025), 90),
    "crop 10 %": lambda image: jpeg(cut(image, 0.05, 0.05, 0.05, 0.05), 90),
    "crop 10 % at a corner": lambda image: jpeg(cut(image, 0.1, 0.1, 0.0, 0.0), 90),
    "crop 10 % at the other": lambda image: jpeg(cut(image, 0.0, 0.0, 0.1, 0.1), 85),
    "crop 10 % at a side": lambda image: jpeg(cut(image, 0.0, 0.0, 0.1, 0.0), 85),
    "burst, 1 degree": lambda image: burst(image, 1.0, 0.015, 1.08),
    "burst, 2 degrees": lambda image: burst(image, -2.0, 0.03, 0.9),
}


def photos_of(folders: Sequence[Path]) -> list[bytes]:
    """Some photos of each folder that has any."""
    found: list[bytes] = []
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")]
    for place in sorted({path.parent for path in paths}):
        files = sorted(path for path in paths if path.parent == place)
        found += [path.read_bytes() for path in files[:: max(1, len(files) // A_FOLDER)][:A_FOLDER]]
    return [data for data in found if readable(data)]


def readable(data: bytes) -> bool:
    """Whether tagging would take it."""
    try:
        squash(data)
    except Refusal:
        return False
    return True


def measure(files: list[bytes], name: str, weights: Path, cache: Path) -> Measured:
    """Hashes and pooled features of photos."""
    decoded = [decode(data, Limits(), previews=(PREVIEW,)) for data in files]
    phashes = np.array([one.facts.phash for one in decoded], np.int64)
    vectors = {
        "weights": pooled(kept_features(f"{name}-weights", files, squash, weights, cache)),
        "seeded": pooled(kept_features(f"{name}-seeded", files, squash, None, cache)),
        "tiny": pooled(tiny_features(np.stack([one.pixels for one in decoded]))),
    }
    return Measured(phashes, vectors, np.stack([small_picture(one.previews[PREVIEW]) for one in decoded]))


def main() -> None:
    """Prints distances of changed copies from their photo, and of different photos from each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--changed", type=int, default=20, help="photos of which changed copies are made")
    options = parser.parse_args()
    files = photos_of(options.photos)
    originals = measure(files, "different", options.weights, options.cache)
    rows = np.linspace(0, len(files) - 1, options.changed).astype(np.int64)
    all_copies: list[Measured] = []
    for name, change in CHANGES.items():
        copies = measure([change(upright(files[row])) for row in rows], name, options.weights, options.cache)
        all_copies.append(copies)
        bits = np.bitwise_count((copies.phashes ^ originals.phashes[rows]).view(np.uint64))
        print(f"{name}: {np.median(bits):.0f} bits, at most {bits.max()}")
        for backbone, vectors in copies.vectors.items():
            far = 1.0 - (units(vectors) * units(originals.vectors[backbone][rows])).sum(axis=1)
            print(f"  {backbone}: {np.median(far) * 1e4:.1f}, at most {far.max() * 1e4:.1f} / 10,000")
    pairs = np.triu_indices(len(files), 1)
    for backbone, vectors in originals.vectors.items():
        far = (1.0 - units(vectors) @ units(vectors).T)[pairs]
        nearest = ", ".join(f"{value * 1e4:.1f}" for value in np.quantile(far, [1e-4, 1e-3, 0.5]))
        print(f"different photos, {backbone}: {nearest} / 10,000 (1 pair in 10,000, in 1,000, in 2)")
    number = np.concatenate([np.arange(len(files)), *[rows] * len(all_copies)])  # of each file's original
    for backbone in originals.vectors:
        for looking in (False, True):
            decide([originals, *all_copies], number, backbone, looking=looking)


def decide(measured: list[Measured], number: np.ndarray, backbone: str, *, looking: bool) -> None:
    """Prints of how many originals files lie astride, how many files are of no use, and which links join different ones."""
    vectors = np.concatenate([one.vectors[backbone] for one in measured])
    phashes = np.concatenate([one.phashes for one in measured])
    pictures = np.concatenate([one.pictures for one in measured])
    astride: list[int] = []
    useless: list[int] = []
    joined: set[tuple[int, int]] = set()
    for seed in range(ORDERS):
        order = np.random.RandomState(seed).permutation(len(number))

        def are_one(row: int, other: int, order: np.ndarray = order) -> bool:
            found = looking and are_one_picture(pictures[order[row]], pictures[order[other]])
            if found and number[order[row]] != number[order[other]]:
                joined.add((int(number[order[row]]), int(number[order[other]])))
            return found

        photos = Fingerprints([f"{row:064x}" for row in order], [int(phashes[row]) for row in order], vectors[order])
        subsets = np.empty(len(order), object)
        subsets[order] = assign(photos, Fingerprints([], [], None), [], alike=ALIKE[backbone], are_one=are_one)
        astride.append(sum({"training", "holdout"} <= set(subsets[number == one]) for one in np.unique(number)))
        useless.append(int((subsets == "neither").sum()))
    how = "with pictures" if looking else "without pictures"
    print(
        f"{backbone}, {how}: astride {astride}, in neither {useless} of {len(number)}; different, but one picture: {sorted(joined)}"
    )


def units(vectors: np.ndarray) -> np.ndarray:
    """As training.holdout compares: square roots, each photo's of length 1."""
    roots = np.sqrt(vectors)
    return roots / np.linalg.norm(roots, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
