"""The gate: really better, not better, or too few photos to tell."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.intervals import wilson
from training.gate import CHANCE, FEWEST_PHOTOS, exam_photos_needed, judge
from training.intervals import chance_of_so_many

LABELS = ["glacier", "mountain", "sea"]


def exam(gained: int, lost: int, both: int, *, labels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photos that only the new version names rightly, only the old one, and both; labels in turn."""
    targets = np.arange(gained + lost + both) % labels
    candidate, base = targets.copy(), targets.copy()
    base[:gained] = (targets[:gained] + 1) % labels
    candidate[gained : gained + lost] = (targets[gained : gained + lost] + 1) % labels
    return targets, candidate, base


@pytest.mark.parametrize(
    ("gained", "lost", "verdict"),
    [
        (5, 0, "better"),
        (4, 0, "thin"),
        (8, 1, "better"),
        (7, 1, "better"),
        (6, 1, "thin"),
        (0, 0, "not_better"),
        (3, 3, "not_better"),
    ],
)
def test_a_verdict_at_its_boundary(gained: int, lost: int, verdict: str) -> None:
    """Five photos and no loss are 1 in 32, four are 1 in 16; seven to one are 9 in 256."""
    gate = judge(*exam(gained, lost, 40), LABELS)

    assert gate.verdict == verdict
    assert gate.reasons
    assert all(check["passed"] for check in gate.checks) == (verdict == "better")
    assert (gate.photos_needed is not None) == (verdict == "thin")
    json.dumps([gate.reasons, gate.checks])


@given(gained=st.integers(0, 30), lost=st.integers(0, 30), both=st.integers(0, 60))
@settings(deadline=None)
def test_what_every_verdict_keeps_to(gained: int, lost: int, both: int) -> None:
    """Better only beyond chance and with enough photos; never both ways round; thin only with a number of photos."""
    targets, candidate, base = exam(gained, lost, both)

    gate, swapped = judge(targets, candidate, base, LABELS), judge(targets, base, candidate, LABELS)

    if gate.verdict == "better":
        assert chance_of_so_many(gained, lost) <= CHANCE
        assert len(targets) >= FEWEST_PHOTOS
        assert swapped.verdict == "not_better"
    if len(targets) < FEWEST_PHOTOS:
        assert gate.verdict == "thin"
    assert (gate.verdict == "thin") == (gate.photos_needed is not None)
    assert gate.photos_needed is None or gate.photos_needed >= 5


@given(gained=st.integers(0, 30), lost=st.integers(0, 30), both=st.integers(20, 60))
@settings(deadline=None)
def test_one_more_photo_that_is_gained_never_makes_it_worse(gained: int, lost: int, both: int) -> None:
    """Of not better, thin, better."""
    order = ["not_better", "thin", "better"]

    less, more = (judge(*exam(gained + extra, lost, both), LABELS) for extra in (0, 1))

    if not {check["name"] for gate in (less, more) for check in gate.checks if not check["passed"]} & {"by_label"}:
        assert order.index(more.verdict) >= order.index(less.verdict)


def test_a_label_that_falls_stops_a_version_that_is_better_over_all() -> None:
    """30 photos gained, but seven of ten glaciers lost: named in the reasons."""
    targets = np.repeat([0, 1, 2], [10, 40, 40])
    base, candidate = targets.copy(), targets.copy()
    base[10:40] = 2
    candidate[:7] = 1

    gate = judge(targets, candidate, base, LABELS)

    assert gate.verdict == "not_better"
    assert "“glacier” (7 of 10 photos lost, 0 gained)" in gate.reasons[0]
    candidate[1:7] = 0
    assert judge(targets, candidate, base, LABELS).verdict == "better", "one photo is within the tolerance"


def test_many_labels_that_fall_by_chance_stop_nothing() -> None:
    """Of 100 labels with 20 photos each some fall by three; one that falls by 15 is seen."""
    chance = np.random.RandomState(0)
    targets = np.repeat(np.arange(100), 20)
    base = np.where(chance.uniform(size=2000) < 0.7, targets, (targets + 1) % 100)
    candidate = np.where(chance.uniform(size=2000) < 0.8, targets, (targets + 1) % 100)
    names = [f"label {number}" for number in range(100)]
    assert judge(targets, candidate, base, names).verdict == "better"

    base[200:220], candidate[200:215] = 10, 11

    gate = judge(targets, candidate, base, names)
    assert gate.verdict == "not_better"
    assert "“label 10”" in gate.reasons[0]


def test_a_label_the_active_version_does_not_know_is_simply_wrong_there() -> None:
    """-1 is no label of the candidate."""
    targets = np.arange(30) % 3
    base = np.where(targets == 2, -1, targets)

    assert judge(targets, targets, base, LABELS).verdict == "better"


def test_without_an_active_version_it_must_beat_the_commonest_label() -> None:
    """Saying "sea" of everything is no model."""
    targets = np.repeat([0, 1, 2], [8, 8, 24])

    assert judge(targets, targets, None, LABELS).verdict == "better"
    gate = judge(targets, np.full(40, 2), None, LABELS)
    assert gate.verdict == "not_better"
    assert "always saying “sea”" in gate.reasons[0]


def test_a_small_exam_says_how_many_photos_it_lacks() -> None:
    """One reviewed photo in five goes into the exam; labels that the exam hardly has are named."""
    gate = judge(*exam(12, 0, 0), LABELS)
    assert gate.verdict == "thin"
    assert gate.photos_needed == (FEWEST_PHOTOS - 12) * 5
    assert "40 more reviewed photos" in gate.reasons[-1]

    targets = np.zeros(40, np.int64)
    one_label = judge(targets, targets, targets + 1, LABELS)
    assert one_label.verdict == "thin"
    assert "Too few of: mountain, sea" in one_label.reasons[0]
    assert judge(targets[:0], targets[:0], None, LABELS).verdict == "thin"


@pytest.mark.parametrize(("gained", "lost", "photos"), [(4, 0, 60), (9, 4, 50), (12, 7, 200)])
def test_as_many_photos_as_are_asked_for_settle_it_in_four_of_five_cases(gained: int, lost: int, photos: int) -> None:
    """Exams drawn at the rates that were seen."""
    needed = exam_photos_needed(photos, gained, lost)
    assert needed is not None
    chance = np.random.RandomState(1)
    drawn = chance.multinomial(needed, [gained / photos, lost / photos, 1 - (gained + lost) / photos], 3000)

    settled = np.mean([chance_of_so_many(int(won), int(missed)) <= CHANCE for won, missed, _ in drawn])

    assert settled == pytest.approx(0.8, abs=0.07)


def test_intervals_of_cases_that_are_known() -> None:
    """Wilson's interval of 8 of 10, of none and of all; a coin."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) is None
    assert chance_of_so_many(0, 0) == 1.0
    assert chance_of_so_many(5, 0) == pytest.approx(1 / 32)
    assert chance_of_so_many(9_000, 8_000) < 1e-10
