"""The parts of an experiment: photos as an array, epochs, phases, augmentation, figures, weights."""
# pyright: basic

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from training.architectures import freeze_until, parameters, transfer_network
from training.dataset import ClassFolders
from training.experiment_fit import Phase, Trainee, fit, scores_of
from training.experiment_network import augmented, build_network
from training.experiment_photos import Loading, PhotoArray, chunks, load
from training.experiment_plots import draw_confusion, draw_curves
from training.experiment_recipe import Augmentation, read_recipe
from training.experiment_report import figures, harmless
from training.experiment_run import phases_of
from worker import device
from worker.limits import Limits
from worker.settings import WorkerSettings
from worker.weights import SEEDED_SHA256, VGG19_CONVOLUTIONS, read_convolutions

# how Keras reads TensorFlow's variables, where a test looks at weights
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture(scope="module", autouse=True)
def device_is_prepared() -> None:
    """Before the first network: TensorFlow cannot be told how many threads to use afterwards."""
    device.prepare()


def nothing(*_: object) -> None:
    """Progress nobody watches."""


def tiny_network() -> keras.Model:
    """Two dense layers that tell four numbers apart."""
    keras.utils.set_random_seed(1)
    numbers = keras.Input((4,))
    hidden = keras.layers.Dense(8, "relu", name="hidden")(numbers)
    return keras.Model(numbers, keras.layers.Dense(3, "softmax", name="predictions")(hidden))


def tiny_photos(count: int, seed: int) -> PhotoArray:
    """The largest of the first three numbers is the label."""
    values = np.random.RandomState(seed).normal(size=(count, 4)).astype(np.float16)
    return PhotoArray(values, values[:, :3].argmax(axis=1), [])


def trained(seed: int, phases: list[Phase]) -> tuple[keras.Model, list[dict[str, Any]]]:
    network = tiny_network()
    trainee = Trainee(network, network, tiny_photos(96, 1), tiny_photos(30, 2), chunk=32)
    return network, fit(trainee, phases, seed=seed, progress=nothing, note=nothing)


def test_photos_and_targets_stay_in_step_where_files_are_broken(tmp_path: Path) -> None:
    """More than one chunk; what is left out has its reason."""
    paths = [tmp_path / f"{number:02}.png" for number in range(21)]
    for number, path in enumerate(paths):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(path)
    paths[3].write_bytes(b"no photo")
    paths[18].write_bytes(b"")
    paths[19].unlink()
    photos = ClassFolders(["a"], paths, np.arange(21))
    seen: list[tuple[int, int]] = []
    loading = Loading(8, lambda pixels: pixels[:, 0, 0, 0], (), np.uint8, tmp_path, Limits())

    array = load(photos, loading, lambda done, total: seen.append((done, total)))

    np.testing.assert_array_equal(array.values, array.targets)
    assert len(array.targets) == 18
    reasons = {one.path.name: one.reason for one in array.left_out}
    assert reasons == {"03.png": "NOT_AN_IMAGE", "18.png": "EMPTY", "19.png": "No such file or directory"}
    assert seen == [(16, 21), (21, 21)]
    assert sorted(tmp_path.iterdir()) == sorted(set(paths) - {paths[19]})


def test_chunks_follow_the_order_and_miss_nothing() -> None:
    """The last one is smaller."""
    photos = tiny_photos(10, 3)
    order = np.random.RandomState(4).permutation(10)

    parts = list(chunks(photos, 4, order))

    assert [len(targets) for _, targets in parts] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([values for values, _ in parts]), photos.values[order])
    np.testing.assert_array_equal(np.concatenate([targets for _, targets in parts]), photos.targets[order])


def test_epochs_tell_how_training_gets_on_and_the_same_seed_gives_the_same() -> None:
    """What an epoch says of validation is what the network then does."""
    network, epochs = trained(5, [Phase(12, 0.05)])
    _, again = trained(5, [Phase(12, 0.05)])
    _, other = trained(6, [Phase(12, 0.05)])

    assert [epoch["epoch"] for epoch in epochs] == list(range(1, 13))
    assert epochs[-1]["accuracy"] > 0.9 > epochs[0]["accuracy"]
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    validation = tiny_photos(30, 2)
    right = scores_of(network, validation, 7).argmax(axis=1) == validation.targets
    assert epochs[-1]["validation_accuracy"] == pytest.approx(float(right.mean()))
    assert [epoch["loss"] for epoch in again] == pytest.approx([epoch["loss"] for epoch in epochs], rel=1e-3)
    assert [epoch["loss"] for epoch in other] != pytest.approx([epoch["loss"] for epoch in epochs], rel=1e-3)


def test_a_phase_trains_the_layers_it_names_and_the_next_one_all() -> None:
    """The head first; then what lies before it."""
    before = tiny_network().get_layer("hidden").get_weights()[0]
    first = Phase(2, 0.01, ["predictions"])

    head_only, _ = trained(1, [first])
    both, epochs = trained(1, [first, Phase(2, 0.01)])

    np.testing.assert_array_equal(head_only.get_layer("hidden").get_weights()[0], before)
    assert not np.array_equal(both.get_layer("hidden").get_weights()[0], before)
    assert len(epochs) == 4


