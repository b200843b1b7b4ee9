"""Trains a network on class folders outside the library and reports. `python -m training.experiment RECIPE DIR --out DIR`"""

import shutil
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import click

from db.errors import PhototagError, SettingsError
from training.class_splits import Splits, read_splits
from training.experiment_progress import ExperimentProgress
from training.experiment_recipe import ExperimentRecipe, read_recipe
from worker.program import data_settings_of, run_program
from worker.settings import WorkerSettings

EXIT_INTERRUPTED = 130


@click.command()
@click.argument("recipe")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the report; must not exist.")
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 10), default=0, show_default=True, help="Of every random choice."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for everything phototag keeps.")
def main(recipe: str, folder: Path, out: Path, epochs: int | None, seed: int, data_dir: Path | None) -> None:
    """Trains by RECIPE on the class folders in FOLDER."""
    signal.signal(signal.SIGTERM, _on_signal)
    try:
        run_program(lambda: _run(recipe, folder, out, epochs, seed, data_settings_of(data_dir).data_dir))
    except KeyboardInterrupt:
        click.echo("Stopped; nothing was written.", err=True)
        sys.exit(EXIT_INTERRUPTED)


def _run(name: str, folder: Path, out: Path, epochs: int | None, seed: int, data_dir: Path) -> None:
    require_packages()
    settings = WorkerSettings()
    recipe = read_recipe(name)
    if epochs is not None:
        changes = {"epochs": epochs, "head_epochs": min(recipe.head_epochs, epochs - 1)}
        recipe = recipe.model_copy(update=changes)
    with _folder_for(out) as part, ExperimentProgress() as progress:
        splits = read_splits(folder)
        counts = ", ".join(f"{len(photos.paths):,} {part}" for part, photos in splits.parts.items())
        progress.note(f"{len(splits.labels)} labels; {counts}. {splits.said}")
        report = _experiment(recipe, splits, settings, data_dir, part, seed, progress)
        report = {"recipe": Path(name).stem, "folder": folder.resolve().name} | report
        _write(part, report)
    click.echo(f"{out}: report.md, report.json, curves.png, confusion.png")


def require_packages() -> None:
    """Checks without importing it that what draws the pictures is there.

    Raises:
        SettingsError: it is missing.
    """
    if find_spec("matplotlib") is None:
        msg = "Not installed, so no report can be drawn here: matplotlib. pip install 'phototag[training]'"
        raise SettingsError(msg)


def _experiment(
    recipe: ExperimentRecipe,
    splits: Splits,
    settings: WorkerSettings,
    data_dir: Path,
    folder: Path,
    seed: int,
    progress: ExperimentProgress,
) -> dict[str, Any]:
    from training.experiment_run import run_experiment  # noqa: PLC0415 - TensorFlow: 5 s, after what may be wrong

    return run_experiment(recipe, splits, settings, data_dir, folder, seed=seed, progress=progress)


def _write(folder: Path, report: dict[str, Any]) -> None:
    from training.experiment_plots import draw_confusion, draw_curves  # noqa: PLC0415 - matplotlib: a second
    from training.experiment_report import examined_part, write_report  # noqa: PLC0415 - with it

    write_report(folder, report)
    draw_curves(folder / "curves.png", report["epochs"])
    part = examined_part(report)
    if part is not None:
        draw_confusion(folder / "confusion.png", report[part]["confusion"], report["labels"], f"{part} photos")


@contextmanager
def _folder_for(out: Path) -> Generator[Path]:
    """A folder that becomes `out` when all is written, and is gone otherwise.

    Raises:
        PhototagError: `out` exists, or cannot be made; known before hours of training, not after.
    """
    if out.exists():
        msg = f"A report never overwrites another. Name a folder that does not exist with --out. Received: {out}"
        raise PhototagError(msg)
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    except OSError as error:
        msg = f"The report's folder cannot be made: {error.strerror}. Choose another place with --out. Received: {out}"
        raise PhototagError(msg) from error
    try:
        yield part
        part.chmod(0o755)
        part.rename(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
