"""Serves the pages: the port, the one server per data directory, and the link that logs in."""

import datetime as dt
import errno
import json
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import uvicorn
from filelock import FileLock, Timeout

from db.errors import DataDirectoryInUseError, SettingsError
from db.logins import new_login_link
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from ui.settings import UiSettings
from worker.settings import WorkerSettings

# Open event streams end with the pages; the rest of the 10 s belongs to the workers.
GRACE_S = 2
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what a person typed, not what we bind to


@contextmanager
def listening(ui: UiSettings, data_dir: Path) -> Generator[socket.socket]:
    """A socket on the wanted address, before anything else is started.

    Raises:
        DataDirectoryInUseError: the pages of this data directory are served there already.
        SettingsError: the port is taken by something else, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(ui.host, ui.port, type=socket.SOCK_STREAM)[0]
        server = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(_why_not(ui, error)) from error
    with server:
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
            server.listen(2048)
        except OSError as error:
            _refuse_if_served(data_dir)
            raise SettingsError(_why_not(ui, error)) from error
        yield server


def address_of(server: socket.socket, ui: UiSettings) -> str:
    """The address of the pages as a person opens it."""
    return _address(ui, server.getsockname()[1])


def usual_address(ui: UiSettings) -> str:
    """Where the pages are served by the settings."""
    return _address(ui, ui.port)


@contextmanager
def only_server(data_dir: Path, command: str, address: str) -> Generator[None]:
    """One server of pages per data directory; others find its address.

    Raises:
        DataDirectoryInUseError: there is one already.
    """
    try:
        lock = _lock(data_dir).acquire(timeout=0)
    except Timeout:
        _refuse_if_served(data_dir)
        raise
    with lock:
        path = data_dir / "pages.json"
        path.write_text(json.dumps({"pid": os.getpid(), "command": command, "address": address}) + "\n")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def address_served(data_dir: Path) -> str | None:
    """Where the pages of this data directory are served right now, None if they are not."""
    if not (data_dir / "pages.json").exists():
        return None
    try:
        with _lock(data_dir).acquire(timeout=0):
            return None
    except Timeout:
        with suppress(OSError, ValueError, KeyError):
            return str(json.loads((data_dir / "pages.json").read_text())["address"])
        return "(starting)"


def login_link(database: Database, ui: UiSettings, address: str | None = None) -> str:
    """A link that logs the local admin in once; the login page, if that account is disabled.

    Args:
        database: where the accounts are.
        ui: how the pages are served.
        address: where they are, if that is known.
    """
    with database.transaction() as session:
        admin = local_admin(session)
        if admin.disabled_at is not None:
            return link_to(ui, address)
        token = new_login_link(session, admin.id, dt.timedelta(seconds=ui.login_link_valid_s))
    return link_to(ui, address, token)


def link_to(ui: UiSettings, address: str | None, token: str | None = None) -> str:
    """The address of the login page, which lets in whoever holds the token of a link."""
    return f"{address or _address(ui, ui.port)}login{f'?token={token}' if token else ''}"


def serve(
    server: socket.socket,
    data: DataSettings,
    worker: WorkerSettings,
    ui: UiSettings,
    *,
    before_serving: Callable[[], None],
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serves the pages until SIGINT or SIGTERM; both end in KeyboardInterrupt.

    Args:
        server: from `listening`.
        data: where the data lies.
        worker: the broker's address and the limits.
        ui: how the pages are served.
        before_serving: called when the pages are made, which takes seconds; may raise.
        on_stop: called as soon as the signal comes, while the pages still close.
    """
    from ui.web import make_web_app  # noqa: PLC0415 - Gradio takes seconds; the workers are already loading meanwhile

    config = uvicorn.Config(
        make_web_app(data, worker, ui),
        log_level="warning",
        timeout_graceful_shutdown=GRACE_S,
        # Who asks is told by the proxy in front only if a person said that there is one.
        proxy_headers=ui.https,
        server_header=False,
    )
    before_serving()
    _Server(config, on_stop).run(sockets=[server])
    raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """Says when it is asked to stop."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)


def _address(ui: UiSettings, port: int) -> str:
    if ui.https and ui.allowed_hosts:
        return f"https://{ui.allowed_hosts[0]}/"
    host = WILDCARDS.get(ui.host, f"[{ui.host}]" if ":" in ui.host else ui.host)
    return f"http://{host}:{port}/"


def _lock(data_dir: Path) -> FileLock:
    return FileLock(data_dir / "pages.lock", thread_local=False)


def _refuse_if_served(data_dir: Path) -> None:
    address = address_served(data_dir)
    if address is None:
        return
    msg = (
        f"phototag already serves the data in {data_dir} at {address}. Open it there (`phototag web --login-link` prints "
        "a link), or choose another folder with --data-dir and another --port."
    )
    raise DataDirectoryInUseError(msg)


def _why_not(ui: UiSettings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {ui.port} on {ui.host} is taken by another program. Choose another one with --port; 0 takes a free one."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {ui.port} is reserved on this machine. Choose one above 1023 with --port."
    return f"The pages cannot be served on {ui.host}: {error.strerror}. Give an address of this machine with --host."