def test_fine_tuning_trains_its_head_first() -> None:
    """Its epochs count the head's; other recipes have one phase."""
    network = tiny_network()
    finetune = read_recipe("vgg16-finetune")

    assert phases_of(finetune, network) == [Phase(5, 1e-4, ["predictions"]), Phase(5, 1e-5)]
    assert len(phases_of(read_recipe("vgg16-transfer"), network)) == 1


def test_augmentation_changes_photos_while_training_only() -> None:
    """Validation and test see them as they are; what is frozen stays frozen behind it."""
    pixels = keras.Input((32, 32, 3))
    network = keras.Model(pixels, keras.layers.Rescaling(1.0)(pixels))
    changed = augmented(network, Augmentation(use=True, flip=True, shift=0.2, zoom=0.2), seed=3)
    photos = np.random.RandomState(1).randint(0, 256, (4, 32, 32, 3)).astype(np.float32)

    np.testing.assert_array_equal(changed.predict_on_batch(photos), photos)
    first, second = (np.asarray(changed(photos, training=True)) for _ in range(2))
    assert not np.allclose(first, photos)
    assert not np.allclose(first, second)
    transfer = transfer_network("vgg16", 10, "rescaled")
    freeze_until(transfer, "block5_pool")
    whole = augmented(transfer, Augmentation(use=True, flip=True, shift=0.1, zoom=0.1), seed=3)
    assert parameters(whole) == (250_890, 14_714_688)


def test_figures_of_scores() -> None:
    """First and first five, by label, and who is taken for whom."""
    labels = list("abcdef")
    targets = np.array([0, 0, 1, 5])
    scores = np.full((4, 6), 0.1, np.float32)
    scores[[0, 1, 2], [0, 1, 1]] = 0.5
    scores[3] = [0.3, 0.2, 0.2, 0.1, 0.1, 0.0]

    found = figures(scores, targets, labels)

    assert (found["photos"], found["top1"], found["top5"]) == (4, 0.5, 0.75)
    assert found["by_label"] == {"a": 0.5, "b": 1.0, "c": None, "d": None, "e": None, "f": 0.0}
    assert found["confusion"][0] == [1, 1, 0, 0, 0, 0]
    assert found["confusion"][5] == [1, 0, 0, 0, 0, 0]
    assert figures(scores[:0], targets[:0], labels)["top1"] is None


def test_names_in_a_report_are_harmless() -> None:
    """No markup, no line breaks, no characters that steer a terminal."""
    assert harmless("a|b<i>\n![x](y)\x1b[2J\u202e") == r"a\|b\<i\> \!\[x\]\(y\)\[2J"


def test_pictures_are_drawn_whatever_the_labels_are(tmp_path: Path) -> None:
    """Dollar signs are no formulas, and without validation photos there is one curve."""
    labels = ["$x^", "_" * 200, "c"]
    epochs = [{"epoch": 1, "loss": 2.0, "accuracy": 0.1, "validation_loss": None, "validation_accuracy": None}]

    draw_confusion(tmp_path / "a.png", [[1, 0, 0], [0, 0, 0], [0, 2, 3]], labels, "test photos")
    draw_curves(tmp_path / "b.png", epochs)

    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size[0] < 1500


@pytest.mark.timeout(240)
def test_weights_of_vgg19_come_from_a_file_that_the_recipe_names_or_are_seeded(tmp_path: Path) -> None:
    """And the report says which, with their hash."""
    source = keras.applications.VGG19(weights=None, include_top=False, input_shape=(224, 224, 3))  # pyright: ignore[reportArgumentType]
    source.save_weights(tmp_path / "vgg19.weights.h5")
    recipe = read_recipe("vgg19-transfer")
    named = recipe.model_copy(update={"weights_file": tmp_path / "vgg19.weights.h5"})

    seeded = build_network(recipe, 3, WorkerSettings(), tmp_path, seed=1)
    of_file = build_network(named, 3, WorkerSettings(), tmp_path, seed=1)

    assert (seeded.weights.kind, of_file.weights.kind) == ("seeded", "file")
    assert "fetches no weights of VGG19" in seeded.weights.said
    assert seeded.weights.sha256 != of_file.weights.sha256
    read = read_convolutions(tmp_path / "vgg19.weights.h5", VGG19_CONVOLUTIONS)
    for name, (kernel, _) in zip(VGG19_CONVOLUTIONS, read, strict=True):
        np.testing.assert_array_equal(of_file.whole.get_layer(name).get_weights()[0], kernel)
        np.testing.assert_array_equal(kernel, source.get_layer(name).get_weights()[0])


@pytest.mark.timeout(240)
def test_weights_of_vgg16_are_those_of_the_setting_before_seeded_ones(tmp_path: Path) -> None:
    """As for heads that are trained in the library."""
    source = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))  # pyright: ignore[reportArgumentType]
    source.save_weights(tmp_path / "mine.weights.h5")
    recipe = read_recipe("vgg16-transfer")

    seeded = build_network(recipe, 3, WorkerSettings(), tmp_path, seed=1)
    mine = build_network(recipe, 3, WorkerSettings(backbone_weights=tmp_path / "mine.weights.h5"), tmp_path, seed=1)

    assert (seeded.weights.kind, seeded.weights.sha256) == ("seeded", SEEDED_SHA256)
    assert "PHOTOTAG_BACKBONE_WEIGHTS" in mine.weights.said
    kernel = source.get_layer("block3_conv2").get_weights()[0]
    np.testing.assert_array_equal(mine.whole.get_layer("block3_conv2").get_weights()[0], kernel)
