"""Linear discriminants: against scikit-learn's, and where there is nothing to measure a covariance with."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from training.discriminant_fit import TOO_SURE, DiscriminantCourse
from training.fit import FittedHead
from training.recipe import load_recipe
from worker.heads import head_inputs


def fitted(values: np.ndarray, targets: np.ndarray, strength: float, *, balanced: bool = False) -> FittedHead:
    """The head of all photos at one strength."""
    changes = {"strengths": (strength,), "class_weights": balanced}
    course = DiscriminantCourse(values, load_recipe().model_copy(update=changes), lambda: False)
    return course.final(1, targets, int(targets.max()) + 1)


def standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0) / np.sqrt(values.shape[1])


@pytest.mark.parametrize("shrinkage", [1.0, 0.5, 0.05])
def test_scores_are_those_of_scikit_learn(shrinkage: float) -> None:
    """Up to the divisor of the covariance (photos less labels, not photos), which a constant of logits makes up for."""
    chance = np.random.RandomState(0)
    targets = np.repeat([0, 1, 2], [90, 60, 30])
    values = (chance.standard_normal((3, 12))[targets] + chance.standard_normal((180, 12))).astype(np.float32)

    ours = fitted(values, targets, shrinkage).logits(values)

    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(standardised(values), targets)
    log_shares = np.log([90 / 180, 60 / 180, 30 / 180])
    expected = theirs.decision_function(standardised(values)) - log_shares
    found = (ours - log_shares) * TOO_SURE * 180 / (180 - 3)
    np.testing.assert_allclose(
        found - found.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), rtol=2e-2, atol=2e-2
    )


def test_labels_whose_photos_are_all_alike_are_told_apart() -> None:
    """No spread within any label: the nearest mean, with finite numbers."""
    values = np.repeat(np.eye(3, 6, dtype=np.float32), 4, axis=0)
    targets = np.repeat([0, 1, 2], 4)

    logits = fitted(values, targets, 0.5).logits(values)

    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == targets).all()


def test_photos_count_by_their_weight() -> None:
    """Balanced labels have the same prior: the photo half-way between two means is nobody's."""
    values = np.array([[-1.0, 0.1], [-1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1], [1.0, 0.1], [1.0, -0.1]], np.float32)
    targets = np.array([0, 0, 0, 0, 1, 1])
    middle = np.zeros((1, 2), np.float32)

    uneven, even = (fitted(values, targets, 0.5, balanced=balanced).logits(middle)[0] for balanced in (False, True))

    assert uneven[0] - uneven[1] == pytest.approx(np.log(2.0), abs=1e-4)
    assert even[0] == pytest.approx(even[1], abs=1e-4)


def test_photos_at_one_length_read_the_same_whatever_their_strength() -> None:
    """A photo with three times the features has the same inputs; one without any is no trouble."""
    features = np.random.RandomState(0).uniform(0.0, 4.0, (2, 3, 3, 5)).astype(np.float16)

    inputs = head_inputs(features, averages=True, unit_length=True)

    np.testing.assert_allclose(np.linalg.norm(inputs, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(head_inputs(features * 3, averages=True, unit_length=True), inputs, atol=2e-3)
    assert not head_inputs(features * 0, averages=True, unit_length=True).any()
