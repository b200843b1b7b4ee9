"""Which photos may be trained on and which are held out for exams: decided once, so that no two alike are astride.

Two photos are linked if their files are the same, their perceptual hashes differ in few bits, they are of one group of
near-duplicates, or the means of their features point nearly the same way. What comes near that is looked at: photos are
linked, too, if one can be laid over the other (training/same_picture.py). Each new photo follows those it is linked to; only
a photo that is like none is drawn.

Measured (benchmarks/holdout.py) on eight changed copies of 20 photos and on 224,115 pairs of different ones: scenes,
landmarks and a library. Distances of features are 1 - cosine of their square roots, times 10,000:

| change | hash: bits, median and most | ImageNet in blocks 1-3: median and most | seeded: median and most |
|---|---|---|---|
| smaller, JPEG quality 50 | 0, 2 | 10.9, 38.7 | 1.1, 3.8 |
| crop of 5 % | 6, 14 | 6.2, 14.0 | 1.7, 4.8 |
| crop of 10 % | 11, 22 | 8.4, 15.5 | 2.7, 10.1 |
| crop of 10 % at a corner | 20, 28 | 9.6, 13.8 | 4.2, 9.0 |
| at the other corner | 18, 24 | 9.6, 12.1 | 3.8, 8.3 |
| at a side | 11, 22 | 6.3, 8.9 | 1.9, 6.0 |
| next shot of a burst, 1 degree | 9, 14 | 7.2, 14.6 | 2.9, 6.3 |
| next shot of a burst, 2 degrees | 12, 22 | 9.0, 12.4 | 5.1, 8.8 |
| different photos: 1 pair in 10,000 is nearer than | 10 | 15.3 | 6.6 |

So neither hash nor features tell crops and bursts from other photos by themselves, and pictures are looked at. Of the 20 photos
so many lie astride when these 830 files come in each of four orders:

| | hash and features alone | and pictures |
|---|---|---|
| ImageNet in blocks 1-3 | 3, 2, 2, 2 | 0, 0, 0, 0 |
| seeded | 7, 3, 2, 3 | 0, 0, 0, 0 |
| tiny, whose 8 channels are colours and say nothing: hash alone | 14, 12, 13, 11 | 1, 1, 0, 0 |

About 25 pairs of different photos are taken for one picture, half of which are shots of one place. Each photo is looked at
beside six others, which takes some 10 ms. What is left are two crops whose hashes are far apart and that come before the
photo between them: its hash puts them into one group (db/near_duplicates.py) only once it is there.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from worker.card import BackboneCard

Subset = Literal["training", "holdout", "neither"]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]

HOLDOUT_SHARE = 0.2
SUBSETS: tuple[Subset, ...] = ("training", "holdout", "neither")
NEITHER = SUBSETS.index("neither")

# No two different ones of 2,839 photos differ in less than 10 bits (db/near_duplicates.py).
ALIKE_BITS = 8
# Of 64: a hash with fewer is of a plain surface, and all of those are alike. As in db/near_duplicates.py.
FEWEST_BITS = 8
# Distances of features up to which photos are alike, by `BackboneCard.weights`. Full ImageNet weights were not at hand:
# theirs are further apart, so that what this links is alike, and the hash finds part of the rest.
ALIKE_DISTANCE = {"seeded": 5e-4, "file": 1.1e-3, "imagenet": 1.1e-3}
# Means of fewer channels are colours.
FEWEST_CHANNELS = 64
# In place of the number of a group: those are ids of photos, from 1 on.
ALONE = -1
# What is looked at besides, picture by picture: photos whose features are up to so many times as far apart, or whose hashes
# differ in so many bits; the nearest few of each photo.
LOOKED_TIMES, LOOKED_BITS, MOST_LOOKED = 2.4, 22, 8
# Photos that are compared at once with all before them: with 20,000 photos 10 to 20 MB for each of some arrays.
BLOCK = 128


@dataclass(frozen=True)
class Fingerprints:
    """What photos are compared by.

    Attributes:
        sha256s: of their files, as hexadecimal digits.
        phashes: `PhotoFacts.phash`, None where there is none.
        vectors: means of features, (n, channels), all of one space; NaN where a photo has none. None: no photo has.
        groups: of near-duplicates, by number; None where a photo is in none. Empty: no photo is.
    """

    sha256s: Sequence[str]
    phashes: Sequence[int | None]
    vectors: npt.NDArray[Any] | None
    groups: Sequence[int | None] = ()


def alike_distance(backbone: BackboneCard) -> float | None:
    """The distance of features up to which photos are alike; None if features of this backbone say too little."""
    return None if backbone.architecture == "tiny" else ALIKE_DISTANCE[backbone.weights]


def assign(
    new: Fingerprints,
    decided: Fingerprints,
    subsets: Sequence[str],
    *,
    alike: float | None = ALIKE_DISTANCE["seeded"],
    are_one: Callable[[int, int], bool] = lambda _one, _other: False,
    on_photo: Callable[[], None] = lambda: None,
) -> list[Subset]:
    """Decides about new photos, one after the other.

    A photo linked to photos of one subset alone takes it. Linked to several it is used by neither: it would give the
    exam away from one side or the other. What is linked to a photo of neither and to no other is near such a bridge, and
    used by neither as well. Linked to none it is drawn by its SHA-256. So no photo of training is linked to a held-out
    one, in whatever order they come, as far as the nearest are looked at; and the same photos in the same order are
    decided the same.

    Args:
        new: in the order in which they were labelled.
        decided: those of which it is known.
        subsets: what was decided of them.
        alike: distance of features up to which photos are alike (`alike_distance`); None: features are not looked at.
        are_one: whether two photos are one picture (`training.same_picture`), by their numbers: those of `decided`,
            then those of `new`. Asked about pairs that are near each other, and not linked otherwise.
        on_photo: told when a photo is decided; what it raises ends this.
    """
    before = len(subsets)
    known = _Known(decided, new, alike)
    result = np.array([SUBSETS.index(subset) for subset in subsets] + [0] * len(new.sha256s), np.int64)  # type: ignore[arg-type]
    for row, linked, near in known.rows(before):
        found = set(result[:row][linked[:row]].tolist())
        looked = 0
        for other in near:  # the nearest first; what is known already needs no look
            if len(found) > 1 or looked == MOST_LOOKED:
                break
            if result[other] not in found:
                looked += 1
                found |= {int(result[other])} if are_one(other, row) else set()
        if not found:
            result[row] = SUBSETS.index(drawn(known.sha256s[row]))
        else:
            result[row] = found.pop() if len(found) == 1 else NEITHER
        on_photo()
    return [SUBSETS[number] for number in result[before:]]


def drawn(sha256: str) -> Subset:
    """The subset that a photo like no other gets: by its content, the same on every machine."""
    # hashed again with a name: whoever draws something else by the same digits draws independently
    number = int.from_bytes(hashlib.sha256(b"holdout " + sha256.encode()).digest()[:8], "big")
    return "holdout" if number < HOLDOUT_SHARE * 2**64 else "training"


class _Known:
    """Photos in the order in which they were decided, the new ones last, made ready for comparing."""

    def __init__(self, decided: Fingerprints, new: Fingerprints, alike: float | None) -> None:
        self.sha256s = [*decided.sha256s, *new.sha256s]
        _, self._files = np.unique(np.array(self.sha256s, dtype=str), return_inverse=True)
        self._hashes, self._hashed = _hashes([*decided.phashes, *new.phashes])
        self._groups = np.concatenate([_groups(decided), _groups(new)])
        self._alike = alike
        self._units = None if alike is None else _joined(decided, new)

    def rows(self, start: int) -> Iterator[tuple[int, Flags, Ints]]:
        """Of each photo from `start` on: its number, which ones it is linked to, and those near it, the nearest first."""
        for first in range(start, len(self.sha256s), BLOCK):
            end = min(first + BLOCK, len(self.sha256s))
            links, far = self._compared(slice(first, end), end)
            for row in range(first, end):
                linked, how_far = links[row - first], far[row - first, :row]
                near = np.flatnonzero((how_far <= 1.0) & ~linked[:row])
                yield row, linked, near[np.argsort(how_far[near], kind="stable")]

    def _compared(self, rows: slice, end: int) -> tuple[Flags, Floats]:
        """Links with all photos up to `end`; and how far each is, 1 for the furthest that is near."""
        links = self._files[rows, None] == self._files[None, :end]
        links |= (self._groups[rows, None] == self._groups[None, :end]) & (self._groups[rows, None] != ALONE)
        bits = np.bitwise_count(self._hashes[rows, None] ^ self._hashes[None, :end]).astype(np.float32)
        bits[~(self._hashed[rows, None] & self._hashed[None, :end])] = np.inf
        links |= bits <= ALIKE_BITS
        far: Floats = (bits / LOOKED_BITS).astype(np.float32)
        if self._alike is not None and self._units is not None:
            apart = 1.0 - self._units[rows] @ self._units[:end].T
            apart[np.isnan(apart)] = np.inf
            links |= apart <= self._alike
            far = np.minimum(far, apart / (LOOKED_TIMES * self._alike))
        return links, far


def _hashes(phashes: Sequence[int | None]) -> tuple[Bits, Flags]:
    """Hashes as unsigned numbers, and which of them say something of a picture."""
    bits = np.array([phash or 0 for phash in phashes], np.int64).view(np.uint64)
    return bits, np.bitwise_count(bits) >= FEWEST_BITS


def _groups(photos: Fingerprints) -> npt.NDArray[np.int64]:
    groups = photos.groups or [None] * len(photos.sha256s)
    return np.array([ALONE if group is None else group for group in groups], np.int64)


def _joined(decided: Fingerprints, new: Fingerprints) -> Floats | None:
    """Roots of all vectors, each of length 1, (n, channels); None if there are none, or they are colours only."""
    given = [one.vectors for one in (decided, new) if one.vectors is not None and len(one.vectors)]
    if not given or given[0].shape[1] < FEWEST_CHANNELS:
        return None
    parts = [_units(one, given[0].shape[1]) for one in (decided, new)]
    return np.concatenate(parts)


def _units(photos: Fingerprints, channels: int) -> Floats:
    if photos.vectors is None or len(photos.vectors) == 0:
        return np.full((len(photos.sha256s), channels), np.nan, np.float32)
    roots = np.sqrt(np.maximum(photos.vectors.astype(np.float32), 0.0))  # maximum keeps NaN
    lengths = np.linalg.norm(roots, axis=1, keepdims=True)
    return np.where(lengths > 0, roots / np.where(lengths > 0, lengths, 1.0), np.nan)
