"""What the small programs of the worker share: settings from options, errors as one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import click
from pydantic import ValidationError

from db.errors import PhototagError
from db.settings import DataSettings


def run_program(action: Callable[[], None]) -> None:
    """Runs `action`; an error a person can act on becomes one line on standard error and exit code 1."""
    try:
        action()
    except (PhototagError, ValidationError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


def data_settings_of(data_dir: Path | None) -> DataSettings:
    """The settings of the environment, with --data-dir before PHOTOTAG_DATA_DIR."""
    return DataSettings(data_dir=data_dir) if data_dir is not None else DataSettings()
