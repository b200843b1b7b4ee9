"""Fitting, calibrating, and choosing what counts as sure."""

import numpy as np
import pytest

from training.fit import Fitting, choose_temperature, choose_threshold, held_out_logits, log_loss
from training.softmax import fit_softmax
from worker.heads import softmax


def blobs(count: int, inputs: int, labels: int = 3, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around one centre a label, with scales from 0.1 to 10 and far from zero."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % labels
    centres = np.random.default_rng(99).normal(size=(labels, inputs)) * 4.0 / np.sqrt(inputs)
    points = rng.normal(size=(count, inputs)) + centres[targets]
    return (points * np.logspace(-1, 1, inputs) + 5.0).astype(np.float32), targets


@pytest.mark.parametrize("inputs", [10, 900])
def test_a_fitted_head_tells_labels_apart(inputs: int) -> None:
    """On photos it has not seen, with fewer and with more inputs than photos."""
    train, targets = blobs(300, inputs)
    fresh, truth = blobs(300, inputs, seed=1)

    head = Fitting(train, targets).fit(1e-2)

    assert head.weights.shape == (inputs, 3)
    assert head.weights.dtype == head.bias.dtype == np.float32
    assert (head.logits(fresh).argmax(axis=1) == truth).mean() > (0.9 if inputs == 10 else 0.7)


def test_the_short_cut_for_many_inputs_has_the_same_optimum() -> None:
    """Fitting in the space that the photos span equals fitting on all inputs."""
    from sklearn.linear_model import LogisticRegression

    points, targets = blobs(40, 60)
    standardised = (points - points.mean(axis=0)) / points.std(axis=0) / np.sqrt(60)
    plain = LogisticRegression(C=1 / (1e-3 * 40), max_iter=5000, tol=1e-8).fit(standardised, targets)

    ours = softmax(Fitting(points, targets).fit(1e-3).logits(points), 1.0)

    np.testing.assert_allclose(ours, plain.predict_proba(standardised), atol=2e-3)


@pytest.mark.parametrize("strength", [1e-2, 1e-6])
def test_a_fit_ends_at_the_optimum(strength: float) -> None:
    """Where inputs differ a hundredfold too: of the slope, against how the loss bends there, nothing is left."""
    points, targets = blobs(500, 40)
    rows, weights = (points - points.mean(axis=0)).astype(np.float64), np.where(targets == 1, 0.5, 1.25)
    rows /= np.linalg.norm(rows, axis=1).mean()

    layer = fit_softmax(rows, targets, 3, strength, weights=weights / weights.mean())

    wrong = softmax(rows @ layer[:-1] + layer[-1], 1.0) - np.eye(3)[targets]
    wrong *= (weights / weights.sum())[:, None]
    slope = rows.T @ wrong + strength * layer[:-1]
    bend = (rows**2).mean(axis=0)[:, None] + strength
    assert np.abs(slope / np.sqrt(bend)).max() < 2e-5
    assert np.abs(wrong.sum(axis=0)).max() < 2e-5


def test_two_labels_get_two_outputs() -> None:
    """Where sklearn keeps one column for two labels, the head has both."""
    points, targets = blobs(100, 5, labels=2)

    head = Fitting(points, targets).fit(1e-3)

    assert head.weights.shape == (5, 2)
    assert (head.logits(points).argmax(axis=1) == targets).mean() > 0.95


def test_a_dead_input_does_not_blow_up() -> None:
    """A channel that is always zero is left alone, not divided by."""
    points, targets = blobs(100, 6)
    points[:, 5] = 0.0

    head = Fitting(points, targets).fit(1e-3)

    assert np.isfinite(head.weights).all()
    assert np.isfinite(head.bias).all()


def test_held_out_logits_do_not_know_their_own_photo() -> None:
    """Random labels are remembered by the fit and not by held-out folds."""
    rng = np.random.default_rng(0)
    points, targets = rng.normal(size=(200, 300)).astype(np.float32), rng.integers(0, 2, 200)

    seen = Fitting(points, targets).fit(1e-6).logits(points)
    held_out = held_out_logits(points, targets, [1e-6])[1e-6]

    assert (seen.argmax(axis=1) == targets).mean() > 0.95
    assert 0.35 < (held_out.argmax(axis=1) == targets).mean() < 0.65


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(true_temperature: float) -> None:
    """Labels drawn from softmax(logits / T) give T back."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 4)) * 3
    shares = softmax(logits.astype(np.float32), true_temperature)
    targets = (shares.cumsum(axis=1) > rng.uniform(size=(len(shares), 1))).argmax(axis=1)

    assert choose_temperature(logits, targets) == pytest.approx(true_temperature, rel=0.06)


def test_the_threshold_shows_as_much_as_the_wanted_accuracy_allows() -> None:
    """Scores that are right as often as they say: all above the threshold are right 80 % of the time."""
    rng = np.random.default_rng(2)
    scores = rng.uniform(size=5000)
    right = rng.uniform(size=5000) < scores

    threshold = choose_threshold(scores, right, 0.8)

    assert threshold == pytest.approx(0.6, abs=0.03)
    assert right[scores >= threshold].mean() >= 0.799  # the threshold is rounded down


def test_a_threshold_without_evidence_shows_nothing() -> None:
    """A version that is never right often enough is never sure."""
    scores = np.linspace(0.3, 0.9, 100)

    assert choose_threshold(scores, np.zeros(100, bool), 0.8) >= 0.9
    lucky = np.arange(100) >= 95  # right on the five best only: too few to believe
    assert choose_threshold(scores, lucky, 0.8) >= 0.9


def test_a_threshold_is_never_above_the_wanted_accuracy_when_all_are_right() -> None:
    """A perfect version shows a calibrated 0.8 as sure."""
    assert choose_threshold(np.full(50, 0.99), np.ones(50, bool), 0.8) == 0.8


def test_log_loss_of_certainty_is_zero() -> None:
    """And of a coin, log 2; large logits do not overflow."""
    assert log_loss(np.array([[1000.0, 0.0]]), np.array([0])) == pytest.approx(0.0)
    assert log_loss(np.array([[5.0, 5.0]]), np.array([1])) == pytest.approx(np.log(2))
