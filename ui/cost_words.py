"""What training a network of one's own costs, in words: the same for the command line, the page and programs."""

from typing import Any

from sqlalchemy.orm import Session

from db.errors import ConflictError
from db.tuning_cost import TuningCost, tuning_cost
from ui.shapes import Json

MINUTE_S, HOUR_S = 60.0, 3600.0
MEGA, GIGA = 1e6, 1e9


def cost_lines(cost: TuningCost) -> list[str]:
    """What must be computed, what room it takes, and how long that lasts; each line stands by itself."""
    source = "as lately on this library" if cost.is_measured else "as on 2 cores without a GPU; none was measured here"
    later = "nothing more, as the library has no other photos"
    if cost.to_retag:
        later = f"{cost.to_retag:,} more of the library to be re-tagged, {duration(cost.retag_s)}"
    return [
        "This recipe trains a network of its own, so photos run through it anew.",
        f"Now: {cost.to_train:,} to train and {cost.to_examine:,} to be examined, {duration(cost.train_s)} at most.",
        f"Once its version is active: {later}.",
        f"On disk: {room(cost.feature_bytes)} of features, and {room(cost.temporary_bytes)} more while it trains.",
        f"Times are for {cost.rate:.1f} photos a second, {source}.",
    ]


def cost_shape(cost: TuningCost | None) -> Json | None:
    """The cost for the page; None where there is none to speak of."""
    if cost is None:
        return None
    return {
        "lines": cost_lines(cost),
        "to_train": cost.to_train,
        "to_examine": cost.to_examine,
        "to_retag": cost.to_retag,
        "feature_bytes": cost.feature_bytes,
        "temporary_bytes": cost.temporary_bytes,
        "seconds": round(cost.train_s),
        "retag_seconds": round(cost.retag_s),
    }


def require_accepted(session: Session, recipe: dict[str, Any], *, accepted: bool) -> None:
    """Lets nobody start such a training who has not seen what it costs.

    Raises:
        ConflictError: it costs something, and nobody has said that this is accepted; or it cannot be trained here.
    """
    cost = tuning_cost(session, recipe)
    if cost is not None and not accepted:
        msg = f"{' '.join(cost_lines(cost))} Ask again with `accept_cost` true if that is wanted. Received: false"
        raise ConflictError(msg)


def duration(seconds: float) -> str:
    """`about 3 minutes`, rounded as people would."""
    if seconds < MINUTE_S:
        return "less than a minute"
    if seconds < 1.5 * HOUR_S:
        minutes = round(seconds / MINUTE_S)
        return f"about {minutes} minute{'' if minutes == 1 else 's'}"
    return f"about {seconds / HOUR_S:.1f} hours"


def room(size: int) -> str:
    """`12 MB`, `3.4 GB`."""
    return f"{size / GIGA:.1f} GB" if size >= GIGA else f"{size / MEGA:.0f} MB"
