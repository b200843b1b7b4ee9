"""DATA/services.json: how other commands on the same data directory find the services that run."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from db.settings import DataSettings


@dataclass(frozen=True)
class RunningServices:
    """What whoever holds the lock says of its services.

    Attributes:
        ready: the broker answers, the tables are current and a model version is active.
        command: `up`, `tag`, ... as the person typed it.
        address: of the pages, if it serves them.
    """

    pid: int
    command: str
    redis_url: str
    ready: bool
    address: str | None = None


def services_lock(data_dir: Path) -> FileLock:
    """The lock of the data directory: who holds it runs the services. The kernel lets go of it when its holder dies."""
    # The thread that supervises may take it over, so it must not belong to one thread.
    return FileLock(data_dir / "services.lock", thread_local=False)


def write_services(data_dir: Path, services: RunningServices) -> None:
    """Replaces the file in one step. For the holder of the lock."""
    path = data_dir / "services.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(services)) + "\n")
    partial.chmod(0o600)
    partial.replace(path)


def remove_services(data_dir: Path) -> None:
    """Says that no services run. For the holder of the lock."""
    (data_dir / "services.json").unlink(missing_ok=True)


def written_services(data_dir: Path) -> RunningServices | None:
    """What the file says, whether or not its writer still lives."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return RunningServices(**json.loads((data_dir / "services.json").read_text()))
    return None


def running_services(data_dir: Path) -> RunningServices | None:
    """The services that run on this data directory right now, None when there are none."""
    written = written_services(data_dir)
    if written is None or not _is_alive(written.pid):
        return None
    try:
        with services_lock(data_dir).acquire(timeout=0):
            return None
    except Timeout:
        return written


def redis_url_of(data_settings: DataSettings) -> str | None:
    """The address of the embedded broker that runs on this data directory, None when none does."""
    running = running_services(data_settings.data_dir)
    return running.redis_url if running is not None else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
