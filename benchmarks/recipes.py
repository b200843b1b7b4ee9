"""Recipes side by side on class folders: top-1, top-5 and seconds, over seeds that draw photos, folds and first weights.

    python benchmarks/recipes.py PHOTOS --weights FILE --cache DIR [--sets landmarks,scenes] [--a-label 120]
        [--of 300] [--seeds 5] [--variants]
    python benchmarks/recipes.py PHOTOS --speed

PHOTOS holds landmarks/{train,test} and scenes/{train,val}, FILE VGG16 weights (Keras notop). Each seed draws the photos to
train on, --a-label of each label out of the first --of; where a label has fewer, all of them are taken, and seeds differ in
folds, first weights and order only. Features are kept in DIR: with all of them there a run takes minutes. --variants compares
`gap` and `default` with and without three changed variants of each photo to train on (squashed only). --speed fits 2,000
generated photos with ten labels instead.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from recipe_features import GEOMETRIES, class_features

from training.candidate import head_of
from training.dataset import FeatureSet, in_order_of
from training.head_fit import fit_head
from training.recipe import Recipe, load_recipe

SETS = {"landmarks": ("train", "test"), "scenes": ("train", "val")}
SPEED_PHOTOS, SPEED_LABELS = 2000, 10


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("features"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--geometries", default=",".join(GEOMETRIES))
    parser.add_argument("--a-label", type=int, default=120, help="photos of each label to train on, at most")
    parser.add_argument("--of", type=int, default=300, help="photos of each label to draw these from, at most")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.speed:
        measure_speed()
        return
    print("| set + test photos | geometry | recipe | photos | top-1 | top-5 | seconds |\n|---|---|---|---|---|---|---|")
    for name in options.sets.split(","):
        for geometry in options.geometries.split(","):
            train, test = (
                class_features(options.photos / name / part, geometry, options.of, options.weights, options.cache)
                for part in SETS[name]
            )
            test = in_order_of(train.labels, test)
            trained_on = [train]
            if options.variants:
                folder = options.photos / name / SETS[name][0]
                trained_on += [
                    class_features(folder, f"variant-{n}", options.of, options.weights, options.cache)
                    for n in (1, 2, 3)
                ]
            for recipe in recipes_with_variants() if options.variants else recipes():
                found = [
                    one_seed(recipe.model_copy(update={"seed": seed}), trained_on, test, options.a_label)
                    for seed in range(options.seeds)
                ]
                print(f"| {name} + {len(test.targets)} | {geometry} | {row(recipe.name, np.array(found))}", flush=True)


def recipes() -> list[Recipe]:
    """Those of the library that need no pass of the network, and what the default would be without its scaling."""
    default = load_recipe()
    plain = default.model_copy(update={"name": "default without unit_length", "unit_length": False})
    return [default, plain, *map(load_recipe, ("gap", "flatten", "gap-adam"))]


def recipes_with_variants() -> list[Recipe]:
    """Two heads without and with changed variants."""
    plain = [load_recipe("gap"), load_recipe()]
    return [
        recipe
        for one in plain
        for recipe in (one, one.model_copy(update={"name": f"{one.name} with variants", "augmented": 3}))
    ]


def row(recipe: str, found: np.ndarray) -> str:
    """The end of a line: means over seeds, and how far seeds differ (standard deviation)."""
    (photos, top1, top5, seconds), spread = found.mean(axis=0), found.std(axis=0, ddof=1)
    return f"{recipe} | {photos:.0f} | {top1:.3f} ± {spread[1]:.3f} | {top5:.3f} ± {spread[2]:.3f} | {seconds:.1f} |"


def drawn(targets: np.ndarray, a_label: int, seed: int) -> np.ndarray:
    """Positions of the photos that a seed trains on, in order."""
    chance = np.random.RandomState(seed)
    return np.sort(
        np.concatenate([chance.permutation(np.flatnonzero(targets == n))[:a_label] for n in np.unique(targets)])
    )


def one_seed(
    recipe: Recipe, trained_on: list[FeatureSet], test: FeatureSet, a_label: int
) -> tuple[int, float, float, float]:
    """Photos trained on, top-1, top-5 and the seconds of one fit. `trained_on`: photos, then their variants."""
    train = trained_on[0]
    rows = drawn(train.targets, a_label, recipe.seed)
    features = np.concatenate([one.features[rows] for one in trained_on[: 1 + recipe.augmented]])
    began = time.monotonic()
    fitted = fit_head(features, train.targets[rows], rows, len(train.labels), recipe)
    seconds = time.monotonic() - began
    head = head_of(fitted, recipe)
    order = np.argsort(-head.logits(test.features), axis=1)
    hits = order == test.targets[:, None]
    return len(rows), float(hits[:, 0].mean()), float(hits[:, :5].any(axis=1).mean()), seconds


def measure_speed() -> None:
    """Seconds that each recipe takes for 2,000 photos whose features are there."""
    chance = np.random.default_rng(0)
    targets = np.arange(SPEED_PHOTOS) % SPEED_LABELS
    kinds = chance.normal(size=(SPEED_LABELS, 1, 1, 512))
    features = np.empty((SPEED_PHOTOS, 7, 7, 512), np.float16)
    for photo, target in enumerate(targets):
        features[photo] = np.maximum(0.12 * kinds[target] + 2.0 * chance.normal(size=(7, 7, 512)), 0.0)
    for recipe in recipes():
        began = time.monotonic()
        fitted = fit_head(features, targets, np.arange(SPEED_PHOTOS), SPEED_LABELS, recipe)
        epochs, accuracy = len(fitted.curves), fitted.curves[-1].held_out_accuracy
        print(
            f"{recipe.name}: {time.monotonic() - began:.1f} s, {epochs} epochs, held-out accuracy {accuracy}",
            flush=True,
        )


if __name__ == "__main__":
    main()
