"""The network whose features a run reads: which it is, the space of its features, and the network itself if it must be."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from db.blobs import Blobs
from db.errors import ArtifactError, BlobMissingError
from db.feature_spaces import feature_space
from db.spare_spaces import canaries_key
from worker.artifact import artifact_folder, read_artifact
from worker.backbone import Backbone, imagenet_file, load_backbone
from worker.block5 import Layer, block5_bytes, with_block5
from worker.canary import canary_pixels
from worker.card import FEATURE_SHAPES, BackboneCard, Card, TunedCard
from worker.decoding import DECODE_VERSION
from worker.heads import Features
from worker.settings import WorkerSettings

TENSOR = "features"


@dataclass(frozen=True)
class Network:
    """A backbone that is loaded when something must be computed, and not before.

    Attributes:
        card: with the hash of its weights.
        space: address of its features.
        block5: convolutions that the version has trained; None where it has not.
    """

    card: BackboneCard
    space: str
    settings: WorkerSettings
    data_dir: Path
    block5: Sequence[Layer] | None = field(default=None, compare=False, repr=False)

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of one photo's features."""
        return FEATURE_SHAPES[self.card.architecture]

    def load(self) -> Backbone:
        """The network, ready to use: some seconds and 400 MB for VGG16.

        Raises:
            ArtifactError: its weights are missing or are others.
        """
        return load_backbone(self.settings, self.data_dir, self.card, self.block5)


def network_for_training(settings: WorkerSettings, data_dir: Path, active: Card, artifact: str = "") -> Network:
    """The active version's network; that of PHOTOTAG_BACKBONE_WEIGHTS where it is set, and the version's is not made of it.

    Args:
        settings: where a file of weights lies.
        data_dir: where fetched weights and artifacts lie.
        active: the card of the active version.
        artifact: where its files lie, as its row names them; needed where it has trained block 5.

    Raises:
        ArtifactError: the weights are missing or damaged.
    """
    if settings.backbone_weights is None or active.backbone.architecture != "vgg16":
        return network_of(settings, data_dir, active, artifact)
    card = active.backbone.model_copy(update={"weights": "file", "weights_sha256": None, "tuned": None})
    file, tuned = _network(settings, data_dir, card), active.backbone.tuned
    if tuned is not None and tuned.base_sha256 == file.card.weights_sha256:
        return network_of(settings, data_dir, active, artifact)
    return file


def network_of(settings: WorkerSettings, data_dir: Path, card: Card, artifact: str = "") -> Network:
    """The network that a version stands on.

    Raises:
        ArtifactError: the weights are missing or damaged, where only they tell their hash; or block 5 is.
    """
    network = _network(settings, data_dir, card.backbone)
    if card.backbone.tuned is None:
        return network
    return replace(network, block5=read_artifact(artifact_folder(data_dir, artifact)).block5)


def tuned_network(network: Network, base: Sequence[Layer], block5: Sequence[Layer]) -> Network:
    """The network with another block 5, in a space of its own.

    Args:
        network: whose blocks 1 to 4 stay.
        base: all its convolutions as they were before block 5 was trained.
        block5: what it was trained to.
    """
    from worker.weights import weights_sha256  # noqa: PLC0415 - h5py: whoever trains heads does without

    tuned = TunedCard(base_sha256=weights_sha256(base), block5_sha256=hashlib.sha256(block5_bytes(block5)).hexdigest())
    digest = weights_sha256(with_block5(base, block5))
    card = network.card.model_copy(update={"weights_sha256": digest, "tuned": tuned})
    space = feature_space(digest, card.layer, DECODE_VERSION)
    return replace(network, card=card, space=space, block5=block5)


def canary_features(blobs: Blobs, network: Network) -> Features:
    """Features of the canary photos, (photos, h, w, c): computed once for each space, and kept.

    Raises:
        ArtifactError: they must be computed, and the network's weights are missing.
    """
    key = canaries_key(network.space)
    kept = _read(blobs, key)
    pixels = canary_pixels()
    if kept is not None and kept.shape == (len(pixels), *network.feature_shape) and np.isfinite(kept).all():
        return kept
    features = network.load().features(pixels)
    blobs.write_object(key, save({TENSOR: features}))
    return features


def _network(settings: WorkerSettings, data_dir: Path, card: BackboneCard) -> Network:
    if card.weights_sha256 is None:
        card = card.model_copy(update={"weights_sha256": _hash_of_weights(settings, data_dir, card)})
    space = feature_space(str(card.weights_sha256), card.layer, DECODE_VERSION)
    return Network(card, space, settings, data_dir)


def _hash_of_weights(settings: WorkerSettings, data_dir: Path, card: BackboneCard) -> str:
    from worker import weights  # noqa: PLC0415 - h5py: whoever has the hash does without

    file = imagenet_file(data_dir) if card.weights == "imagenet" else settings.backbone_weights
    if file is None:
        msg = "The active version was trained on weights from a file. Set PHOTOTAG_BACKBONE_WEIGHTS to that file."
        raise ArtifactError(msg)
    return weights.weights_sha256(weights.read_convolutions(file))


def _read(blobs: Blobs, key: str) -> Features | None:
    try:
        array = load(blobs.read_object(key)).get(TENSOR)
    except (BlobMissingError, SafetensorError):
        return None
    return array if array is not None and array.dtype == np.float16 else None
