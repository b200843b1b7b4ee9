"""A loaded model version: from pixels to features, from features to scores."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from db.errors import ArtifactError
from worker.artifact import Artifact, artifact_folder, read_artifact
from worker.backbone import Backbone, imagenet_file, load_backbone
from worker.canary import canary_pixels, check_canaries
from worker.card import Card
from worker.decoding import DECODE_VERSION
from worker.download import IMAGENET, weights_path
from worker.heads import Features, Floats, Head, VggTop, linear_head, softmax
from worker.settings import WorkerSettings

TOP = 5


class Classifier:
    """Backbone and head of one version.

    Attributes:
        labels: names with their parents first, in the order of the head's outputs.
        threshold: a first score under it means "not sure".
        space: address of the features it reads.
    """

    def __init__(self, card: Card, backbone: Backbone, head: Head) -> None:
        self.card = card
        self.labels = [tuple(path) for path in card.labels]
        self.threshold = card.threshold
        self.space = backbone.space
        self._backbone = backbone
        self._head = head

    def features(self, pixels: npt.NDArray[np.uint8]) -> Features:
        """(n, 224, 224, 3) RGB to (n, height, width, channels)."""
        return self._backbone.features(pixels)

    def predict(self, features: Features) -> Floats:
        """Scores, (n, labels); each row sums to 1."""
        return softmax(self._head.logits(features), self.card.temperature)

    @staticmethod
    def top5(scores: Floats) -> list[list[tuple[int, float]]]:
        """The first five (position, score) of each row, best first; equal scores in the order of the labels."""
        order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        return [
            [(int(position), float(row[position])) for position in positions]
            for row, positions in zip(scores, order, strict=True)
        ]


def load_classifier(settings: WorkerSettings, data_dir: Path, artifact: str, card: dict[str, Any]) -> Classifier:
    """The version whose row holds `artifact` and `card`, checked and ready.

    Raises:
        ArtifactError: files are missing or damaged, are not those of the row, or compute other scores than they did.
    """
    expected = _card_of_row(card)
    found = _files_of(data_dir, artifact, expected)
    if expected.decode_version != DECODE_VERSION:
        msg = (
            f"Version {expected.name} was made for photos decoded as {expected.decode_version}, this phototag decodes"
            f" them as {DECODE_VERSION}. Train it again, or activate another version."
        )
        raise ArtifactError(msg)
    backbone = load_backbone(settings, data_dir, expected.backbone, found.block5)
    head = _vgg_top(data_dir, expected) if expected.head == "vgg-top" else linear_head(found)
    classifier = Classifier(expected, backbone, head)
    if expected.canary:
        pixels = canary_pixels()
        check_canaries(expected.name, expected.canary, classifier.predict(classifier.features(pixels)))
    return classifier


def load_head(data_dir: Path, artifact: str, card: dict[str, Any]) -> tuple[Card, Head]:
    """Card and head of the version whose row holds `artifact` and `card`, without its network: to read kept features.

    Raises:
        ArtifactError: files are missing or damaged, or are not those of the row.
    """
    expected = _card_of_row(card)
    found = _files_of(data_dir, artifact, expected)
    if expected.head != "vgg-top":
        return expected, linear_head(found)
    imagenet_file(data_dir)  # its hash
    return expected, _vgg_top(data_dir, expected)


def _files_of(data_dir: Path, artifact: str, expected: Card) -> Artifact:
    found = read_artifact(artifact_folder(data_dir, artifact))
    if found.card != expected:
        msg = (
            f"The files of version {expected.name} are not the ones it was registered with: they came with another"
            " release of phototag. Run `phototag up` once, or activate another version."
        )
        raise ArtifactError(msg)
    return found


def _card_of_row(card: dict[str, Any]) -> Card:
    try:
        return Card.model_validate(card)
    except ValidationError as error:
        msg = f"The card of this version is not one that this phototag understands. Activate another version. {error}"
        raise ArtifactError(msg) from error


def _vgg_top(data_dir: Path, card: Card) -> VggTop:
    from worker.weights import read_top  # noqa: PLC0415 - h5py: a worker with the tiny backbone starts without it

    # the file's hash has just been checked
    head = VggTop(tuple(read_top(weights_path(data_dir, IMAGENET))))
    labels = len(head.layers[-1][1])
    if labels != len(card.labels):
        msg = f"Version {card.name} names {len(card.labels)} labels, its weights have {labels}. Install phototag again."
        raise ArtifactError(msg)
    return head
