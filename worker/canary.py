"""Generated photos that every version is asked about when it loads: their scores must be those of its card.

They catch what hashes cannot: swapped colour channels, another decode size, an engine that computes something else.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from db.errors import ArtifactError

# Half precision moved the starter's scores by 0.0003; swapped channels move them by more than 0.06.
TOLERANCE = 0.03
CANARY_RANKS = 3

Expected = list[list[tuple[int, float]]]  # a photo's first outputs: (position, score)


def canary_pixels() -> npt.NDArray[np.uint8]:
    """Four photos, always the same: a sunset, a lawn under the sky, coarse noise, stripes. (4, 224, 224, 3)"""
    ramp = np.linspace(0.0, 1.0, 224, dtype=np.float32)
    across, down = np.meshgrid(ramp, ramp)
    rng = np.random.RandomState(7)
    sunset = np.stack([0.9 - 0.3 * down, 0.5 * (1 - down) + 0.1 * across, 0.1 + 0.3 * down], axis=-1)
    lawn = np.where(down[..., None] < 0.5, [0.45, 0.65, 0.95], [0.2, 0.55, 0.15]) * (0.8 + 0.2 * across[..., None])
    noise = np.kron(rng.uniform(size=(14, 14, 3)), np.ones((16, 16, 1)))
    stripes = np.where(np.arange(224)[None, :, None] % 28 < 14, [0.85, 0.8, 0.75], [0.3, 0.3, 0.35])
    stripes = np.broadcast_to(stripes, (224, 224, 3))
    return np.stack([(photo * 255.0).clip(0, 255).astype(np.uint8) for photo in (sunset, lawn, noise, stripes)])


def expected_scores(probabilities: npt.NDArray[np.float32]) -> Expected:
    """What a card remembers of its canary photos. (4, labels) in."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :CANARY_RANKS]
    return [
        [(int(position), round(float(row[position]), 5)) for position in positions]
        for row, positions in zip(probabilities, order, strict=True)
    ]


def check_canaries(name: str, expected: Expected, probabilities: npt.NDArray[np.float32]) -> None:
    """Compares the scores of the canary photos with those of the card.

    Raises:
        ArtifactError: a score is further off than engines and rounding explain.
    """
    wanted = [(photo, position, score) for photo, row in enumerate(expected) for position, score in row]
    if any(photo >= len(probabilities) or not 0 <= position < probabilities.shape[1] for photo, position, _ in wanted):
        msg = f"The card of version {name} expects canary photos or labels that do not exist. Activate another version."
        raise ArtifactError(msg)
    off = max((abs(float(probabilities[photo, position]) - score) for photo, position, score in wanted), default=0.0)
    if not off <= TOLERANCE:  # also when it is not a number
        msg = (
            f"Version {name} does not give the scores on its test pictures that it gave when it was made: off by"
            f" {off:.3f}, at most {TOLERANCE} was expected. The network computes something else here; check that"
            " phototag's packages are the pinned ones, or activate another version."
        )
        raise ArtifactError(msg)


def score_rows(rows: Sequence[Sequence[tuple[int, float]]]) -> Expected:
    """The rows of a card as `check_canaries` wants them."""
    return [[(position, score) for position, score in row] for row in rows]
