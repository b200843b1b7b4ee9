"""Recipes of experiments: ours are whole and say their reasons; a person's own say what is wrong with them."""

from pathlib import Path

import pytest

from db.errors import PhototagError
from training.experiment_recipe import FOLDER, read_recipe, recipe_names

ISSUED = [
    "alexnet-scratch",
    "vgg16-finetune",
    "vgg16-scratch",
    "vgg16-transfer",
    "vgg16-transfer-augmented",
    "vgg16-transfer-caffe",
    "vgg19-scratch",
    "vgg19-transfer",
]


def test_the_lectures_experiments_are_there() -> None:
    """By name, and all of them can be read."""
    assert recipe_names() == ISSUED
    recipes = {name: read_recipe(name) for name in ISSUED}

    assert {name for name, recipe in recipes.items() if recipe.augmentation.use} == {"vgg16-transfer-augmented"}
    assert all(name.startswith(recipe.architecture) for name, recipe in recipes.items())
    assert {recipe.trains for name, recipe in recipes.items() if name.endswith("scratch")} == {"all"}


@pytest.mark.parametrize("name", ISSUED)
def test_every_value_of_a_recipe_has_its_reason(name: str) -> None:
    """In a comment above it; the description is one itself."""
    lines = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    without = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if "=" in line and not line.startswith(("#", "description")) and not above.startswith("#")
    ]

    assert without == []


def test_a_recipe_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    """Its weights lie beside it."""
    text = (FOLDER / "vgg19-transfer.toml").read_text(encoding="utf-8")
    text = text.replace("[augmentation]", 'weights_file = "mine.h5"\n[augmentation]')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")

    assert read_recipe(str(tmp_path / "mine.toml")).weights_file == tmp_path / "mine.h5"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("epochs = 5", "epochs = 0", "epochs: Input should be greater"),
        ("epochs = 5", "epoch = 5", "epoch: Extra inputs"),
        ("epochs = 5", "epochs = ", "cannot be read"),
        ('"vgg16"', '"alexnet"', "set trains to all"),
        ('trains = "head"', 'trains = "all"\nweights_file = "a.h5"', "takes no weights"),
        ("head_epochs = 0", "head_epochs = 2", "trains = block5"),
        ("head_epochs = 0", "head_epochs = 5", "fewer than epochs"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    """The message leads to the line."""
    name = "vgg16-finetune" if "fewer" in says else "vgg16-transfer"
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    if name == "vgg16-finetune":
        before, after = "head_epochs = 5", "head_epochs = 10"
    assert before in text
    (tmp_path / "mine.toml").write_text(text.replace(before, after, 1), encoding="utf-8")

    with pytest.raises(PhototagError, match=says):
        read_recipe(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("name", ["vgg17", "../vgg16-transfer", "missing.toml", ""])
def test_an_unknown_recipe_is_an_error_that_names_the_known(name: str) -> None:
    """Names are no paths."""
    with pytest.raises(PhototagError, match="vgg16-transfer"):
        read_recipe(name)
