"""Backbones: from pixels to features. Frozen while heads are trained; a version may bring a block 5 of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from db.errors import ArtifactError
from db.feature_spaces import feature_space
from worker.block5 import Layer, with_block5
from worker.card import FEATURE_SHAPES, BackboneCard
from worker.decoding import DECODE_VERSION
from worker.download import IMAGENET, check_file, weights_path
from worker.settings import WorkerSettings
from worker.tiny import LAYER as TINY_LAYER
from worker.tiny import TINY_SHA256, tiny_features


class Backbone(Protocol):
    """A loaded backbone.

    Attributes:
        space: address of its features: hash of weights, layer and decode version.
        feature_shape: rows, columns and channels of one photo's features.
    """

    space: str
    feature_shape: tuple[int, int, int]

    def features(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """(n, 224, 224, 3) RGB to (n, *feature_shape), rounded to float16."""
        ...


class TinyBackbone:
    """Colours and edges in NumPy (`worker.tiny`)."""

    def __init__(self) -> None:
        self.space = feature_space(TINY_SHA256, TINY_LAYER, DECODE_VERSION)
        self.feature_shape = FEATURE_SHAPES["tiny"]

    def features(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        return tiny_features(pixels)


def load_backbone(
    settings: WorkerSettings, data_dir: Path, card: BackboneCard, block5: Sequence[Layer] | None = None
) -> Backbone:
    """The backbone a card names, ready for use.

    Args:
        settings: where a file of weights lies, and how many photos go through at once.
        data_dir: where fetched weights lie.
        card: of the version.
        block5: of its artifact; None where the version brings none.

    Raises:
        ArtifactError: its weights are missing or are not those of the card.
    """
    if card.architecture == "tiny":
        if card.weights_sha256 != TINY_SHA256:
            msg = "The tiny backbone has changed since this version was made. Activate another version."
            raise ArtifactError(msg)
        return TinyBackbone()
    return _load_vgg16(settings, data_dir, card, block5)


def imagenet_file(data_dir: Path) -> Path:
    """The fetched ImageNet weights, checked.

    Raises:
        ArtifactError: they are missing or damaged.
    """
    path = weights_path(data_dir, IMAGENET)
    if not path.exists():
        msg = f"The ImageNet weights are not on this machine: {path}. Run `phototag models fetch imagenet`."
        raise ArtifactError(msg)
    if problem := check_file(path, IMAGENET):
        msg = f"The ImageNet weights in {path} are damaged: {problem}. Run `phototag models fetch imagenet`."
        raise ArtifactError(msg)
    return path


def base_weights(settings: WorkerSettings, data_dir: Path, card: BackboneCard) -> list[Layer]:
    """The convolutions of VGG16 as the card's `weights` have them, block 5 too.

    Raises:
        ArtifactError: they are missing, damaged, or not those of the card.
    """
    from worker import weights  # noqa: PLC0415 - h5py: a worker with the tiny backbone starts without it

    match card.weights:
        case "seeded":
            arrays = weights.seeded_weights()
        case "imagenet":
            arrays = weights.read_convolutions(imagenet_file(data_dir))
        case _:
            arrays = weights.read_convolutions(_own_file(settings))
    expected = card.weights_sha256 if card.tuned is None else card.tuned.base_sha256
    digest = weights.weights_sha256(arrays)
    if expected not in (None, digest) or card.layer != weights.LAYER:
        msg = (
            f"This version was trained on other backbone weights ({card.weights}) than the ones found. Give it back"
            f" its weights, or activate another version. Expected {expected}, received {digest}."
        )
        raise ArtifactError(msg)
    return arrays


def _load_vgg16(
    settings: WorkerSettings, data_dir: Path, card: BackboneCard, block5: Sequence[Layer] | None
) -> Backbone:
    arrays = base_weights(settings, data_dir, card)
    from worker.weights import weights_sha256  # noqa: PLC0415 - as in base_weights

    if card.tuned is not None:
        arrays = with_block5(arrays, _required(block5))
    digest = weights_sha256(arrays)
    if card.weights_sha256 not in (None, digest):
        msg = (
            "Block 5 of this version and the weights below it are not what the version was made with. Activate another"
            f" version, or restore its folder from a backup. Expected {card.weights_sha256}, received {digest}."
        )
        raise ArtifactError(msg)
    from worker.vgg16 import Vgg16Backbone  # noqa: PLC0415 - TensorFlow: 5 s and 400 MB that tiny does without

    return Vgg16Backbone(arrays, feature_space(digest, card.layer, DECODE_VERSION), chunk_size=settings.chunk_size)


def _required(block5: Sequence[Layer] | None) -> Sequence[Layer]:
    if block5 is None:
        msg = "This version has trained block 5 of its network, and its files hold none. Restore them from a backup."
        raise ArtifactError(msg)
    return block5


def _own_file(settings: WorkerSettings) -> Path:
    if settings.backbone_weights is None:
        msg = (
            "This version was trained on weights from a file, but PHOTOTAG_BACKBONE_WEIGHTS is not set. Set it to that"
            " file, or activate another version."
        )
        raise ArtifactError(msg)
    return settings.backbone_weights
