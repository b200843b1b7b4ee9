"""Figures of a version."""

import json

import numpy as np
import pytest

from training.evaluate import calibration_error, compare, measure, report


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


def test_a_report_of_a_case_that_can_be_counted_by_hand() -> None:
    """Five photos, three labels: rows of the table are true labels, columns are what was said."""
    scores = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.3, 0.6], [0.4, 0.35, 0.25], [0.8, 0.1, 0.1]])
    targets = np.array([0, 1, 2, 2, 0])

    found = report(scores, targets, ["a", "b", "c"], 0.5)

    assert found["photos"] == 5
    assert (found["top1"], found["top5"]) == (0.6, 1.0)
    assert found["confusion"] == [[2, 0, 0], [1, 0, 0], [1, 0, 1]]
    rows = {row["label"]: row for row in found["by_label"]}
    assert (rows["a"]["precision"], rows["a"]["recall"]) == (0.5, 1.0)
    assert (rows["b"]["precision"], rows["b"]["recall"]) == (None, 0.0)
    assert rows["b"]["precision_interval"] is None
    assert rows["c"]["recall_interval"] == pytest.approx([0.0945, 0.9055], abs=1e-4)
    assert found["macro_f1"] == pytest.approx((2 * 2 / 6 + 0 + 2 / 3) / 3, abs=1e-4)
    assert [row["photos"] for row in found["calibration"]] == [0, 0, 0, 0, 1, 1, 1, 1, 1, 0]
    assert found["calibration"][4]["accuracy"] == 0.0
    assert (found["coverage"], found["accuracy_when_sure"]) == (0.8, 0.75)
    json.dumps(found)


def test_a_table_of_many_labels_is_a_list_of_what_occurs() -> None:
    """Sixty labels, three photos: two cells."""
    scores = np.zeros((3, 60))
    scores[:, 7] = 1.0

    found = report(scores, np.array([7, 7, 9]), [str(label) for label in range(60)], 0.5)

    assert found["confusion"] == [[7, 7, 2], [9, 7, 1]]


def test_a_report_without_photos_has_no_shares() -> None:
    """None and zeros, no division by zero."""
    found = report(np.zeros((0, 2)), np.zeros(0, np.int64), ["a", "b"], 0.5)

    assert (found["top1"], found["macro_f1"], found["coverage"]) == (None, None, None)
    assert found["confusion"] == [[0, 0], [0, 0]]
    json.dumps(found)


def test_two_versions_are_compared_photo_by_photo() -> None:
    """Which one names rightly what the other does not."""
    targets = np.array([0, 1, 0, 1])
    candidate = np.eye(2)[[0, 1, 1, 0]]
    base = np.eye(2)[[0, 0, 0, 0]]

    found = compare(candidate, base, targets, ["a", "b"], 0.5, 0.9)

    assert (found["better"], found["worse"]) == ([1], [2])
    assert (found["candidate"]["threshold"], found["base"]["threshold"]) == (0.5, 0.9)
    alone = compare(candidate, None, targets, ["a", "b"], 0.5, 0.9)
    assert (alone["base"], alone["better"], alone["worse"]) == (None, [], [])
