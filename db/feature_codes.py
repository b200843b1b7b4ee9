"""Codes of features: 512 bits a photo, of which two photos have the more in common the more alike their features are.

A photo's vector is the root of its features' means over all places. What all photos have in common, the centre of their
space, is taken off: vectors of a network of ReLUs point nearly the same way otherwise (on 675 photos and the starter's
backbone the median cosine of two is 0.99, and bits find half of the nearest ten; about a centre 0.93 of them). Roots keep
a few strong channels from deciding alone (Arandjelovic and Zisserman 2012, "Three things everyone should know to improve
object retrieval"). Each bit says on which side of a random plane through the centre the vector lies: the share of bits in
which two photos differ, times pi, is close to the angle between them (Charikar 2002, "Similarity Estimation Techniques
from Rounding Algorithms", doi:10.1145/509907.509965). 64 bytes stand for the 50 KB of the features.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

CODE_BITS = 512
# Codes that are kept were made with these planes: another seed would make others.
SEED = 20020519
# Photos whose values are widened at once: they stay in the processor's cache.
BLOCK = 16
# What a photo has of which no code can be made, or none is needed. It is not looked at again.
NO_CODE = b""

Features = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]


def make_codes(vectors: Floats, centre: Floats) -> list[bytes]:
    """The code of each photo, 64 bytes.

    Args:
        vectors: as `code_vectors` makes them, (n, channels).
        centre: of their space, (channels,).
    """
    bits = (vectors - centre) @ _planes(len(centre)) > 0.0  # (n, 512)
    return [row.tobytes() for row in np.packbits(bits, axis=1)]


def code_vectors(features: Features) -> Floats:
    """What codes are made of: features (n, h, w, channels) to (n, channels)."""
    return np.sqrt(np.maximum(pooled(features), 0.0))


def pooled(features: Features) -> Floats:
    """Global average pooling: (n, h, w, channels) to (n, channels). Values are finite."""
    count, height, width, channels = features.shape
    halves = np.ascontiguousarray(features).reshape(count, height * width, channels).view(np.int16)
    sums = np.empty((count, channels), np.float32)
    for start in range(0, count, BLOCK):
        # float16 in the places where float32 has sign, exponent and fraction: three times as fast as NumPy's astype
        wide = halves[start : start + BLOCK].astype(np.int32)
        wide <<= 13
        wide &= np.int32(-0x70002000)  # all but the three bits that the shift has doubled the sign into
        np.add.reduce(wide.view(np.float32), axis=1, out=sums[start : start + BLOCK])
    return sums * np.float32(2.0**112 / (height * width))  # the exponents' bias: 127 - 15


@cache
def _planes(channels: int) -> Floats:
    """Normals of the planes, (channels, 512). `RandomState` is frozen by NumPy's policy (NEP 19)."""
    return np.random.RandomState(SEED).standard_normal((channels, CODE_BITS)).astype(np.float32)
