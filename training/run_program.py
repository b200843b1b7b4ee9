"""The process of one training run: `python -m training.run_program --run 3 --attempt 1 --owner NAME`."""

import argparse
import logging
import os
import sys
import threading
import time
from pathlib import Path

from db.blobs import open_blobs
from db.errors import DatabaseUnavailableError, PhototagError, RunLostError
from db.session import Database
from db.settings import DataSettings
from db.training_runs import ClaimedRun, fail_run, held_run
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Does the run, or says in its row why it cannot be done. Returns 0, or 1 if even that was not possible."""
    parser = argparse.ArgumentParser(prog="python -m training.run_program", description="Does one training run.")
    parser.add_argument("--run", type=int, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _end_with(os.getppid())
    data_settings = DataSettings(data_dir=options.data_dir)
    database = Database(data_settings.resolved_database_url)
    with database.reading() as session:
        run = held_run(session, options.run, options.attempt, options.owner)
    if run is not None:
        _do(database, data_settings, run)
    return 0


def _do(database: Database, data_settings: DataSettings, run: ClaimedRun) -> None:
    try:
        log.info("Run %d has made %s.", run.id, _train(database, data_settings, run))
    except RunLostError as error:
        log.info("%s", error)
    except DatabaseUnavailableError:
        raise
    except PhototagError as error:
        _fail(database, run, str(error))
    except Exception as error:
        log.exception("Run %d failed.", run.id)
        _fail(database, run, f"Something unexpected happened; the log of the training worker has more. {error!r:.300}")


def _train(database: Database, data_settings: DataSettings, run: ClaimedRun) -> str:
    from training.run import train  # noqa: PLC0415 - scikit-learn: a run that is lost by now does without
    from training.run_place import RunPlace  # noqa: PLC0415 - as above

    place = RunPlace(database, open_blobs(data_settings), data_settings.data_dir.resolve(), WorkerSettings())
    return train(place, run)


def _fail(database: Database, run: ClaimedRun, reason: str) -> None:
    log.error("Run %d failed: %s", run.id, reason)
    try:
        with database.transaction() as session:
            fail_run(session, run, reason)
    except RunLostError as error:
        log.info("%s", error)


def _end_with(parent: int) -> None:
    """Ends this process when the worker that started it has ended: the run is begun anew by the next one."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
