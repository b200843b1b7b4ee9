"""Checks an installation from top to bottom; each finding is fine or says what to do."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from db.blobs import RESERVED_BYTES, open_blobs
from db.errors import PhototagError, SchemaMismatchError
from db.items import open_item_count
from db.migrate import current_revision, head_revision, require_current
from db.model_versions import active_version
from db.session import Database
from db.workers import live_workers
from ui.broker import server_binary
from ui.cli_setup import Settings
from ui.programs import program, program_environment
from ui.services_file import running_services
from worker.queue import make_app, ping

FEATURE_BYTES = 50_000  # per photo: float16 (7, 7, 512)
DEVICE_TIMEOUT_S = 120.0
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        about: what was checked.
        verdict: `problem`: phototag does not work until it is repaired; `note`: it does, and could do better.
        text: what is there, and what to do about it.
    """

    about: str
    verdict: Verdict
    text: str


def examine_installation(settings: Settings) -> Iterator[Finding]:
    """Runs every check; the slow one (TensorFlow) yields when it is done. Nothing is created but for a moment."""
    yield _python()
    yield from _device(settings)
    yield from _guarded("database", lambda: _database(settings))
    yield _guarded_one("broker", lambda: _broker(settings))
    yield _guarded_one("blob store", lambda: _blob_store(settings))
    yield _disk(settings.data.data_dir)
    yield from _guarded("services", lambda: _services(settings))


