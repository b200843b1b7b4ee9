"""What training a network costs, as people read it."""

from dataclasses import replace

import pytest

from db.tuning_cost import TuningCost
from ui.cost_words import cost_lines, cost_shape, duration, room


def test_the_cost_names_photos_room_and_time() -> None:
    """And whether the rate is this library's own."""
    cost = TuningCost(800, 200, 9_000, 500_000_000, 160_000_000, 4.2, True, 900.0, 9_000.0)

    words = " ".join(cost_lines(cost))

    assert "800 to train and 200 to be examined, about 15 minutes at most" in words
    assert "9,000 more of the library to be re-tagged, about 2.5 hours" in words
    assert "500 MB" in words
    assert "4.2 photos a second, as lately on this library" in words
    assert "nothing more" in " ".join(cost_lines(replace(cost, to_retag=0, retag_s=0.0)))
    shape = cost_shape(cost)
    assert shape is not None
    assert (shape["lines"], shape["to_train"], shape["retag_seconds"]) == (cost_lines(cost), 800, 9_000)
    assert cost_shape(None) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20, "less than a minute"), (70, "about 1 minute"), (5000, "about 83 minutes"), (7200, "about 2.0 hours")],
)
def test_times_are_rounded(seconds: float, words: str) -> None:
    """As people would."""
    assert duration(seconds) == words


def test_room_is_in_units_of_disks() -> None:
    """Powers of ten, as makers of disks count."""
    assert (room(12_300_000), room(3_400_000_000)) == ("12 MB", "3.4 GB")
