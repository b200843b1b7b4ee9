"""Block 5 is trained until held-out groups say that it gets no better. On arrays of a few channels, with real Keras."""

import numpy as np
import pytest

from training.epochs import Epoch
from training.recipe import Recipe, Tuning, load_recipe
from training.tuning_fit import Tuned, TuningPhotos, features_of, tune_block5, tuning_steps
from training.tuning_network import Block5

CHANNELS, SIDE, PHOTOS = 8, 4, 60


def some_photos(groups: np.ndarray | None = None) -> TuningPhotos:
    """Two kinds that differ in which channels meet, so that the drawn block cannot tell them apart well."""
    chance = np.random.RandomState(0)
    targets = np.arange(PHOTOS) % 2
    outputs = np.abs(chance.standard_normal((PHOTOS, SIDE, SIDE, CHANNELS)))
    outputs[targets == 1, :, :, 0] = outputs[targets == 1, :, :, 1]
    return TuningPhotos(outputs.astype(np.float16), targets, np.arange(PHOTOS) if groups is None else groups, 2)


def drawn_block() -> Block5:
    chance = np.random.RandomState(1)
    deviation = np.sqrt(2.0 / (9 * CHANNELS))
    kernels = [chance.standard_normal((3, 3, CHANNELS, CHANNELS)) * deviation for _ in range(3)]
    layers = [(kernel.astype(np.float32), np.zeros(CHANNELS, np.float32)) for kernel in kernels]
    return Block5(layers, (SIDE, SIDE, CHANNELS))


def tuned(
    photos: TuningPhotos, block: Block5 | None = None, recipe: Recipe | None = None, **changes: float
) -> tuple[Tuned, list[Epoch], int]:
    """What comes out, the epochs that were told of, and the number of steps."""
    recipe = recipe or load_recipe("vgg16-finetune")
    assert recipe.tuning is not None
    values = recipe.tuning.model_dump() | {"batch_size": 16, "learning_rate": 3e-3} | changes
    epochs: list[Epoch] = []
    steps: list[int] = []
    found = tune_block5(
        block or drawn_block(), photos, recipe, Tuning.model_validate(values), on_epoch=epochs.append, on_steps=steps.append
    )  # fmt: skip
    return found, epochs, sum(steps)


def test_the_loss_of_photos_that_it_never_sees_gets_smaller() -> None:
    """A fifth of the groups is held out; the values are those of the best epoch, and the block holds them."""
    block, photos = drawn_block(), some_photos()
    before = block.values()

    found, epochs, steps = tuned(photos, block, epochs=12, patience=12)

    losses = [epoch.held_out_loss or 0.0 for epoch in epochs]
    assert found.unseen.sum() == PHOTOS // 5
    assert found.best == 1 + int(np.argmin(losses))
    assert losses[found.best - 1] < losses[0]
    assert steps == 12 * tuning_steps(PHOTOS * 4 // 5, Tuning(epochs=1, patience=1, batch_size=16, learning_rate=1.0))
    for old, new, held in zip(before, found.block5, block.values(), strict=True):
        assert np.abs(old[0] - new[0]).max() > 1e-3
        np.testing.assert_array_equal(new[0], held[0])


def test_it_ends_when_held_out_photos_are_no_longer_told_apart_better() -> None:
    """Steps that are much too large make everything worse after the first epoch."""
    found, epochs, _ = tuned(some_photos(), epochs=50, patience=2, learning_rate=0.5)

    assert len(epochs) == found.best + 2


def test_the_same_photos_give_the_same_block() -> None:
    """And another seed another one."""
    first, *_ = tuned(some_photos(), epochs=2)
    second, *_ = tuned(some_photos(), epochs=2)
    other = load_recipe("vgg16-finetune").model_copy(update={"seed": 1})
    third, *_ = tuned(some_photos(), recipe=other, epochs=2)

    np.testing.assert_allclose(first.block5[0][0], second.block5[0][0], atol=1e-6)
    np.testing.assert_array_equal(first.unseen, second.unseen)
    assert np.abs(first.block5[0][0] - third.block5[0][0]).max() > 1e-5


def test_near_duplicates_are_held_out_together_and_one_group_trains_to_the_end() -> None:
    """Of one group alone nothing can be held out."""
    groups = np.arange(PHOTOS) // 4
    found, _, _ = tuned(some_photos(groups), epochs=1)
    alone, epochs, _ = tuned(some_photos(np.zeros(PHOTOS, np.int64)), epochs=3)

    assert all(len(set(found.unseen[groups == group])) == 1 for group in set(groups))
    assert (alone.best, alone.unseen.any(), [epoch.held_out_loss for epoch in epochs]) == (3, False, [None] * 3)


def test_whoever_is_told_of_steps_can_end_it() -> None:
    """A run that was cancelled is noticed within a step."""

    class CancelledError(Exception):
        """What the test raises."""

    def cancel(_steps: int) -> None:
        raise CancelledError

    recipe = load_recipe("vgg16-finetune")
    assert recipe.tuning is not None
    with pytest.raises(CancelledError):
        tune_block5(drawn_block(), some_photos(), recipe, recipe.tuning, on_epoch=lambda _: None, on_steps=cancel)


def test_features_do_not_depend_on_how_many_photos_go_through_together() -> None:
    """They are float16, as tagging keeps them."""
    block, outputs = drawn_block(), some_photos().outputs

    together = features_of(block, outputs)

    assert (together.dtype, together.shape) == (np.float16, (PHOTOS, SIDE // 2, SIDE // 2, CHANNELS))
    np.testing.assert_allclose(features_of(block, outputs[7:9]), together[7:9], rtol=1e-3)