def _guarded(about: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (PhototagError, OSError) as error:
        yield Finding(about, "problem", str(error))


def _guarded_one(about: str, check: Callable[[], Finding]) -> Finding:
    return next(_guarded(about, lambda: iter([check()])))


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return Finding("Python", "ok", version)
    expected = f"{'.'.join(map(str, OLDEST_PYTHON))} to {'.'.join(map(str, NEWEST_PYTHON))}"
    return Finding("Python", "problem", f"{version} is not tested; install phototag with Python {expected}.")


def _device(settings: Settings) -> Iterator[Finding]:
    if settings.worker.backbone == "tiny":
        yield Finding("TensorFlow", "ok", "not needed: PHOTOTAG_BACKBONE is tiny")
        return
    try:
        answer = subprocess.run(
            program("worker.device"),
            env=program_environment(),
            capture_output=True,
            text=True,
            timeout=DEVICE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Finding(
            "TensorFlow", "problem", f"did not start within {DEVICE_TIMEOUT_S:.0f} s; a hanging GPU driver does that."
        )
        return
    if answer.returncode != 0:
        yield Finding("TensorFlow", "problem", _why_no_tensorflow(answer.stderr))
        return
    facts: dict[str, Any] = json.loads(answer.stdout)
    yield Finding("TensorFlow", "ok", f"{facts['tensorflow']}, Keras {facts['keras']}, NumPy {facts['numpy']}")
    yield _gpu(facts)


def _why_no_tensorflow(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    last = lines[-1] if lines else "it ended without a word"
    if "No module named" in last:
        return f"not installed, so nothing can be tagged here: pip install 'phototag[worker]'. ({last})"
    return f"does not start: {last[:300]} Install it again: pip install --force-reinstall 'phototag[worker]'."


def _gpu(facts: dict[str, Any]) -> Finding:
    if facts["gpu"]:
        return Finding("device", "ok", f"{facts['device']}, {facts['precision']}")
    return Finding(
        "device", "ok", f"{facts['device']}; a GPU would be used if TensorFlow found one (phototag[worker-gpu])"
    )


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.data.database_url is None and not (settings.data.data_dir / "phototag.sqlite3").exists():
        yield Finding(
            "database", "ok", f"none yet in {settings.data.data_dir}; the first `phototag up` or `tag` makes it"
        )
        return
    database = Database(settings.data.resolved_database_url)
    try:
        kind = "SQLite" if database.is_sqlite else "PostgreSQL"
        try:
            require_current(database)
        except SchemaMismatchError as error:
            yield Finding("database", "problem", str(error))
            return
        yield Finding("database", "ok", f"{kind}, revision {current_revision(database)} of {head_revision()}")
        yield _model_version(database, settings)
    finally:
        database.close()


def _model_version(database: Database, settings: Settings) -> Finding:
    with database.reading() as session:
        version = active_version(session)
    if version is None:
        return Finding("model version", "note", "none yet; `phototag up` and `phototag tag` bring the first one")
    notice = str(version.card.get("notice") or "")
    weights = settings.worker.backbone_weights
    if weights is not None and not weights.is_file():
        return Finding("model version", "problem", f"PHOTOTAG_BACKBONE_WEIGHTS names {weights}, which is not a file.")
    if version.artifact == "package:imagenet" and not _has_imagenet_weights(settings.data.data_dir):
        return Finding(
            "model version", "problem", f"{version.name} lacks its weights: `phototag models fetch imagenet`."
        )
    return Finding("model version", "note" if notice else "ok", f"{version.name}. {notice}".strip())


def _has_imagenet_weights(data_dir: Path) -> bool:
    return any((data_dir / "weights").glob("*.h5"))


def _broker(settings: Settings) -> Finding:
    if settings.worker.redis_url is not None:
        ping(make_app(settings.worker.redis_url))
        return Finding("broker", "ok", "the one of PHOTOTAG_REDIS_URL answers")
    running = running_services(settings.data.data_dir)
    if running is not None and running.ready:
        ping(make_app(running.redis_url))
        return Finding("broker", "ok", "the embedded one answers")
    return Finding("broker", "ok", f"not running; services start {Path(server_binary()).name}")


def _blob_store(settings: Settings) -> Finding:
    if settings.data.blobs_url is None:
        return _local_folder(settings.data.data_dir)
    blobs, key, data = open_blobs(settings.data), f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(1000)
    blobs.write_object(key, data)
    try:
        read = blobs.read_object(key)
    finally:
        blobs.delete_object(key)
    if read != data:
        return Finding("blob store", "problem", "gave back other bytes than were written. Check PHOTOTAG_BLOBS_URL.")
    return Finding("blob store", "ok", "written to and read from PHOTOTAG_BLOBS_URL")


def _local_folder(data_dir: Path) -> Finding:
    if not data_dir.exists():
        parent = _existing(data_dir)
        if os.access(parent, os.W_OK | os.X_OK):
            return Finding("blob store", "ok", f"{data_dir} does not exist yet and can be made")
        return Finding(
            "blob store", "problem", f"{data_dir} cannot be made in {parent}. Choose another folder with --data-dir."
        )
    probe = data_dir / f".doctor-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(b"phototag")
        probe.unlink()
    except OSError as error:
        text = f"{data_dir} cannot be written to: {error.strerror}. Check its permissions and the space on its disk."
        return Finding("blob store", "problem", text)
    return Finding("blob store", "ok", f"{data_dir} can be written to")


def _disk(data_dir: Path) -> Finding:
    free = shutil.disk_usage(_existing(data_dir)).free
    room = max(0, free - RESERVED_BYTES) // FEATURE_BYTES
    text = f"{free / 1e9:,.1f} GB free: room for the features of {room:,} photos at {FEATURE_BYTES // 1000} KB each"
    if free < RESERVED_BYTES:
        return Finding(
            "disk", "problem", f"{text}. Nothing is accepted below {RESERVED_BYTES / 1e9:.1f} GB; free some space."
        )
    return Finding("disk", "ok", text)


def _services(settings: Settings) -> Iterator[Finding]:
    data = settings.data
    running = running_services(data.data_dir)
    if running is not None:
        where = f" with the pages at {running.address}" if running.address else ""
        yield Finding("services", "ok", f"run in `phototag {running.command}` (process {running.pid}){where}")
    if data.database_url is None and not (data.data_dir / "phototag.sqlite3").exists():
        return
    database = Database(data.resolved_database_url)
    try:
        with database.reading() as session:
            workers = [(worker.queues, worker.device, worker.note) for worker in live_workers(session)]
            waiting = open_item_count(session)
    finally:
        database.close()
    if not workers:
        todo = f"{waiting:,} photos wait: run `phototag up`" if waiting else "nothing waits"
        yield Finding("workers", "note" if waiting else "ok", f"none at work; {todo}")
    for queues, device, note in workers:
        yield Finding("workers", "note" if note else "ok", f"{queues} on {device}{f': {note}' if note else ''}")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next((place for place in (path, *path.parents) if place.exists()), Path("/"))
