"""`phototag train`: trains on what people labelled in the library, or a network on class folders outside it."""

from pathlib import Path
from typing import Literal

import click

from ui.cli_experiment import run_experiment
from ui.cli_library_train import train_library
from ui.cli_setup import data_dir_option, json_option
from ui.recipes import DEFAULT


@click.command()
@click.option(
    "--recipe",
    metavar="NAME",
    help="How it is trained: a recipe's name; for an experiment also a .toml file of your own.",
)
@click.option(
    "--activate",
    type=click.Choice(["auto", "never"]),
    help="auto: the new version tags from now on if it is better.  [default: never]",
)
@click.option("--no-wait", is_flag=True, help="Start the run, print its number and return.")
@click.option(
    "--yes", is_flag=True, help="Accept what a recipe costs that trains a network of its own, without asking."
)
@click.option(
    "--experiment",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Train on the class folders in DIR, outside the library, and write a report.",
)
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Of an experiment, instead of the recipe's.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder for an experiment's report.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 10),
    default=0,
    show_default=True,
    metavar="N",
    help="Of every random choice in an experiment.",
)
@json_option
@data_dir_option
def train(  # noqa: PLR0913 - an option each
    *,
    recipe: str | None,
    activate: Literal["auto", "never"] | None,
    no_wait: bool,
    yes: bool,
    experiment: Path | None,
    epochs: int | None,
    out: Path | None,
    seed: int,
    as_json: bool,
    data_dir: Path | None,
) -> int:
    """Trains a version on the photos that people labelled, and compares it with the active one on held-out photos.

    With --experiment a network on class folders outside the library, with a report of how well it does.
    """
    if experiment is not None:
        if activate is not None or no_wait or yes:
            msg = "--activate, --no-wait and --yes are for the library, and not for an --experiment."
            raise click.UsageError(msg)
        return run_experiment(experiment, recipe, epochs=epochs, out=out, seed=seed, as_json=as_json, data_dir=data_dir)
    if epochs is not None or out is not None or seed:
        msg = "--epochs, --out and --seed are for an --experiment: a recipe of the library has its own."
        raise click.UsageError(msg)
    return train_library(
        recipe=recipe or DEFAULT,
        activate=activate or "never",
        no_wait=no_wait,
        yes=yes,
        as_json=as_json,
        data_dir=data_dir,
    )
