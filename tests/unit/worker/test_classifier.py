"""A loaded version: scores, ranks, and what is refused at load."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.errors import ArtifactError
from worker.artifact import PACKAGE_DIR, publish_artifact, read_artifact, read_card
from worker.canary import TOLERANCE, canary_pixels
from worker.card import Card
from worker.classifier import Classifier, load_classifier
from worker.heads import LinearHead, VggTop, linear_head, softmax
from worker.settings import WorkerSettings


def tiny_card() -> dict[str, Any]:
    return read_card(PACKAGE_DIR / "tiny").model_dump(mode="json")


def tiny(data_dir: Path) -> Classifier:
    return load_classifier(WorkerSettings(), data_dir, "package:tiny", tiny_card())


def published(data_dir: Path, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The tiny version with a changed card, as if trained here."""
    artifact = read_artifact(PACKAGE_DIR / "tiny")
    name, card = publish_artifact(data_dir, artifact.card.model_copy(update=changes), artifact.head)
    return name, card.model_dump(mode="json")


def of_colour(*rgb: int) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (1, 224, 224, 3))


@pytest.mark.parametrize(
    ("rgb", "label"),
    [((60, 100, 190), "blue"), ((180, 60, 50), "red"), ((60, 130, 55), "green"), ((15, 15, 18), "dark")],
)
def test_the_tiny_version_names_colours(tmp_path: Path, rgb: tuple[int, int, int], label: str) -> None:
    """From pixels to a name with its score, sure of it."""
    classifier = tiny(tmp_path)

    scores = classifier.predict(classifier.features(of_colour(*rgb)))
    top = classifier.top5(scores)[0]

    assert classifier.labels[top[0][0]] == (label,)
    assert top[0][1] >= classifier.threshold
    assert len(top) == 5
    assert scores.dtype == np.float32


def test_scores_are_probabilities_whatever_the_features(tmp_path: Path) -> None:
    """Rows sum to 1 and are finite, for zeros, for the largest float16, for no photos at all."""
    classifier = tiny(tmp_path)
    features = np.stack([np.zeros((7, 7, 8)), np.full((7, 7, 8), 65504.0)]).astype(np.float16)

    scores = classifier.predict(features)

    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-6)
    assert classifier.predict(features[:0]).shape == (0, 6)
    assert classifier.top5(scores[:0]) == []


def test_equal_scores_rank_in_the_order_of_the_labels() -> None:
    """The same photo gives the same list on every machine."""
    scores = np.array([[0.1, 0.2, 0.2, 0.1, 0.2, 0.2]], np.float32)

    ranked = Classifier.top5(scores)[0]

    assert [position for position, _ in ranked] == [1, 2, 4, 5, 0]
    assert [score for _, score in ranked] == pytest.approx([0.2, 0.2, 0.2, 0.2, 0.1])


def test_a_version_with_few_labels_has_as_many_ranks() -> None:
    """Two labels, two ranks."""
    assert Classifier.top5(np.array([[0.3, 0.7]], np.float32)) == [[(1, pytest.approx(0.7)), (0, pytest.approx(0.3))]]


def test_temperature_flattens_scores_and_keeps_their_order() -> None:
    """Logits are divided before softmax."""
    logits = np.array([[2.0, 0.0]], np.float32)

    np.testing.assert_allclose(softmax(logits, 2.0), [[0.7310586, 0.2689414]], rtol=1e-6)
    np.testing.assert_allclose(softmax(logits * 1000, 1.0), [[1.0, 0.0]], atol=1e-6)


