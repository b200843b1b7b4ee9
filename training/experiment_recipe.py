"""What an experiment trains and how: a TOML file, ours by its name or a person's own by its path."""

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from db.errors import PhototagError

FOLDER = Path(__file__).parent / "recipes" / "experiments"


class Augmentation(BaseModel):
    """Changes that are drawn anew for each photo in each epoch. Shift and zoom as a share of the side, in [0, 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: bool
    flip: bool
    shift: float = Field(ge=0.0, lt=1.0)
    zoom: float = Field(ge=0.0, lt=1.0)


class ExperimentRecipe(BaseModel):
    """One way to train on class folders.

    Attributes:
        trains: all weights from drawn ones; the head alone; or the head and block 5 of the convolutions.
        scaling: [0, 1] as in the lecture, or BGR without the mean colour as VGG was trained.
        epochs: in all, those of `head_epochs` among them.
        head_epochs: of block5, first epochs in which the head is trained alone, at `head_learning_rate`.
        unit_features: whether what the head reads is divided by its root mean square on training photos.
        chunk: photos in one step.
        weights_file: of the convolutions, a Keras .h5 of the architecture; relative to the recipe's folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    architecture: Literal["alexnet", "vgg16", "vgg19"]
    trains: Literal["all", "head", "block5"]
    scaling: Literal["rescaled", "caffe"]
    epochs: int = Field(ge=1, le=10_000)
    head_epochs: int = Field(default=0, ge=0)
    unit_features: bool = False
    chunk: int = Field(ge=1, le=1024)
    learning_rate: float = Field(gt=0.0, le=1.0)
    head_learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    weights_file: Path | None = None
    augmentation: Augmentation

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.architecture == "alexnet" and self.trains != "all":
            msg = "AlexNet has no pretrained base here: set trains to all"
            raise ValueError(msg)
        if self.trains == "all" and self.weights_file is not None:
            msg = "a network that is trained from scratch takes no weights: leave weights_file out"
            raise ValueError(msg)
        if self.trains == "all" and self.unit_features:
            msg = "unit_features is for features of frozen convolutions: leave it out"
            raise ValueError(msg)
        if self.head_epochs and self.trains != "block5":
            msg = "head_epochs is for trains = block5"
            raise ValueError(msg)
        if self.head_epochs >= self.epochs:
            msg = "head_epochs must be fewer than epochs, which counts them too"
            raise ValueError(msg)
        return self


def recipe_names() -> list[str]:
    """The recipes that come with phototag."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_recipe(name: str) -> ExperimentRecipe:
    """The recipe of that name, or in that file if `name` ends with .toml.

    Raises:
        PhototagError: there is none, or its values are wrong.
    """
    is_file = name.endswith(".toml")
    if not is_file and name not in recipe_names():
        msg = f"An experiment's recipe was expected: {', '.join(recipe_names())}, or a .toml file. Received: {name}"
        raise PhototagError(msg)
    path = Path(name) if is_file else FOLDER / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe = ExperimentRecipe.model_validate(values)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = (
            f"The recipe {path} cannot be read: {error}. Correct the file, or name one of {', '.join(recipe_names())}."
        )
        raise PhototagError(msg) from error
    except ValidationError as error:
        msg = f"The recipe {path} has wrong values: {_in_words(error)}. Correct the file."
        raise PhototagError(msg) from error
    file = recipe.weights_file
    return recipe if file is None else recipe.model_copy(update={"weights_file": path.parent / file.expanduser()})


def _in_words(error: ValidationError) -> str:
    problems = [(".".join(map(str, problem["loc"])), problem["msg"]) for problem in error.errors()]
    return "; ".join(f"{place}: {message}" if place else message for place, message in problems)
