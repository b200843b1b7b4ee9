"""The worker program: `python -m worker --queues tagging,intake`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from db.errors import PhototagError
from db.settings import DataSettings
from worker.process import WorkerProcess
from worker.queue import QUEUES
from worker.settings import WorkerSettings


def main(arguments: list[str] | None = None) -> int:
    """Runs a worker until it is asked to stop. Returns 0, or 1 with one line on standard error."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # One line per message and turn says nothing a person needs; the pages show what goes on.
    for name in ("celery.app.trace", "celery.worker.strategy", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        data_settings = DataSettings(data_dir=options.data_dir) if options.data_dir else DataSettings()
        WorkerProcess(data_settings, WorkerSettings(), options.queues).run()
    except (PhototagError, ValidationError) as error:
        print(f"phototag worker: {error}", file=sys.stderr)  # noqa: T201 - the program's one line of complaint
        return 1
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="phototag worker", description="Tags photos and unpacks archives.")
    parser.add_argument("--queues", type=_queues, default=QUEUES, help="comma separated: %(default)s")
    parser.add_argument("--data-dir", type=Path, help="folder for everything phototag keeps on this machine")
    return parser.parse_args(arguments)


def _queues(text: str) -> tuple[str, ...]:
    queues = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in queues if name not in QUEUES]
    if unknown or not queues:
        msg = f"expected some of {', '.join(QUEUES)}. Received: {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return queues


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
