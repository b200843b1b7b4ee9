"""Recipes: every file is one, and says why."""

import pytest
from pydantic import ValidationError

from db.errors import NotFoundError
from training.recipe import RECIPES_DIR, Recipe, load_recipe, recipe_names


def test_every_recipe_can_be_loaded() -> None:
    """And the one that is taken when nobody names any is among them."""
    assert [load_recipe(name).name for name in recipe_names()] == recipe_names()
    assert {"default", "gap", "flatten", "gap-adam", "gap-augmented"} <= set(recipe_names())


def test_every_value_has_its_reason() -> None:
    """A line of a recipe without a comment above it is a number that nobody can judge."""
    for path in RECIPES_DIR.glob("*.toml"):
        lines = path.read_text(encoding="utf-8").splitlines()
        values = [number for number, line in enumerate(lines) if " = " in line and not line.startswith(("#", "title"))]
        without = [lines[number] for number in values if not lines[number - 1].startswith("#")]
        assert without == [], path.name


def test_a_name_that_is_no_recipe_is_answered_with_those_that_are() -> None:
    """Also one that names a file elsewhere."""
    with pytest.raises(NotFoundError, match="default, flatten, gap"):
        load_recipe("nonsense")
    with pytest.raises(NotFoundError):
        load_recipe("../recipes/gap")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("gap", {"strengths": [1e-3, 1e-2]}),
        ("gap", {"strengths": []}),
        ("gap", {"dropuot": 0.5}),
        ("gap", {"folds": 1}),
        ("default", {"strengths": []}),
        ("default", {"strengths": [1.5, 0.5]}),
        ("default", {"head": "flatten"}),
        ("vgg16-finetune", {"unit_length": True}),
    ],
)
def test_a_recipe_with_a_mistake_is_refused(name: str, change: dict[str, object]) -> None:
    """Strengths that get stronger, none at all, more than all; a misspelt name, nothing to hold out, parts that clash."""
    with pytest.raises(ValidationError):
        Recipe.model_validate(load_recipe(name).model_dump() | change)
