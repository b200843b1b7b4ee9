"""One experiment from photos to figures."""
# pyright: basic

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.architectures import bring_to_unit, output_shapes, parameters
from training.class_splits import Splits
from training.experiment_fit import Phase, Trainee, fit, scores_of
from training.experiment_network import ExperimentNetwork, augmented, build_network, frozen_output
from training.experiment_photos import Loading, PhotoArray, load
from training.experiment_progress import ExperimentProgress
from training.experiment_recipe import ExperimentRecipe
from training.experiment_report import figures, installed_versions
from worker import device
from worker.limits import Limits
from worker.settings import WorkerSettings

import keras  # isort: skip

# Photos by which the size of features is told: one number needs no more.
SAMPLE = 64


def run_experiment(
    recipe: ExperimentRecipe,
    splits: Splits,
    settings: WorkerSettings,
    data_dir: Path,
    folder: Path,
    *,
    seed: int,
    progress: ExperimentProgress,
) -> dict[str, Any]:
    """Trains by the recipe and returns what the report says, but for names.

    Args:
        data_dir: where fetched weights lie.
        folder: where there is room for pixels and features.
    """
    began = time.monotonic()
    network = build_network(recipe, len(splits.labels), settings, data_dir, seed=seed)
    trainable, frozen = parameters(network.whole)
    progress.note(f"{trainable:,} parameters are trained, {frozen:,} are frozen. {network.weights.said}")
    shapes = output_shapes(network.whole)
    photos = _load_all(recipe, splits, network, settings.limits, folder, progress)
    size = None
    if recipe.unit_features:
        size = bring_to_unit(network.trained, unchanged_values(recipe, network, photos))
        progress.note(f"What the head reads is divided by {size:.4g}, its root mean square.")
    loaded = time.monotonic()
    trainee = _trainee(recipe, network, photos, seed)
    epochs = fit(
        trainee, phases_of(recipe, network.trained), seed=seed, progress=progress.stage("training"), note=progress.note
    )
    trained = time.monotonic()
    measured = {
        part: figures(scores_of(network.trained, photos[part], recipe.chunk), photos[part].targets, splits.labels)
        for part in ("validation", "test")
        if part in photos
    }
    ended = time.monotonic()
    return {
        "recipe_values": recipe.model_dump(mode="json"),
        "labels": splits.labels,
        "split": splits.said,
        "astride": splits.astride,
        "photos": {part: len(array.targets) for part, array in photos.items()},
        "left_out": [
            {"path": f"{one.path.parent.name}/{one.path.name}", "reason": one.reason}
            for array in photos.values()
            for one in array.left_out
        ],
        "parameters": {"trainable": trainable, "frozen": frozen},
        "layers": shapes,
        "weights": {"kind": network.weights.kind, "said": network.weights.said, "sha256": network.weights.sha256},
        "features_divided_by": size,
        "how": _how(recipe, network),
        "epochs": epochs,
        "validation": None,
        "test": None,
        **measured,
        "seconds": {
            "reading photos": round(loaded - began, 1),
            "training": round(trained - loaded, 1),
            "measuring": round(ended - trained, 1),
        },
        "seed": seed,
        "device": device.device_name(),
        "versions": installed_versions(),
    }


def phases_of(recipe: ExperimentRecipe, trained: keras.Model) -> Sequence[Phase]:
    """The head alone first, where the recipe says so; then everything that is not frozen."""
    last = Phase(recipe.epochs - recipe.head_epochs, recipe.learning_rate)
    if not recipe.head_epochs:
        return [last]
    return [Phase(recipe.head_epochs, recipe.head_learning_rate, [trained.layers[-1].name]), last]


def unchanged_values(recipe: ExperimentRecipe, network: ExperimentNetwork, photos: dict[str, PhotoArray]) -> np.ndarray:
    """What the trained part reads of some training photos; (n, ...) float32."""
    values = photos["train"].values[:SAMPLE]
    if recipe.augmentation.use and network.frozen is not None:
        values = frozen_output(network.frozen)(values)
    return values.astype(np.float32)


def _load_all(
    recipe: ExperimentRecipe,
    splits: Splits,
    network: ExperimentNetwork,
    limits: Limits,
    folder: Path,
    progress: ExperimentProgress,
) -> dict[str, PhotoArray]:
    size = int(network.whole.input_shape[1])
    as_pixels = Loading(size, lambda pixels: pixels, (size, size, 3), np.uint8, folder, limits)
    as_features = as_pixels
    if network.frozen is not None:
        shape = tuple(int(side) for side in network.frozen.output_shape[1:])
        as_features = Loading(size, frozen_output(network.frozen), shape, np.float16, folder, limits)
    loaded: dict[str, PhotoArray] = {}
    for part, photos in splits.parts.items():
        # photos that change in every epoch run through the whole network in every epoch
        loading = as_pixels if part == "train" and recipe.augmentation.use else as_features
        loaded[part] = load(photos, loading, progress.stage(f"{part} photos"))
    return loaded


def _trainee(recipe: ExperimentRecipe, network: ExperimentNetwork, photos: dict[str, PhotoArray], seed: int) -> Trainee:
    trained = network.trained
    if recipe.augmentation.use:
        trained = augmented(network.whole, recipe.augmentation, seed=seed)
    return Trainee(trained, network.trained, photos["train"], photos["validation"], recipe.chunk)


def _how(recipe: ExperimentRecipe, network: ExperimentNetwork) -> str:
    changes = recipe.augmentation
    words = (("flips", changes.flip), (f"shifts up to {changes.shift:.0%}", changes.shift))
    words = (*words, (f"zooms up to {changes.zoom:.0%}", changes.zoom))
    drawn = f"Training photos are changed anew in each epoch: {', '.join(word for word, used in words if used)}."
    if network.frozen is None:
        return f"Every photo ran through the network in every epoch. {drawn if changes.use else 'No augmentation.'}"
    until = network.frozen.layers[-1].name
    if changes.use:
        return f"{drawn} So they ran through the network in every epoch; for the others the output of {until} was computed once."
    return f"The output of {until} was computed once for each photo and kept in float16: the same result, minutes less. No augmentation."
