"""Recipes: how a head is trained. One TOML file each in `recipes/`, every value with its reason beside it."""

import math
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from db.errors import NotFoundError

RECIPES_DIR = Path(__file__).with_name("recipes")
DEFAULT = "default"

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Tuning(BaseModel):
    """How block 5 of VGG16 is trained, before a head is fitted on what it then makes of photos.

    Attributes:
        epochs: at most so many times through the photos.
        patience: epochs without a smaller loss on held-out photos after which it ends.
        batch_size: photos in a step.
        learning_rate: of Adam.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1, le=1000)]
    patience: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    learning_rate: Positive


class Recipe(BaseModel):
    """How a head is trained from features that are there, or from those of a network that is trained first.

    Attributes:
        name: of the file, without its ending.
        title: one line for people.
        head: `gap` reads the mean of each channel, `flatten` every value.
        unit_length: whether what the head reads of a photo is divided by its length first.
        method: `discriminant` and `lbfgs` (logistic regression) go from a strong to a weak `strength` and take the best;
            `adam` goes through the photos in batches, with dropout and weight decay.
        strengths: each weaker than the one before. For discriminant the share of the covariance within labels that is
            replaced by one variance for all directions, at most 1; for lbfgs the L2 penalty per photo on standardised
            inputs.
        weight_decay: for adam, the share of each weight that a step takes off, times the learning rate.
        dropout: for adam, the share of inputs that is left out of each step.
        epochs: for adam, at most so many times through all photos.
        patience: epochs, or strengths, without a smaller loss on held-out photos after which it ends.
        batch_size: for adam, photos in a step.
        learning_rate: for adam.
        class_weights: whether every label counts the same, however many photos it has.
        augmented: changed variants of each photo that are trained on beside it; 0 is none.
        folds: groups of photos that are held out in turn, for early stopping, temperature and threshold.
        seed: of folds, order, initial weights and dropout.
        wanted_accuracy: how often a label that is shown as sure should be right.
        tuning: how block 5 is trained before; None: the network stays as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    head: Literal["gap", "flatten"]
    unit_length: bool = False
    method: Literal["discriminant", "lbfgs", "adam"]
    strengths: Annotated[tuple[Positive, ...], Field(max_length=100)] = ()
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 1
    patience: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    learning_rate: Positive = 1e-3
    class_weights: bool
    augmented: Annotated[int, Field(ge=0, le=32)] = 0
    folds: Annotated[int, Field(ge=2, le=20)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    wanted_accuracy: Annotated[float, Field(gt=0.0, lt=1.0)]
    tuning: Tuning | None = None

    @model_validator(mode="after")
    def _strengths_get_weaker(self) -> Self:
        most = 1.0 if self.method == "discriminant" else math.inf
        pairs = zip((math.inf, *self.strengths), self.strengths, strict=False)
        wrong = any(first <= then or then > most for first, then in pairs)
        if wrong or (self.method != "adam" and not self.strengths):
            msg = f"{self.method} needs strengths, each smaller than the one before. Received: {list(self.strengths)}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _parts_go_together(self) -> Self:
        if self.method == "discriminant" and self.head != "gap":
            msg = "discriminant needs the covariance of all inputs: `head` must be gap, which has few"
            raise ValueError(msg)
        if self.tuning is not None and self.unit_length:
            msg = "`tuning` trains block 5 through a head that reads values as they are: leave `unit_length` out"
            raise ValueError(msg)
        return self

    @property
    def steps(self) -> int:
        """Epochs at most."""
        return self.epochs if self.method == "adam" else len(self.strengths)


def recipe_names() -> list[str]:
    """The recipes there are, in alphabetical order."""
    return sorted(path.stem for path in RECIPES_DIR.glob("*.toml"))


def load_recipe(name: str = DEFAULT) -> Recipe:
    """The recipe of this name.

    Raises:
        NotFoundError: there is none; the message names those there are.
    """
    if name not in recipe_names():
        msg = f"There is no such recipe; take one of: {', '.join(recipe_names())}. Received: {name!r}"
        raise NotFoundError(msg)
    values = tomllib.loads((RECIPES_DIR / f"{name}.toml").read_text(encoding="utf-8"))
    return Recipe.model_validate({"name": name, **values})
