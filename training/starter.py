"""Makes the `starter` version from class folders. `python -m training.starter TRAIN VALIDATION --out DIR`

It stands on the seeded backbone, so it needs no download; that makes it weak, and its card says so.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from db.errors import PhototagError
from training.build import Draft, Trials, build_version
from training.dataset import ClassFolders, FeatureSet, compute_features, in_order_of, read_class_folders
from worker.backbone import Backbone, load_backbone
from worker.card import BackboneCard, Card
from worker.settings import WorkerSettings
from worker.weights import LAYER, SEEDED_SHA256

# More than the default: people's own photos are further from these six kinds than the held-out folds are. Of 200 photos
# of anything 57 % were not sure at 0.8, with 79 % right of those shown as sure on validation photos.
TRIALS = Trials(wanted_accuracy=0.85)
SEEDED = BackboneCard(architecture="vgg16", weights="seeded", weights_sha256=SEEDED_SHA256, layer=LAYER)


@click.command()
@click.argument("train", type=click.Path(path_type=Path))
@click.argument("validation", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for card.json and head.safetensors."
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder to keep features in, for a second run.")
@click.option("--name", default="starter", show_default=True, help="Name of the version.")
def main(train: Path, validation: Path, out: Path, cache: Path | None, name: str) -> None:
    """Trains a head on the photos in TRAIN and measures it on those in VALIDATION; one folder a label in both."""
    try:
        card = make_starter(train, validation, out, cache=cache, name=name, report=click.echo)
    except PhototagError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {card.metrics['validation']}")


def make_starter(
    train: Path, validation: Path, out: Path, *, cache: Path | None, name: str, report: Callable[[str], None]
) -> Card:
    """Writes the version into `out`.

    Raises:
        PhototagError: the folders hold no labels, or other ones for validation.
    """
    folders = read_class_folders(train), read_class_folders(validation)
    backbone = load_backbone(WorkerSettings(backbone="vgg16"), Path(), SEEDED)
    train_set, validation_set = (_features(photos, backbone, cache, report) for photos in folders)
    validation_set = in_order_of(train_set.labels, validation_set)
    draft = Draft(name, notice_of(train_set), backbone, SEEDED)
    return build_version(out, draft, train_set, validation_set, TRIALS, report)


def notice_of(train: FeatureSet) -> str:
    """What a person should know of a version on the seeded backbone."""
    return (
        f"A starter model: weak, trained on {len(train.targets):,} small pictures of {len(train.labels)} kinds"
        f" ({', '.join(train.labels)}) on a network whose weights are random. It knows nothing else. Fetch the ImageNet"
        " weights with `phototag models fetch imagenet` for 1,000 labels, or train your own."
    )


def _features(
    photos: ClassFolders, backbone: Backbone, cache: Path | None, report: Callable[[str], None]
) -> FeatureSet:
    file = cache / f"{_key(photos, backbone)}.npz" if cache else None
    if file is not None and file.exists():
        with np.load(file) as kept:  # our own arrays; allow_pickle stays off
            return FeatureSet(photos.labels, kept["features"], kept["targets"], int(kept["refused"]))
    features = compute_features(photos, backbone, _progress(report))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, features=features.features, targets=features.targets, refused=features.refused)
    return features


def _key(photos: ClassFolders, backbone: Backbone) -> str:
    digest = hashlib.sha256(backbone.space.encode())
    for path, target in zip(photos.paths, photos.targets, strict=True):
        digest.update(hashlib.sha256(path.read_bytes()).digest() + bytes([int(target)]))
    return digest.hexdigest()[:16]


def _progress(report: Callable[[str], None]) -> Callable[[int, int], None]:
    started = time.monotonic()

    def show(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - started, 1e-6)
        if done % 160 == 0 or done == total:
            report(f"features: {done:,} of {total:,} photos, {rate:.1f} a second, {(total - done) / rate:.0f} s left")

    return show


if __name__ == "__main__":
    main()
