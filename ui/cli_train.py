"""`phototag train`: trains a network by a recipe."""

from pathlib import Path

import click

from ui.cli_experiment import run_experiment
from ui.cli_setup import data_dir_option, json_option


@click.command()
@click.option("--recipe", metavar="NAME", help="How it is trained: a recipe's name, or a .toml file of your own.")
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
def train(
    *,
    recipe: str | None,
    experiment: Path | None,
    epochs: int | None,
    out: Path | None,
    seed: int,
    as_json: bool,
    data_dir: Path | None,
) -> int:
    """Trains a network on class folders outside the library, and reports how well it does."""
    if experiment is None:
        msg = "name the class folders to train on: --experiment DIR"
        raise click.UsageError(msg)
    return run_experiment(experiment, recipe, epochs=epochs, out=out, seed=seed, as_json=as_json, data_dir=data_dir)
