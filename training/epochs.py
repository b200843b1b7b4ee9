"""What is told of a fit while it goes on."""

from typing import NamedTuple

from db.errors import PhototagError


class StoppedError(PhototagError):
    """Raised when a fit is ended before it is done, because somebody asked for it."""


class Epoch(NamedTuple):
    """How a fit stands: once through the photos (adam), or the optimum under one penalty of the recipe (lbfgs).

    Attributes:
        number: from 1.
        loss: mean of -log p(true label) on fitted photos.
        accuracy: share of them that is right, [0, 1].
        held_out_loss: as `loss`, of photos by heads that know neither them nor their group, at the temperature that
            suits them best; None while no photo can be held out.
        held_out_accuracy: likewise.
    """

    number: int
    loss: float
    accuracy: float
    held_out_loss: float | None
    held_out_accuracy: float | None
