"""Codes of features: the share of bits in which two differ tells the angle between them."""

import numpy as np
import pytest

from db.feature_codes import CODE_BITS, Features, code_vectors, make_codes, pooled


@pytest.mark.parametrize("count", [0, 1, 16, 37])
def test_pooling_is_the_mean_over_all_places(count: int) -> None:
    """Of any sign, of any size that float16 has, those below its normal numbers too."""
    rng = np.random.default_rng(1)
    sizes = 10.0 ** rng.uniform(-7.5, 3.0, (count, 7, 7, 24))
    features = (sizes * rng.choice([-1.0, 0.0, 1.0], sizes.shape)).astype(np.float16)

    expected = features.astype(np.float64).mean(axis=(1, 2))

    np.testing.assert_allclose(pooled(features), expected, rtol=1e-5, atol=1e-4)


def test_pooling_keeps_the_smallest_numbers() -> None:
    """2**-24 is the least that float16 has."""
    least = np.full((1, 7, 7, 4), 2.0**-24, np.float16)

    np.testing.assert_allclose(pooled(least), 2.0**-24, rtol=1e-6)


def test_bits_that_differ_tell_the_angle_about_the_centre() -> None:
    """To 0.3 rad, four times the deviation that 512 draws have."""
    vectors = code_vectors(some_features(60))
    centre = vectors.mean(axis=0)
    about = (vectors - centre) / np.linalg.norm(vectors - centre, axis=1, keepdims=True)
    angles = np.arccos(np.clip(about @ about.T, -1.0, 1.0))

    codes = np.frombuffer(b"".join(make_codes(vectors, centre)), np.uint8).reshape(60, -1)
    bits = np.unpackbits(codes, axis=1)
    differing = (bits[:, None] != bits[None]).mean(axis=2)

    assert bits.shape == (60, CODE_BITS)
    assert np.abs(differing * np.pi - angles).max() < 0.3
    assert np.ptp(angles[np.triu_indices(60, 1)]) > 1.0, "the sample has no angles to tell apart"


def test_a_code_depends_on_its_photo_and_the_centre_alone() -> None:
    """Not on its neighbours in the chunk; codes of today are compared with codes of last year."""
    vectors = code_vectors(some_features(20))
    centre = np.full(64, 0.5, np.float32)

    assert make_codes(vectors[7:9], centre) == make_codes(vectors, centre)[7:9]
    assert make_codes(vectors, centre)[0][:8].hex() == "02d313103fe313db"


def test_what_is_below_zero_counts_as_nothing() -> None:
    """Roots are taken of means, which of ReLU's features are never negative."""
    features = -some_features(2)

    assert not code_vectors(features).any()


def some_features(count: int) -> Features:
    """Features as ReLU leaves them: none is negative. Each photo is a blend of three kinds of photo."""
    rng = np.random.RandomState(3)
    kinds = np.maximum(rng.standard_normal((3, 7, 7, 64)), 0.0)
    blends = rng.dirichlet([0.4] * 3, count)
    return np.einsum("nk,khwc->nhwc", blends, kinds).astype(np.float16)
