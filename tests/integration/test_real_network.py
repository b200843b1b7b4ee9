"""The real VGG16 on real arrays: preprocessing, independence of neighbours, files of weights, the starter."""
# pyright: basic

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from worker.artifact import PACKAGE_DIR, read_card
from worker.backbone import Backbone, load_backbone
from worker.card import BackboneCard
from worker.classifier import Classifier, load_classifier
from worker.decoding import decode
from worker.limits import Limits
from worker.settings import WorkerSettings
from worker.weights import CONVOLUTIONS, LAYER, SEEDED_SHA256, read_convolutions, seeded_weights, weights_sha256


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """The shipped starter, loaded once: TensorFlow takes seconds to start."""
    card = read_card(PACKAGE_DIR / "starter").model_dump(mode="json")
    return load_classifier(WorkerSettings(chunk_size=4), tmp_path_factory.mktemp("data"), "package:starter", card)


def photos(count: int, seed: int = 3) -> np.ndarray:
    """Noise in blocks of 8 px, with as much contrast as photos have."""
    coarse = np.random.RandomState(seed).randint(0, 256, (count, 28, 28, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8))


def test_features_are_those_of_keras_with_its_own_preprocessing(starter: Classifier) -> None:
    """The graph's inside (BGR, mean) is what keras.applications does outside."""
    import keras

    reference = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))  # pyright: ignore[reportArgumentType]
    for name, layer in zip(CONVOLUTIONS, seeded_weights(), strict=True):
        reference.get_layer(name).set_weights(layer)
    pixels = photos(2)

    expected = reference(keras.applications.vgg16.preprocess_input(pixels.astype("float32")), training=False)

    features = starter.features(pixels).astype(np.float32)
    assert features.shape == (2, 7, 7, 512)
    np.testing.assert_allclose(features, np.asarray(expected), rtol=1e-3, atol=1e-3 * float(features.max()))


def test_a_photos_features_do_not_depend_on_its_neighbours(starter: Classifier) -> None:
    """Alone, in a chunk, at its end, over a border between chunks: the same features and scores."""
    chunk = photos(6)
    together = starter.features(chunk)
    scores = starter.predict(together)
    scale = float(together.max())

    for number in (0, 3, 5):
        alone = starter.features(chunk[number : number + 1])
        np.testing.assert_allclose(alone[0], together[number], rtol=1e-3, atol=1e-3 * scale)
        np.testing.assert_allclose(starter.predict(alone)[0], scores[number], atol=1e-5)
    reversed_chunk = starter.features(chunk[::-1])[::-1]
    np.testing.assert_allclose(starter.predict(reversed_chunk), scores, atol=1e-5)


def test_a_retag_from_features_equals_a_tag(starter: Classifier) -> None:
    """Features are float16 before any head reads them, also when tagging."""
    features = starter.features(photos(2))
    kept = np.frombuffer(features.tobytes(), np.float16).reshape(features.shape)

    np.testing.assert_array_equal(starter.predict(kept), starter.predict(features))
    assert features.dtype == np.float16


def test_no_photos_are_no_features(starter: Classifier) -> None:
    """An empty chunk does not reach TensorFlow."""
    assert starter.features(np.zeros((0, 224, 224, 3), np.uint8)).shape == (0, 7, 7, 512)


def of_file(path: Path, sha256: str | None) -> Backbone:
    card = BackboneCard(architecture="vgg16", weights="file", weights_sha256=sha256, layer=LAYER)
    return load_backbone(WorkerSettings(backbone_weights=path, chunk_size=4), path.parent, card)


def test_a_file_with_the_seeded_values_is_the_seeded_backbone(starter: Classifier, tmp_path: Path) -> None:
    """PHOTOTAG_BACKBONE_WEIGHTS in the layout of Keras' own releases: same values, same space, same features."""
    path = tmp_path / "notop.h5"
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in zip(CONVOLUTIONS, seeded_weights(), strict=True):
            file[f"{name}/{name}_W_1:0"] = kernel
            file[f"{name}/{name}_b_1:0"] = bias

    backbone = of_file(path, SEEDED_SHA256)

    assert backbone.space == starter.space
    np.testing.assert_array_equal(backbone.features(photos(1)), starter.features(photos(1)))


def test_a_file_saved_by_keras_is_read_as_keras_reads_it(shared: Path, tmp_path: Path, starter: Classifier) -> None:
    """Keras 3's own layout, written by its save_weights; other values are another space."""
    path = tmp_path / "notop.weights.h5"
    subprocess.run([sys.executable, shared / "weights" / "build_weights.py", path], check=True, capture_output=True)
    import keras

    reference = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))  # pyright: ignore[reportArgumentType]
    reference.load_weights(path)
    expected = [reference.get_layer(name).get_weights() for name in CONVOLUTIONS]

    layers = read_convolutions(path)

    for (kernel, bias), (expected_kernel, expected_bias) in zip(layers, expected, strict=True):
        np.testing.assert_array_equal(kernel, expected_kernel)
        np.testing.assert_array_equal(bias, expected_bias)
    assert of_file(path, weights_sha256(layers)).space != starter.space


@pytest.mark.slow
def test_the_starter_is_as_good_as_its_card_says(shared: Path, starter: Classifier) -> None:
    """Every twentieth validation photo, by the decoder that tagging uses; 24 photos leave room for chance."""
    folders = sorted((shared / "photos" / "scenes" / "val").iterdir())
    paths = [(path, folder.name) for folder in folders for path in sorted(folder.iterdir())[::20]]
    pixels = np.stack([decode(path.read_bytes(), Limits(), previews=()).pixels for path, _ in paths])

    scores = starter.predict(starter.features(pixels))

    right = [starter.labels[row.argmax()][-1] == label for row, (_, label) in zip(scores, paths, strict=True)]
    assert np.mean(right) == pytest.approx(starter.card.metrics["validation"]["top1"], abs=0.25)