def test_flatten_and_gap_are_the_products_they_say() -> None:
    """Against the sums written out."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(4, 2, 2, 3)).astype(np.float16)
    weights = rng.normal(size=(12, 5)).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32)

    flat = LinearHead(weights, bias, averages=False).logits(features)
    gap = LinearHead(weights[:3], bias, averages=True).logits(features)

    np.testing.assert_allclose(flat, features.reshape(4, 12).astype(np.float32) @ weights + bias, rtol=1e-5)
    np.testing.assert_allclose(gap, features.astype(np.float32).mean(axis=(1, 2)) @ weights[:3] + bias, rtol=1e-5)


def test_the_vgg_top_has_relu_between_its_layers_and_none_at_the_end() -> None:
    """fc1, fc2, predictions, at a size that can be written out."""
    rng = np.random.default_rng(4)
    features = rng.normal(size=(3, 1, 1, 6)).astype(np.float16)
    shapes = [(6, 5), (5, 4), (4, 7)]
    layers = tuple((rng.normal(size=s).astype("f4"), rng.normal(size=s[1]).astype("f4")) for s in shapes)

    logits = VggTop(layers).logits(features)

    first = np.maximum(features.reshape(3, 6).astype("f4") @ layers[0][0] + layers[0][1], 0)
    second = np.maximum(first @ layers[1][0] + layers[1][1], 0)
    np.testing.assert_allclose(logits, second @ layers[2][0] + layers[2][1], rtol=1e-5)
    assert (logits < 0).any()


def test_the_tiny_version_needs_no_tensorflow() -> None:
    """A worker with it starts at once: neither TensorFlow nor Keras nor h5py is imported."""
    code = (
        "import sys, json; from pathlib import Path;"
        "from worker.classifier import load_classifier; from worker.settings import WorkerSettings;"
        "from worker.artifact import PACKAGE_DIR, read_card;"
        "load_classifier(WorkerSettings(), Path('.'), 'package:tiny',"
        " read_card(PACKAGE_DIR / 'tiny').model_dump(mode='json'));"
        "print(json.dumps([m for m in ('tensorflow', 'keras', 'h5py', 'sklearn', 'celery') if m in sys.modules]))"
    )

    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert json.loads(output) == []


def test_a_trained_version_loads_from_the_data_directory(tmp_path: Path) -> None:
    """By the hash of its card."""
    name, card = published(tmp_path, threshold=0.123)

    assert load_classifier(WorkerSettings(), tmp_path, name, card).threshold == 0.123


def test_files_that_are_not_those_of_the_row_are_refused(tmp_path: Path) -> None:
    """After an update of phototag the packaged files may be others than the registered ones."""
    card = tiny_card() | {"threshold": 0.99}

    with pytest.raises(ArtifactError, match="not the ones it was registered with"):
        load_classifier(WorkerSettings(), tmp_path, "package:tiny", card)


def test_a_row_with_a_strange_card_is_refused(tmp_path: Path) -> None:
    """A newer phototag may have written it."""
    with pytest.raises(ArtifactError, match="not one that this phototag understands"):
        load_classifier(WorkerSettings(), tmp_path, "package:tiny", tiny_card() | {"format": 9})


def test_a_version_for_another_decoding_is_refused(tmp_path: Path) -> None:
    """Its scores would be quietly worse."""
    name, card = published(tmp_path, decode_version="crop-256-v1")

    with pytest.raises(ArtifactError, match="decoded as crop-256-v1"):
        load_classifier(WorkerSettings(), tmp_path, name, card)


def test_a_version_that_computes_other_scores_than_it_did_is_refused(tmp_path: Path) -> None:
    """Hashes are right, the canary photos are not: one score off by a little more than the tolerance."""
    card = read_card(PACKAGE_DIR / "tiny")
    (position, score), *others = card.canary[0]
    off = [[(position, score - TOLERANCE - 0.01), *others], *card.canary[1:]]
    name, row = published(tmp_path, canary=off)

    with pytest.raises(ArtifactError, match="test pictures"):
        load_classifier(WorkerSettings(), tmp_path, name, row)

    near = [[(position, score - TOLERANCE + 0.01), *others], *card.canary[1:]]
    name, row = published(tmp_path, canary=near)
    load_classifier(WorkerSettings(), tmp_path, name, row)


@pytest.mark.parametrize("canary", [[[(99, 0.5)]], [[(-1, 0.5)]], [[(0, 0.5)]] * 5])
def test_canaries_that_do_not_exist_are_refused(tmp_path: Path, canary: list[list[tuple[int, float]]]) -> None:
    """A card that names a label or a photo beyond the end is not an IndexError."""
    name, row = published(tmp_path, canary=canary)

    with pytest.raises(ArtifactError, match="do not exist"):
        load_classifier(WorkerSettings(), tmp_path, name, row)


def test_swapped_channels_are_noticed_by_the_canary_photos() -> None:
    """What no hash can see: RGB read as BGR moves some score by more than the tolerance."""
    artifact = read_artifact(PACKAGE_DIR / "tiny")
    from worker.backbone import TinyBackbone

    classifier = Classifier(artifact.card, TinyBackbone(), linear_head(artifact))
    right = classifier.predict(classifier.features(canary_pixels()))
    swapped = classifier.predict(classifier.features(canary_pixels()[..., ::-1]))

    assert np.abs(right - swapped).max() > 2 * TOLERANCE


def test_the_imagenet_version_has_its_thousand_labels_under_parents(tmp_path: Path) -> None:
    """The labels come from their own file; without weights the version says how to get them."""
    card = read_card(PACKAGE_DIR / "imagenet")

    assert len(card.labels) == 1000
    assert len({path[-1] for path in card.labels}) == 1000
    assert all(len(path) >= 2 for path in card.labels)
    with pytest.raises(ArtifactError, match="phototag models fetch imagenet"):
        load_classifier(WorkerSettings(), tmp_path, "package:imagenet", card.model_dump(mode="json"))


def test_a_card_has_room_for_what_a_trainer_wants_to_say() -> None:
    """Metrics and origin are free; everything that is computed with is checked."""
    card = Card.model_validate(tiny_card() | {"metrics": {"anything": [1, {"a": None}]}})

    assert card.metrics == {"anything": [1, {"a": None}]}
