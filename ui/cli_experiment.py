"""`phototag train --experiment`: trains on class folders outside the library, and leaves a report."""

import json
from datetime import date
from pathlib import Path
from typing import Any, cast

import click

from db.errors import PhototagError
from ui.cli import EXIT_SOME_NOT_TAGGED
from ui.cli_setup import print_json, read_settings, stopping_cleanly
from ui.embedded import run_shown
from ui.programs import program, program_environment


def run_experiment(
    folder: Path,
    recipe: str | None,
    *,
    epochs: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    as_json: bool = False,
    data_dir: Path | None = None,
) -> int:
    """Runs the training program to its end, shows its figures and returns the exit code: 3 if photos were left out.

    Args:
        folder: holds a folder for each label, or train, validation and test with those.
        recipe: its name, or the path of a .toml file.
        epochs: instead of the recipe's.
        out: for the report; must not exist. By default experiment-NAME-DATE in the current folder.
        data_dir: where fetched weights lie; it need not exist.

    Raises:
        UsageError: no recipe is named.
        PhototagError: it failed; the program has said why.
    """
    if recipe is None:
        msg = "an experiment needs a recipe: --recipe vgg16-transfer, or another one of docs/training.md"
        raise click.UsageError(msg)
    settings = read_settings(data_dir)
    out = default_out(recipe) if out is None else out
    command = program("training.experiment", recipe, str(folder), "--out", str(out), "--seed", str(seed))
    command += ["--epochs", str(epochs)] if epochs is not None else []
    environment = program_environment(PHOTOTAG_DATA_DIR=str(settings.data.data_dir))
    with stopping_cleanly():
        run_shown(command, environment)
    report = cast("dict[str, Any]", json.loads((out / "report.json").read_text(encoding="utf-8")))
    if as_json:
        print_json(report | {"out": str(out)})
    else:
        for line in summary_lines(report):
            click.echo(line)
    return EXIT_SOME_NOT_TAGGED if report["left_out"] else 0


def default_out(recipe: str) -> Path:
    """`experiment-NAME-DATE` in the current folder, with a number behind it where that exists.

    Raises:
        PhototagError: so many exist already that it must be a mistake.
    """
    stem = f"experiment-{Path(recipe).stem}-{date.today().isoformat()}"  # noqa: DTZ011 - the person's own day
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    free = next((Path(name) for name in names if not Path(name).exists()), None)
    if free is None:
        msg = f"A folder for the report was expected with --out. Received: none, and {stem} and 998 more exist."
        raise PhototagError(msg)
    return free


def summary_lines(report: dict[str, Any]) -> list[str]:
    """What the experiment found, in a few lines."""
    lines: list[str] = []
    for part in ("validation", "test"):
        found = report[part]
        if found and found["photos"]:
            lines.append(f"{part}: top-1 {found['top1']:.1%}, top-5 {found['top5']:.1%} of {found['photos']:,} photos")
    if report["left_out"]:
        lines.append(f"{len(report['left_out']):,} files could not be decoded and were left out; the report lists them")
    return lines
