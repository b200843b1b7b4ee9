"""The training worker: `python -m training`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from db.errors import PhototagError
from db.settings import DataSettings
from training.process import TrainingProcess
from training.settings import TrainingSettings

# Tagging and the pages go first where all cores are busy.
NICENESS = 10


def main(arguments: list[str] | None = None) -> int:
    """Runs a training worker until it is asked to stop. Returns 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="phototag worker --queues training", description="Trains, and finds labels that look wrong."
    )
    parser.add_argument("--data-dir", type=Path, help="folder for everything phototag keeps on this machine")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.nice(NICENESS)
    try:
        data_settings = DataSettings(data_dir=options.data_dir) if options.data_dir else DataSettings()
        TrainingProcess(data_settings, TrainingSettings()).run()
    except (PhototagError, ValidationError) as error:
        print(f"phototag worker: {error}", file=sys.stderr)  # noqa: T201 - the program's one line of complaint
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
