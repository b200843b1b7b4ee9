"""What counts of photos say of a share for sure."""

import math

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
