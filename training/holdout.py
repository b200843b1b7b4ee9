"""Which photos may be trained on and which are held out for exams: decided once, so that no two alike are astride.

Two photos are linked if their files are the same, their perceptual hashes differ in few bits, they are of one group of
near-duplicates, or the means of their features point nearly the same way. Each new photo follows those it is linked to;
only a photo that is like none is drawn.

Measured (benchmarks/holdout.py) on changed copies of 20 photos and on 227,475 pairs of different ones: scenes, landmarks
and a library, five copies among them. Distances of features are 1 - cosine of their square roots, times 10,000:

| change | hash: bits, median and most | ImageNet in blocks 1-3: median and most | seeded: median and most |
|---|---|---|---|
| smaller, JPEG quality 50 | 0, 4 | 4.3, 17.2 | 1.0, 7.7 |
| crop of 5 % | 6, 12 | 4.9, 5.6 | 1.9, 2.9 |
| crop of 10 % | 12, 18 | 6.6, 8.0 | 3.1, 6.5 |
| crop of 10 % at a corner | 20, 28 | 7.0, 8.6 | 4.9, 11.9 |
| next shot of a burst, 1 degree | 10, 18 | 5.7, 6.8 | 3.2, 4.1 |
| next shot of a burst, 2 degrees | 12, 20 | 6.8, 7.5 | 5.5, 8.7 |
| different photos: 1 pair in 10,000 is nearer than | 10 | 11.8 | 6.4 |

Of the 420 pairs among a photo and its six copies hash and features together link 398 where the network has learnt
something; the other 22 are all with a picture of 150 px made smaller still. 11 pairs of different photos are linked, most of
which are copies or shots of one place. Seeded weights see little but light and contrast: they link seven pairs in ten, and
miss shots that are turned by 2 degrees and crops at a corner. The tiny backbone sees colours only, and most photos share
some: 8 channels say nothing, and the hash decides alone.

Links of hashes and features are between two photos. Two changed copies that are not alike by these figures are linked if
the photo between them is in the library, labelled or not, and its hash puts them into one group (db/near_duplicates.py);
otherwise they may be drawn apart when both come before it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from worker.card import BackboneCard

Subset = Literal["training", "holdout", "neither"]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
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
# Photos that are compared at once with all before them: 20,000 photos take 40 MB.
BLOCK = 512


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
) -> list[Subset]:
    """Decides about new photos, one after the other.

    A photo linked to photos of one subset alone takes it. Linked to several it is used by neither: it would give the
    exam away from one side or the other. What is linked to a photo of neither and to no other is near such a bridge, and
    used by neither as well. Linked to none it is drawn by its SHA-256. So no photo of training is linked to a held-out
    one, in whatever order they come; and the same photos in the same order are decided the same.

    Args:
        new: in the order in which they were labelled.
        decided: those of which it is known.
        subsets: what was decided of them.
        alike: distance of features up to which photos are alike (`alike_distance`); None: features are not looked at.
    """
    before = len(subsets)
    known = _Known(decided, new, alike)
    result = np.array([SUBSETS.index(subset) for subset in subsets] + [0] * len(new.sha256s), np.int64)  # type: ignore[arg-type]
    for start, links in known.blocks(before):
        for row, linked in enumerate(links, start):
            of_linked = np.unique(result[:row][linked[:row]])
            if len(of_linked) == 0:
                result[row] = SUBSETS.index(drawn(known.sha256s[row]))
            else:
                result[row] = of_linked[0] if len(of_linked) == 1 else NEITHER
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
        self._units = None
        if alike is not None:
            self._least = 1.0 - alike
            self._units = _joined(decided, new)

    def blocks(self, start: int) -> Iterator[tuple[int, Flags]]:
        """From photo `start` on: the number of a block's first photo, and its links with all up to its end."""
        for first in range(start, len(self.sha256s), BLOCK):
            end = min(first + BLOCK, len(self.sha256s))
            yield first, self._links(slice(first, end), end)

    def _links(self, rows: slice, end: int) -> Flags:
        links = self._files[rows, None] == self._files[None, :end]
        differing = np.bitwise_count(self._hashes[rows, None] ^ self._hashes[None, :end])
        links |= (differing <= ALIKE_BITS) & self._hashed[rows, None] & self._hashed[None, :end]
        links |= (self._groups[rows, None] == self._groups[None, :end]) & (self._groups[rows, None] != ALONE)
        if self._units is not None:
            links |= self._units[rows] @ self._units[:end].T >= self._least  # false where one is NaN
        return links


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
