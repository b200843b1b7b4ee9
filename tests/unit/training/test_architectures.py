"""The lecture's networks have the parameters that their papers say."""
# pyright: basic

from typing import Any

import keras
import numpy as np
import pytest

from training.architectures import (
    Architecture,
    bring_to_unit,
    cut_after,
    freeze_until,
    output_shapes,
    parameters,
    scaling_layer,
    transfer_network,
    whole_network,
)
from worker import device


@pytest.fixture(scope="module", autouse=True)
def device_is_prepared() -> None:
    """Before the first network: TensorFlow cannot be told how many threads to use afterwards."""
    device.prepare()


@pytest.mark.parametrize(
    ("architecture", "count"),
    [
        # one tower, biases included; two towers have 60,965,224
        ("alexnet", 62_378_344),
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
    ],
)
def test_a_whole_network_has_the_published_number_of_parameters(architecture: Architecture, count: int) -> None:
    """At 1,000 labels, all of them trained."""
    assert parameters(whole_network(architecture, 1000, "rescaled")) == (count, 0)


@pytest.mark.parametrize(("architecture", "frozen"), [("vgg16", 14_714_688), ("vgg19", 20_024_384)])
def test_a_transfer_network_trains_only_its_head(architecture: Architecture, frozen: int) -> None:
    """250,890 parameters at ten labels: 7 x 7 x 512 weights and a bias for each."""
    network = transfer_network(architecture, 10, "rescaled")
    freeze_until(network, "block5_pool")

    assert parameters(network) == (250_890, frozen)
    assert [layer["name"] for layer in output_shapes(network) if layer["trained"]] == ["predictions"]


def test_shapes_of_alexnet_are_those_of_its_paper() -> None:
    """55, 27 and 13 a side, and 9,216 numbers into the first dense layer."""
    shapes = {layer["name"]: layer["shape"] for layer in output_shapes(whole_network("alexnet", 5, "rescaled"))}

    assert shapes["conv1"] == [55, 55, 96]
    assert shapes["conv2"] == [27, 27, 256]
    assert shapes["conv5"] == [13, 13, 256]
    assert shapes["flatten"] == [9216]
    assert shapes["predictions"] == [5]


def test_the_two_parts_of_a_network_give_what_the_whole_gives() -> None:
    """What is computed once and kept leads to the same scores; the parts share their weights."""
    network = transfer_network("vgg16", 3, "caffe")
    freeze_until(network, "block4_pool")
    frozen, trained = cut_after(network, "block4_pool")
    photos = np.random.RandomState(2).randint(0, 256, (2, 224, 224, 3)).astype(np.float32)
    trained.get_layer("predictions").bias.assign([3.0, 0.0, -1.0])  # pyright: ignore[reportAttributeAccessIssue]

    scores = trained.predict_on_batch(frozen.predict_on_batch(photos))

    np.testing.assert_allclose(scores, network.predict_on_batch(photos), atol=1e-5)
    assert parameters(frozen)[0] == 0
    assert parameters(trained) == (7_079_424 + 25_088 * 3 + 3, 0)


def test_what_the_head_reads_is_brought_to_unit_size() -> None:
    """Also where block 5 lies before it; the whole network does the same."""
    network = transfer_network("vgg16", 3, "caffe")
    freeze_until(network, "block4_pool")
    frozen, trained = cut_after(network, "block4_pool")
    values = frozen.predict_on_batch(np.random.RandomState(2).randint(0, 256, (1, 224, 224, 3)).astype(np.float32))

    size = bring_to_unit(trained, values)

    assert network.get_layer("unit").scale == pytest.approx(1.0 / size)
    read = keras.Sequential([keras.Input(values.shape[1:]), *trained.layers[1:-2]]).predict_on_batch(values)
    assert np.sqrt(np.square(read).mean()) == pytest.approx(1.0, rel=1e-3)


def test_scaling_is_that_of_the_lecture_or_that_of_vgg() -> None:
    """Into [0, 1]; or as keras.applications does outside."""
    photos = np.random.RandomState(3).randint(0, 256, (1, 4, 4, 3)).astype(np.float32)

    def scaled(scaling: Any) -> Any:
        return keras.ops.convert_to_numpy(scaling_layer(scaling)(photos))

    np.testing.assert_allclose(scaled("rescaled"), photos / 255, atol=1e-6)
    expected: Any = keras.applications.vgg16.preprocess_input(photos.copy())
    np.testing.assert_allclose(scaled("caffe"), expected, atol=1e-4)
