"""Makes the `tiny` version from generated photos of one colour each. `python -m training.tiny --out DIR`"""

from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from training.build import Draft, Trials, build_version
from training.dataset import FeatureSet
from worker.backbone import TinyBackbone
from worker.card import BackboneCard
from worker.tiny import LAYER, TINY_SHA256

# Red, green, blue in [0, 1] around which photos of a label are drawn.
COLOURS: dict[str, tuple[float, float, float]] = {
    "blue": (0.25, 0.40, 0.75),
    "bright": (0.92, 0.91, 0.90),
    "dark": (0.07, 0.07, 0.08),
    "green": (0.25, 0.50, 0.22),
    "grey": (0.50, 0.50, 0.50),
    "red": (0.72, 0.25, 0.20),
}
SPREAD = 0.07  # within a photo
SPREAD_BETWEEN = 0.15  # wide enough that labels overlap: scores of 0 and 1 only would be of no use to tests
TRAIN_A_LABEL, VALIDATION_A_LABEL = 60, 20
NOTICE = (
    "The tiny version: it names the main colour of a photo and knows nothing else. It is for tests and for trying"
    " phototag out without a neural network. Unset PHOTOTAG_BACKBONE for real tagging."
)


def generated_photos(count: int, *, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """`count` photos of each label, (n, 224, 224, 3), and their targets (n,)."""
    rng = np.random.RandomState(seed)
    photos = [_photo(rng, colour) for colour in COLOURS.values() for _ in range(count)]
    return np.stack(photos), np.repeat(np.arange(len(COLOURS)), count)


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for card.json and head.safetensors."
)
def main(out: Path) -> None:
    """Makes the tiny version."""
    backbone = TinyBackbone()
    sets = [_features(backbone, count, seed=seed) for seed, count in enumerate((TRAIN_A_LABEL, VALIDATION_A_LABEL))]
    backbone_card = BackboneCard(architecture="tiny", weights="none", weights_sha256=TINY_SHA256, layer=LAYER)
    draft = Draft("tiny", NOTICE, backbone, backbone_card)
    trials = Trials(heads=("gap",), strengths=(1e-3, 3e-3, 1e-2), wanted_accuracy=0.95)
    card = build_version(out, draft, sets[0], sets[1], trials, click.echo)
    click.echo(f"{out}: {card.metrics['validation']}")


def _features(backbone: TinyBackbone, count: int, *, seed: int) -> FeatureSet:
    photos, targets = generated_photos(count, seed=seed)
    return FeatureSet(list(COLOURS), backbone.features(photos), targets, refused=0)


def _photo(rng: np.random.RandomState, colour: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    centre = np.array(colour) + rng.normal(0.0, SPREAD_BETWEEN, 3)
    slope = np.linspace(-1.0, 1.0, 224)[:, None, None] * rng.normal(0.0, SPREAD, 3)
    coarse = np.kron(rng.normal(0.0, SPREAD, (14, 14, 3)), np.ones((16, 16, 1)))
    grain = rng.normal(0.0, 0.03, (224, 224, 1))
    # a third without any texture, so that texture means nothing: a plain colour is what tests use
    texture = max(0.0, rng.uniform(-0.5, 1.0))
    return ((centre + texture * (slope + coarse + grain)).clip(0.0, 1.0) * 255.0).astype(np.uint8)


if __name__ == "__main__":
    main()
