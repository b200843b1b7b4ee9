"""Figures of a version."""

import numpy as np
import pytest

from training.evaluate import calibration_error, measure


def test_figures_of_a_case_that_can_be_counted_by_hand() -> None:
    """Four photos, three labels."""
    scores = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.3, 0.6], [0.4, 0.35, 0.25]], np.float32)
    targets = np.array([0, 1, 2, 2])

    figures = measure(scores, targets, ["a", "b", "c"], 0.5)

    assert figures["top1"] == 0.5
    assert figures["top2"] == 0.75
    assert figures["by_label"] == {"a": 1.0, "b": 0.0, "c": 0.5}
    assert figures["coverage"] == 0.75
    assert figures["accuracy_when_sure"] == pytest.approx(0.6667)


def test_a_label_without_photos_has_no_figure() -> None:
    """None, not a division by zero."""
    figures = measure(np.array([[0.6, 0.4]], np.float32), np.array([0]), ["a", "b"], 0.9)

    assert figures["by_label"] == {"a": 1.0, "b": None}
    assert figures["accuracy_when_sure"] is None


def test_calibration_error_is_the_gap_between_saying_and_being() -> None:
    """Sure of 0.95 and right half of the time: 0.45."""
    first = np.full(100, 0.95, np.float32)

    assert calibration_error(first, np.arange(100) % 2 == 0) == pytest.approx(0.45, abs=1e-5)
    assert calibration_error(np.full(100, 1.0, np.float32), np.ones(100, bool)) == pytest.approx(0.0)


def test_calibration_errors_are_weighed_by_photos() -> None:
    """Three quarters nearly right, a quarter far off."""
    first = np.repeat(np.array([0.95, 0.55], np.float32), [75, 25])

    assert calibration_error(first, first > 0.9) == pytest.approx(0.75 * 0.05 + 0.25 * 0.55, abs=1e-5)
