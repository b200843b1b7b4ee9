"""Fetches the ImageNet weights and uses them. `python -m worker.fetch imagenet [--from FILE]`"""

from pathlib import Path

import click

from db.errors import SchemaMismatchError
from db.migrate import require_current
from db.session import Database
from db.settings import DataSettings
from worker.download import IMAGENET, WeightsFile, adopt, fetch
from worker.first_version import say, use_imagenet
from worker.program import data_settings_of, run_program
from worker.progress import shown_progress
from worker.settings import WorkerSettings

FILES = {"imagenet": IMAGENET}


@click.command()
@click.argument("name", type=click.Choice(list(FILES)))
@click.option("--from", "source", type=click.Path(path_type=Path), help="Use this file, fetched elsewhere.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for everything phototag keeps.")
def main(name: str, source: Path | None, data_dir: Path | None) -> None:
    """Fetches the weights of version NAME, goes on where an earlier call stopped, and activates it."""
    run_program(lambda: _fetch(FILES[name], source, data_settings_of(data_dir)))


def _fetch(file: WeightsFile, source: Path | None, data_settings: DataSettings) -> None:
    settings = WorkerSettings()
    with shown_progress("ImageNet weights") as progress:
        if source is not None:
            path = adopt(file, source, data_settings.data_dir, progress)
        else:
            path = fetch(file, settings.weights_url, data_settings.data_dir, progress)
    click.echo(f"{path}: complete, its hash is right.")
    database = Database(data_settings.resolved_database_url)
    try:
        require_current(database)
    except SchemaMismatchError:
        click.echo("`phototag up` will use it.")  # no database yet, or one that `up` migrates first
    else:
        say(use_imagenet(database, settings, data_settings))
    finally:
        database.close()


if __name__ == "__main__":
    main()
