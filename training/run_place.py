"""What a run works with."""

from dataclasses import dataclass
from pathlib import Path

from db.blobs import Blobs
from db.session import Database
from worker.settings import WorkerSettings


@dataclass(frozen=True)
class RunPlace:
    """Where a run reads and writes.

    Attributes:
        data_dir: artifacts lie below it.
        settings: of decoding and of the network.
    """

    database: Database
    blobs: Blobs
    data_dir: Path
    settings: WorkerSettings
