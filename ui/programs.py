"""How our other programs are started: this interpreter and our own packages, whatever the current folder holds."""

import os
import sys
from pathlib import Path

from worker.queue import TRAINING

PACKAGES_ROOT = Path(__file__).resolve().parent.parent


def program(module: str, *arguments: str) -> list[str]:
    """The command line of one of our modules, e.g. `program("worker", "--queues", "tagging")`."""
    return [sys.executable, "-m", module, *arguments]


def worker_program(queues: str) -> list[str]:
    """The command line of the worker of these queues, comma separated."""
    return program("training") if queues == TRAINING else program("worker", "--queues", queues)


def program_environment(**changes: str) -> dict[str, str]:
    """The environment for `program`: ours, with `changes`.

    Python would look for modules in the current folder first; a photo folder with a `worker.py` in it must not run.
    """
    inherited = os.environ.get("PYTHONPATH")
    packages = os.pathsep.join([str(PACKAGES_ROOT), *([inherited] if inherited else [])])
    return {**os.environ, "PYTHONPATH": packages, "PYTHONSAFEPATH": "1", **changes}
