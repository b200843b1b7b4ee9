"""The recipes that a training of the library can be made by. They lie as files beside `training`, which is not imported."""

import tomllib
from typing import Any, NamedTuple

from db.errors import NotFoundError
from ui.programs import PACKAGES_ROOT

RECIPES_DIR = PACKAGES_ROOT / "training" / "recipes"
DEFAULT = "default"


class RecipeChoice(NamedTuple):
    """A recipe that is offered; `title`: one line for people."""

    name: str
    title: str


def list_recipes() -> list[RecipeChoice]:
    """Those there are, the default first, the others in alphabetical order."""
    names = sorted((path.stem for path in RECIPES_DIR.glob("*.toml")), key=lambda name: (name != DEFAULT, name))
    return [RecipeChoice(name, str(_read(name).get("title", name))) for name in names]


def recipe_values(name: str) -> dict[str, Any]:
    """All values of the recipe, with its name: what a run is asked for with.

    Raises:
        NotFoundError: there is none of this name; the message names those there are.
    """
    names = [choice.name for choice in list_recipes()]
    if name not in names:
        msg = f"There is no such recipe; take one of: {', '.join(names)}. Received: {name!r}"
        raise NotFoundError(msg)
    return {"name": name, **_read(name)}


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((RECIPES_DIR / f"{name}.toml").read_text(encoding="utf-8"))
