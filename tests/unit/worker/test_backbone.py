"""Backbones: addresses of features, the tiny one, and pieces that fit the device."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from db.errors import ArtifactError
from worker.backbone import TinyBackbone, feature_space, load_backbone
from worker.batching import Batching
from worker.card import BackboneCard
from worker.decoding import DECODE_VERSION
from worker.settings import WorkerSettings
from worker.tiny import TINY_SHA256
from worker.weights import LAYER

TINY = BackboneCard(architecture="tiny", weights="none", weights_sha256=TINY_SHA256, layer="pool")


def photos(count: int) -> npt.NDArray[np.uint8]:
    return np.random.RandomState(1).randint(0, 256, (count, 224, 224, 3)).astype(np.uint8)


class TooMuchError(Exception):
    """What a device raises that has no memory left."""


class Device:
    """Sums photos; holds at most `fits` at a time."""

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.sizes: list[int] = []

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        self.sizes.append(len(pixels))
        if len(pixels) > self.fits:
            raise TooMuchError
        return pixels.sum(axis=(1, 2, 3), dtype=np.int64)


def small(count: int) -> npt.NDArray[np.uint8]:
    return np.arange(count * 12).reshape(count, 2, 2, 3).astype(np.uint8)


def test_a_change_of_weights_layer_or_decoding_is_another_space() -> None:
    """Features of different origin never share an address."""
    spaces = {feature_space(*parts) for parts in [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x")]}

    assert len(spaces) == 4
    assert all(len(space) == 64 for space in spaces)
    assert feature_space("ab", "c", "d") != feature_space("a", "bc", "d")
    assert TinyBackbone().space == feature_space(TINY_SHA256, "pool", DECODE_VERSION)


def test_tiny_features_are_means_of_cells() -> None:
    """A photo that is red on the left and black on the right, cell by cell."""
    photo = np.zeros((1, 224, 224, 3), np.uint8)
    photo[:, :, :96, 0] = 255

    features = load_backbone(WorkerSettings(), Path(), TINY).features(photo)

    assert features.shape == (1, 7, 7, 8)
    assert features.dtype == np.float16
    np.testing.assert_array_equal(features[0, :, :, 0], np.repeat([[1, 1, 1, 0, 0, 0, 0]], 7, axis=0))
    assert not features[0, :, :, 1:3].any()


def test_tiny_features_do_not_depend_on_neighbours() -> None:
    """Alone or in a chunk: the same bits."""
    chunk = photos(5)
    backbone = TinyBackbone()

    together = backbone.features(chunk)

    for number in range(5):
        np.testing.assert_array_equal(backbone.features(chunk[number : number + 1])[0], together[number])
    assert backbone.features(chunk[:0]).shape == (0, 7, 7, 8)


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_pieces_come_back_in_order(count: int) -> None:
    """Whatever the number of photos, with and without padding."""
    for pads in (True, False):
        device = Device(fits=100)
        batching = Batching(device, size=4, pads=pads, out_of_memory=TooMuchError)

        np.testing.assert_array_equal(batching.run(small(count)), small(count).sum(axis=(1, 2, 3)))

        assert set(device.sizes) == ({4} if pads else {4, count % 4} & set(device.sizes))


def test_a_device_out_of_memory_gets_half_as_many_from_then_on() -> None:
    """Nothing is lost or computed twice, and the smaller size is remembered."""
    device = Device(fits=3)
    batching = Batching(device, size=16, pads=True, out_of_memory=TooMuchError)

    np.testing.assert_array_equal(batching.run(small(5)), small(5).sum(axis=(1, 2, 3)))
    assert device.sizes == [16, 8, 4, 2, 2, 2]

    batching.run(small(1))
    assert device.sizes[-1] == 2


def test_a_photo_that_does_not_fit_alone_is_an_error() -> None:
    """No endless halving."""
    with pytest.raises(TooMuchError):
        Batching(Device(fits=0), size=4, pads=False, out_of_memory=TooMuchError).run(small(2))


def vgg16_on(weights: str, sha256: str | None = None) -> BackboneCard:
    return BackboneCard.model_validate(
        {"architecture": "vgg16", "weights": weights, "weights_sha256": sha256, "layer": LAYER}
    )


def test_missing_weights_say_where_they_come_from(tmp_path: Path) -> None:
    """Each kind names its own remedy, before TensorFlow is imported."""
    with pytest.raises(ArtifactError, match="phototag models fetch imagenet"):
        load_backbone(WorkerSettings(), tmp_path, vgg16_on("imagenet"))
    with pytest.raises(ArtifactError, match="PHOTOTAG_BACKBONE_WEIGHTS is not set"):
        load_backbone(WorkerSettings(), tmp_path, vgg16_on("file"))
    with pytest.raises(ArtifactError, match="cannot be used"):
        load_backbone(WorkerSettings(backbone_weights=tmp_path / "none.h5"), tmp_path, vgg16_on("file"))


def test_damaged_imagenet_weights_are_not_loaded(tmp_path: Path) -> None:
    """The hash is checked at every load, not only after the download."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "vgg16_weights_tf_dim_ordering_tf_kernels.h5").write_bytes(b"half")

    with pytest.raises(ArtifactError, match="damaged: it has 4 bytes"):
        load_backbone(WorkerSettings(), tmp_path, vgg16_on("imagenet"))


def test_other_weights_than_the_cards_are_refused(tmp_path: Path) -> None:
    """A head never reads features of a network it was not trained on."""
    with pytest.raises(ArtifactError, match="trained on other backbone weights"):
        load_backbone(WorkerSettings(), tmp_path, vgg16_on("seeded", "0" * 64))
    with pytest.raises(ArtifactError, match="tiny backbone has changed"):
        load_backbone(WorkerSettings(), tmp_path, TINY.model_copy(update={"weights_sha256": "0" * 64}))
