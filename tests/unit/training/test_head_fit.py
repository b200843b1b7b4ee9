"""Heads by recipe: fitted, calibrated, stopped early, the same again."""

import numpy as np
import pytest

from db.errors import PhototagError
from training.candidate import head_of as head_as_tagging_applies_it
from training.epochs import Epoch, StoppedError
from training.head_fit import Fitted, fit_head
from training.held_out import assign_folds
from training.recipe import Recipe, load_recipe
from worker.heads import LinearHead, softmax

RECIPES = ["default", "gap", "flatten", "gap-adam"]
KINDS = 4


def photos(
    count: int, *, kinds: int = KINDS, channels: int = 16, noise: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 3, 3, channels) of some kinds in turn, and their targets; far from zero, with uneven scales."""
    chance = np.random.RandomState(seed)
    targets = np.arange(count) % kinds
    centres = np.random.RandomState(77).standard_normal((kinds, 1, 1, channels))[targets]
    values = centres + noise * chance.standard_normal((count, 3, 3, channels))
    return (values * np.logspace(-1, 1, channels) + 20.0).astype(np.float16), targets


def recipe(name: str, **changes: object) -> Recipe:
    """A recipe of the library with something else in it."""
    return Recipe.model_validate(load_recipe(name).model_dump() | {"epochs": 15} | changes)


def head_of(fitted: Fitted, name: str) -> LinearHead:
    return head_as_tagging_applies_it(fitted, load_recipe(name))


@pytest.mark.parametrize("name", RECIPES)
def test_a_head_is_fitted_and_calibrated(name: str) -> None:
    """On photos it has not seen it is right, and as often as it says."""
    features, targets = photos(240, noise=2.5)
    fresh, truth = photos(400, noise=2.5, seed=1)
    told: list[Epoch] = []

    fitted = fit_head(features, targets, np.arange(240), KINDS, recipe(name), told.append)

    scores = softmax(head_of(fitted, name).logits(fresh), fitted.temperature)
    right = scores.argmax(axis=1) == truth
    assert right.mean() > 0.8
    assert scores.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.08)
    assert 0.0 < fitted.threshold <= 0.8
    assert told == fitted.curves
    assert [epoch.number for epoch in told] == list(range(1, len(told) + 1))
    assert told[0].loss > told[-1].loss
    assert fitted.best == min(told, key=lambda epoch: epoch.held_out_loss or 0.0).number
    assert (fitted.strength is None) == (name == "gap-adam")


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_call_gives_the_same_head(name: str) -> None:
    """Another seed gives other folds, and for adam another head."""
    features, targets = photos(80, noise=2.0)

    first, second = (fit_head(features, targets, np.arange(80), KINDS, recipe(name, epochs=4)) for _ in range(2))

    np.testing.assert_array_equal(first.head.weights, second.head.weights)
    assert first.curves == second.curves
    other = fit_head(features, targets, np.arange(80), KINDS, recipe(name, epochs=4, seed=1))
    assert other.curves != first.curves


@pytest.mark.parametrize("name", ["gap", "gap-adam"])
def test_it_ends_early_when_held_out_photos_gain_nothing_any_more(name: str) -> None:
    """Labels drawn by chance: whatever is learnt is learnt by heart."""
    features, _ = photos(120)
    targets = np.random.RandomState(5).randint(0, 3, 120)

    fitted = fit_head(features, targets, np.arange(120), 3, recipe(name, patience=2, epochs=60))

    assert len(fitted.curves) == fitted.best + 2
    assert fitted.curves[-1].held_out_accuracy is not None
    assert fitted.curves[-1].held_out_accuracy < 0.55


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("counts", [(1, 12, 12), (1, 1), (5, 0, 5), (30, 2), (1, 0, 1, 3)])
def test_labels_with_few_photos_or_none_are_no_trouble(name: str, counts: tuple[int, ...]) -> None:
    """A label all of whose photos are held out at once, or that has none, or two photos in all."""
    targets = np.repeat(np.arange(len(counts)), counts)
    features = photos(len(counts) * 2, kinds=len(counts), noise=0.1)[0][targets]
    features = (features + np.random.RandomState(0).normal(0, 0.01, features.shape)).astype(np.float16)

    fitted = fit_head(features, targets, np.arange(len(targets)), len(counts), recipe(name, epochs=40))

    logits = head_of(fitted, name).logits(features)
    assert logits.shape == (len(targets), len(counts))
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == targets).mean() > 0.6
    assert not np.isin(logits.argmax(axis=1), np.flatnonzero(np.array(counts) == 0)).any()
    assert fitted.judged.sum() == sum(count for count in counts if count > 1)
    if len(targets) < 20:
        assert (fitted.temperature, fitted.threshold) == (1.0, 1.0)


def test_near_duplicates_are_held_out_together() -> None:
    """Labels drawn by chance, four shots of each photo: heads that knew three of them would believe the fourth."""
    chance = np.random.RandomState(3)
    features = np.repeat(chance.standard_normal((40, 64)), 4, axis=0).astype(np.float32)
    targets = np.repeat(chance.randint(0, 2, 40), 4)

    whole = fit_head(features, targets, np.repeat(np.arange(40), 4), 2, recipe("gap"))
    astride = fit_head(features, targets, np.arange(160), 2, recipe("gap"))

    assert (whole.curves[-1].held_out_accuracy or 1.0) < 0.7
    assert (astride.curves[-1].held_out_accuracy or 0.0) > 0.95


def test_folds_keep_groups_whole_and_labels_even() -> None:
    """Each fold has a fifth of each label, near enough."""
    targets = np.repeat(np.arange(5), [100, 50, 20, 5, 1])
    groups = np.arange(len(targets)) // 2

    folds = assign_folds(targets, groups, 5, seed=0)

    assert all(len(set(folds[groups == group])) == 1 for group in groups)
    assert set(folds) == set(range(5))
    for label, count in enumerate([100, 50, 20]):
        of_label = np.bincount(folds[targets == label], minlength=5)
        assert of_label.max() - of_label.min() <= 2, (label, count)
    assert assign_folds(np.array([0, 1]), np.array([7, 7]), 5, seed=0).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["default", "gap"])
def test_labels_that_are_rare_count_as_much_as_others_when_the_recipe_says_so(name: str) -> None:
    """Of 95 and 5 photos that overlap, the rare label is found more often."""
    chance = np.random.RandomState(0)
    targets = np.repeat([0, 1], [190, 10])
    features = (chance.standard_normal((200, 8)) + targets[:, None] * 0.7).astype(np.float32)
    found = {}
    for balanced in (False, True):
        fitted = fit_head(features, targets, np.arange(200), 2, recipe(name, class_weights=balanced, unit_length=False))
        found[balanced] = (fitted.head.logits(features).argmax(axis=1) == 1)[targets == 1].mean()

    assert found[True] > found[False]


def test_variants_are_fitted_with_their_photos_and_not_judged() -> None:
    """Twice the rows, as many judged photos; rows that are missing are told."""
    features, targets = photos(60, noise=2.0)
    variants = (features + np.random.RandomState(0).normal(0, 0.5, features.shape)).astype(np.float16)
    both = np.concatenate([features, variants])

    fitted = fit_head(both, targets, np.arange(60), KINDS, recipe("gap", augmented=1))

    assert fitted.judged.shape == (60,)
    assert fitted.judged.all()
    plain = fit_head(features, targets, np.arange(60), KINDS, recipe("gap"))
    assert not np.array_equal(plain.head.weights, fitted.head.weights)
    with pytest.raises(PhototagError, match="2 rows"):
        fit_head(features, targets, np.arange(60), KINDS, recipe("gap", augmented=1))


@pytest.mark.parametrize("name", RECIPES)
def test_it_ends_soon_after_it_is_told_to(name: str) -> None:
    """Between two steps, not after the last epoch."""
    features, targets = photos(400, channels=64)
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    with pytest.raises(StoppedError):
        fit_head(features, targets, np.arange(400), KINDS, recipe(name, epochs=1000), stopping=stopping)
    assert asked == 6


def test_photos_of_one_label_fit_no_head() -> None:
    """The message says what to do; so it does for features that a recipe cannot read."""
    features, targets = photos(8)

    with pytest.raises(PhototagError, match="at least two"):
        fit_head(features, targets * 0, np.arange(8), 2, recipe("gap"))
    with pytest.raises(PhototagError, match="all values"):
        fit_head(features.mean(axis=(1, 2)), targets, np.arange(8), KINDS, recipe("flatten"))


@pytest.mark.parametrize("name", ["gap", "flatten"])
def test_very_many_photos_are_thinned_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest has no held-out logits."""
    monkeypatch.setitem(fit_head.__globals__["MOST_FITTED"], load_recipe(name).head, 50)
    features, targets = photos(120)

    fitted = fit_head(features, targets, np.arange(120), KINDS, recipe(name))

    assert fitted.photos == 50
    assert fitted.judged.sum() == 50
