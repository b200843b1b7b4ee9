"""What counts of photos say for sure: intervals of shares, and whether a difference is more than chance."""

import math
from typing import Any, cast

from scipy import special

# Standard normal deviations that 95 % of chance lies within.
Z_95 = 1.959964


def wilson(hits: int, photos: int) -> tuple[float, float] | None:
    """The 95 % interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953); None without photos."""
    if photos == 0:
        return None
    share, square = hits / photos, Z_95**2
    centre = (share + square / (2 * photos)) / (1 + square / photos)
    half = Z_95 * math.sqrt(share * (1 - share) / photos + square / (4 * photos**2)) / (1 + square / photos)
    # of none or of all hits the interval ends at the share itself; rounding must not move it away
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == photos else centre + half)


def chance_of_so_many(wins: int, losses: int) -> float:
    """How often a fair coin gives at least `wins` of `wins + losses`: the exact one-sided McNemar test, in [0, 1]."""
    return float(cast("Any", special).bdtrc(wins - 1, wins + losses, 0.5)) if wins else 1.0
