"""`phototag train --experiment`: from class folders to a report, through real processes."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.integration.command_line import phototag, running

LABELS = {"a $b$ *c*": (200, 60, 60), "green": (60, 200, 60), "ночь": (60, 60, 200)}
# Networks of real size on two cores that other tests use too.
PATIENCE_S = 110.0


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three labels with six photos each, and a file that is no photo."""
    rng = np.random.RandomState(5)
    for label, colour in LABELS.items():
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for number in range(6):
            noise = rng.normal(0.0, 40.0, (60, 80, 3))
            Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "photos" / "green" / "broken.jpg").write_bytes(b"no photo")
    return tmp_path / "photos"


def experiment(folders: Path, recipe: str, *arguments: object, code: int = 3, **changes: str) -> dict[str, Any]:
    """Runs one and returns its report; by default a photo was left out."""
    command = ("train", "--recipe", recipe, "--experiment", folders, "--json", *arguments)
    result = phototag(*command, cwd=folders.parent, timeout_s=900.0, **changes)
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_alexnet_is_trained_and_reported(folders: Path) -> None:
    """One command, exit code 3 for the file that is no photo, and a folder that another run does not touch."""
    report = experiment(folders, "alexnet-scratch", "--epochs", 2, "--seed", 3)

    out = folders.parent / report["out"]
    assert out.name.startswith("experiment-alexnet-scratch-")
    assert sorted(path.name for path in out.iterdir()) == ["confusion.png", "curves.png", "report.json", "report.md"]
    assert report["photos"] == {"train": 12, "validation": 3, "test": 3}
    assert report["left_out"] == [{"path": "green/broken.jpg", "reason": "NOT_AN_IMAGE"}]
    # of the 62,378,344 at 1,000 labels, 997 outputs of 4,096 weights and a bias are missing
    assert report["parameters"] == {"trainable": 62_378_344 - 997 * 4097, "frozen": 0}
    assert report["layers"][-1]["shape"] == [3]
    assert len(report["epochs"]) == 2
    assert np.isfinite([report["epochs"][1]["loss"], report["epochs"][1]["validation_loss"]]).all()
    assert np.array(report["test"]["confusion"]).sum() == 3
    assert report["seed"] == 3
    for name in ("curves.png", "confusion.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 300
    text = (out / "report.md").read_text(encoding="utf-8")
    assert r"| a $b$ \*c\* |" in text
    again = phototag("train", "--recipe", "alexnet-scratch", "--experiment", folders, "--out", out, cwd=folders.parent)
    assert again.returncode == 1
    assert "never overwrites" in again.stderr
    assert (out / "report.md").read_text(encoding="utf-8") == text


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ctrl_c_leaves_nothing_behind(folders: Path) -> None:
    """Neither a half report nor the pixels."""
    before = sorted(folders.parent.iterdir())
    arguments = "train", "--recipe", "alexnet-scratch", "--experiment", folders, "--epochs", 500
    with running(*arguments, cwd=folders.parent) as command:
        command.wait_for("epoch 1 of 500", PATIENCE_S)

        command.process.send_signal(signal.SIGINT)

        assert command.end(60.0) == 130
    assert "Stopped; nothing was written." in command.output
    assert "Traceback" not in command.output
    assert sorted(folders.parent.iterdir()) == before


@pytest.mark.network
@pytest.mark.timeout(240)
def test_a_head_is_trained_on_what_the_frozen_part_made_once(folders: Path) -> None:
    """Colours are told apart even on random convolutions; the report says that they are random."""
    report = experiment(folders, "vgg16-transfer", "--epochs", 40, "--out", "transfer")

    assert report["parameters"] == {"trainable": 3 * 25_088 + 3, "frozen": 14_714_688}
    assert report["weights"]["kind"] == "seeded"
    assert "computed once" in report["how"]
    assert report["epochs"][-1]["accuracy"] == 1.0
    assert min(report["validation"]["top1"], report["test"]["top1"]) > 0.6


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("recipe", "trained"),
    [("vgg16-finetune", 7_079_424 + 3 * 25_089), ("vgg16-transfer-augmented", 3 * 25_088 + 3)],
)
def test_the_others_are_trained_too(folders: Path, recipe: str, trained: int) -> None:
    """Block 5 after its head; photos that change in each epoch."""
    report = experiment(folders, recipe, "--epochs", 2, "--out", "other")

    assert report["parameters"]["trainable"] == trained
    assert report["test"]["photos"] == 3
    assert np.isfinite(report["epochs"][-1]["loss"])


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("recipe", "convolutions"), [("vgg16-scratch", 13), ("vgg19-scratch", 16)])
def test_a_vgg_is_trained_from_scratch(folders: Path, recipe: str, convolutions: int) -> None:
    """One epoch of a few photos: minutes on two cores."""
    report = experiment(folders, recipe, "--epochs", 1, "--out", "scratch")

    assert report["parameters"]["frozen"] == 0
    assert sum(layer["kind"] == "Conv2D" for layer in report["layers"]) == convolutions
    assert np.isfinite(report["epochs"][0]["loss"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--recipe vgg17 --experiment photos", "alexnet-scratch, vgg16-finetune"),
        ("--recipe vgg16-transfer --experiment photos/green", "At least two folders with photos"),
        ("--recipe vgg16-transfer --experiment photos --out missing/out", "cannot be made: No such file or directory"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(folders: Path, arguments: str, says: str) -> None:
    """And leaves nothing behind."""
    before = sorted(folders.parent.iterdir())

    result = phototag("train", *arguments.split(), cwd=folders.parent)

    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(folders.parent.iterdir()) == before
