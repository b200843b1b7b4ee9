"""Whether a difference is more than chance."""

from typing import Any, cast

from scipy import special


def chance_of_so_many(wins: int, losses: int) -> float:
    """How often a fair coin gives at least `wins` of `wins + losses`: the exact one-sided McNemar test, in [0, 1]."""
    return float(cast("Any", special).bdtrc(wins - 1, wins + losses, 0.5)) if wins else 1.0
