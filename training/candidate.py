"""A trained head becomes a version: its card, its files, and a check that they are what was trained."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from db.model_versions import list_versions
from db.snapshots import USED
from training.head_fit import Fitted
from training.networks import Network
from training.recipe import Recipe
from training.run_photos import RunPhotos
from training.tuning import Ground
from worker.artifact import artifact_folder, publish_artifact, read_artifact
from worker.canary import check_canaries, expected_scores, score_rows
from worker.card import Card
from worker.decoding import DECODE_VERSION
from worker.heads import Features, LinearHead, linear_head, softmax

NAME = "head"
TRAINED = "trained"
PACKAGES = ("numpy", "scikit-learn", "keras", "pillow")


class Published(NamedTuple):
    """A version whose files are in place, and whose row is not written yet."""

    artifact: str
    card: Card


def next_name(session: Session) -> str:
    """The name of the next version: head-1, head-2 and so on. One run works at a time, so nobody else takes it."""
    numbers = (re.fullmatch(rf"{NAME}-(\d+)", known.name) for known in list_versions(session))
    return f"{NAME}-{max((int(match[1]) for match in numbers if match), default=0) + 1}"


def head_of(fitted: Fitted, recipe: Recipe) -> LinearHead:
    """The head as tagging applies it."""
    averages = recipe.head == "gap"
    return LinearHead(fitted.head.weights, fitted.head.bias, averages, unit_length=recipe.unit_length)


def make_card(
    name: str,
    ground: Ground,
    recipe: Recipe,
    fitted: Fitted,
    canaries: Features,
    metrics: dict[str, Any],
) -> Card:
    """All that is to know of the version; `canaries` are the features of the canary photos, (photos, h, w, c)."""
    network, photos = ground.network, ground.photos
    scores = softmax(head_of(fitted, recipe).logits(canaries), fitted.temperature)
    counts = dict(zip(USED, (len(photos.training), len(photos.holdout)), strict=True))
    return Card(
        name=name,
        backbone=network.card,
        decode_version=DECODE_VERSION,
        head=recipe.head,
        unit_length=recipe.unit_length,
        labels=[list(photos.paths[label_id]) for label_id in photos.label_ids],
        temperature=fitted.temperature,
        threshold=fitted.threshold,
        notice=_notice(network, photos),
        canary=expected_scores(np.asarray(scores, np.float32)),
        trained_from={"snapshot": photos.digest, "photos": counts, "left_out": photos.left_out},
        metrics=metrics,
        recipe=recipe.model_dump(mode="json") | {"strength": fitted.strength, "best_epoch": fitted.best} | ground.tuned,
        versions={package: version(package) for package in PACKAGES},
    )


def publish(data_dir: Path, card: Card, fitted: Fitted, canaries: Features, network: Network) -> Published:
    """Puts the files in place and reads them back: hashes, shapes, finite numbers, and the scores of the canary photos.

    Raises:
        ArtifactError: they are not what was trained.
    """
    arrays = {"weights": fitted.head.weights, "bias": fitted.head.bias}
    name, card = publish_artifact(data_dir, card, arrays, network.block5)
    found = read_artifact(artifact_folder(data_dir, name))
    scores = softmax(linear_head(found).logits(canaries), found.card.temperature)
    check_canaries(card.name, score_rows(found.card.canary), scores)
    return Published(name, card)


def _notice(network: Network, photos: RunPhotos) -> str:
    words = f"Trained on {len(photos.training):,} photos of {len(photos.label_ids)} labels that people gave."
    if network.card.tuned is not None:
        words += " Block 5 of its network was trained on photos of this library too."
    if network.card.weights == "seeded":
        words += (
            " It stands on a network whose weights are random, which makes it weak: fetch the ImageNet weights with"
        )
        words += " `phototag models fetch imagenet` and train again."
    return words
