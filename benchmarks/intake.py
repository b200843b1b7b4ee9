"""Accepting at size: files a second to the last row, memory of each process, and whether the pages answer meanwhile.

    python benchmarks/intake.py archive [--files 10000] [--kilobytes 100]
    python benchmarks/intake.py folder  [--files 100000] [--kilobytes 2]

`archive` sends one .zip to the web process, which an intake worker unpacks; `folder` is `phototag tag FOLDER`. A tagging
worker with the tiny backbone works meanwhile. Memory counts from idle, with everything loaded: what a run adds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from sqlalchemy import func, select

from db.migrate import upgrade
from db.schema import Archive, Item
from db.session import Database
from db.settings import DataSettings
from db.workers import live_workers
from tests.samples import numbered_photo
from tests.stack import serving

ROOT = Path(__file__).parents[1]
CHUNK_BYTES = 8 * 1024**2
PICTURES = 60
TARGET_FILES_S = 300
FLAT_MB = 100
MAX_ARCHIVE_BYTES = 8 * 1024**3


@dataclass
class Samples:
    """What was seen while files were accepted.

    Attributes:
        idle_mb: resident memory of each process before.
        peak_mb: the most that each had.
        cpu_s: what each had used when it was looked at last: says more than the clock on a busy machine.
        answers_s: how long GET /api/batches took.
        tagged_early: whether a photo was tagged before the last row was there.
    """

    idle_mb: dict[str, float] = field(default_factory=dict[str, float])
    peak_mb: dict[str, float] = field(default_factory=dict[str, float])
    cpu_s: dict[str, float] = field(default_factory=dict[str, float])
    answers_s: list[float] = field(default_factory=list[float])
    tagged_early: bool = False
    took_s: float = 0.0

    @property
    def added_mb(self) -> dict[str, float]:
        """Memory that each process took more than idle."""
        return {name: round(self.peak_mb[name] - idle) for name, idle in self.idle_mb.items() if name in self.peak_mb}


def main() -> None:
    """Measures once and prints one JSON line; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["archive", "folder"])
    parser.add_argument("--files", type=int)
    parser.add_argument("--kilobytes", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="phototag-bench-") as folder:
        measure = measure_archive if options.what == "archive" else measure_folder
        usual = (10_000, 100) if options.what == "archive" else (100_000, 2)
        files, kilobytes = options.files or usual[0], options.kilobytes or usual[1]
        found = measure(Path(folder), files, kilobytes)
    print(json.dumps(report(options.what, files, kilobytes, found)))
    flat = all(added <= FLAT_MB for added in found.added_mb.values())
    sys.exit(0 if flat and files / found.took_s >= TARGET_FILES_S and found.tagged_early else 1)


def measure_archive(folder: Path, files: int, kilobytes: int) -> Samples:
    """One .zip of `files` photos, from its seal to its last row."""
    archive = folder / "photos.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for number in range(files):
            written.writestr(f"album-{number // 100:04}/{number:06}.jpg", padded(number, kilobytes))
    with stack(folder, "tagging", "intake") as (database, web, client, processes):
        watch = Watch(database, client, {"web": web, **processes})
        batch = send(client, archive)
        watch.begin()
        watch.until(lambda: archive_states(database) == {"unpacked"}, files)
        client.post(f"/api/batches/{batch}/cancel")
    return watch.samples


def measure_folder(folder: Path, files: int, kilobytes: int) -> Samples:
    """`phototag tag` of a folder of `files` photos, from its start to the last row."""
    photos = folder / "photos"
    for number in range(files):
        path = photos / f"album-{number // 100:04}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(padded(number, kilobytes))
    with stack(folder, "tagging") as (database, web, client, processes):
        watch = Watch(database, client, {"web": web, **processes})
        command = [sys.executable, "-m", "ui", "tag", "--no-wait", "--data-dir", str(folder / "data"), str(photos)]
        submitter = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        watch.also("submit", submitter.pid)
        watch.until(lambda: submitter.poll() is not None, files)
    return watch.samples


class Watch:
    """Samples memory and answers, twice a second."""

    def __init__(self, database: Database, client: httpx.Client, pids: dict[str, int]) -> None:
        self._database = database
        self._client = client
        self._pids = pids
        self.begin()
        self.samples = Samples(idle_mb={name: memory_mb(pid) for name, pid in pids.items()})

    def also(self, name: str, pid: int) -> None:
        """Watches a process from its start on; what it has when its first rows are there counts as idle."""
        while self._count() == 0:
            time.sleep(0.05)
        self._pids[name] = pid
        self.samples.idle_mb[name] = memory_mb(pid)

    def until(self, condition: Callable[[], bool], rows: int) -> None:
        """Notes the seconds from `begin` until `condition` holds and there are so many rows."""
        while not (condition() and self._count() >= rows):
            self._sample()
            time.sleep(0.2)
        self.samples.took_s = time.perf_counter() - self._began

    def begin(self) -> None:
        """The clock starts."""
        self._began = time.perf_counter()
        self._cpu_before = {name: cpu_s(pid) for name, pid in self._pids.items()}

    def _sample(self) -> None:
        peak = self.samples.peak_mb
        for name, pid in self._pids.items():
            peak[name] = max(peak.get(name, 0.0), memory_mb(pid))
            if used := cpu_s(pid):
                self.samples.cpu_s[name] = used - self._cpu_before.get(name, 0.0)
        began = time.perf_counter()
        self._client.get("/api/batches").raise_for_status()
        self.samples.answers_s.append(time.perf_counter() - began)
        self.samples.tagged_early |= self._count(Item.state == "tagged") > 0

    def _count(self, *conditions: object) -> int:
        query = select(func.count()).select_from(Item).where(*conditions)  # pyright: ignore[reportArgumentType]
        with self._database.reading() as session:
            return session.scalars(query).one()


@contextmanager
def stack(folder: Path, *queues: str) -> Generator[tuple[Database, int, httpx.Client, dict[str, int]]]:
    """Web and one worker a queue, all loaded; yields the database, the web's pid, a client and the workers' pids."""
    data_dir = folder / "data"
    data_dir.mkdir()
    url = DataSettings(data_dir=data_dir, database_url=None).resolved_database_url
    database = Database(url)
    upgrade(database)
    workers = {queue: start_worker(data_dir, queue) for queue in queues}
    try:
        with serving(data_dir, {"max_archive_bytes": MAX_ARCHIVE_BYTES}) as pages, pages.client() as client:
            wait_for_workers(database, len(queues))
            yield database, pages.process.pid, client, {queue: worker.pid for queue, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.wait(60)
        database.close()


def start_worker(data_dir: Path, queue: str) -> subprocess.Popen[bytes]:
    """A worker that looks for work by itself: a broker would only be quicker by a second."""
    settings = {"PHOTOTAG_BACKBONE": "tiny", "PHOTOTAG_DECODERS": "1"}
    command = [sys.executable, "-m", "worker", "--queues", queue, "--data-dir", str(data_dir)]
    with (data_dir / f"{queue}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log)


def wait_for_workers(database: Database, count: int) -> None:
    """Returns when all have said that they live."""
    while True:
        with database.reading() as session:
            if len(live_workers(session)) >= count:
                return
        time.sleep(0.2)


def send(client: httpx.Client, archive: Path) -> str:
    """Uploads and seals; the id of the batch."""
    size = archive.stat().st_size
    batch = client.post("/api/batches", json={"name": archive.name, "count": 1, "bytes": size}).json()["id"]
    with archive.open("rb") as file:
        for offset in range(0, size, CHUNK_BYTES):
            query = {"path": archive.name, "size": size, "offset": offset}
            url = f"/api/batches/{batch}/files/1"
            client.put(url, params=query, content=file.read(CHUNK_BYTES)).raise_for_status()
    client.post(f"/api/batches/{batch}/seal", json={"count": 1}).raise_for_status()
    return batch


def archive_states(database: Database) -> set[str]:
    """States of all archives."""
    with database.reading() as session:
        return set(session.scalars(select(Archive.state)))


def padded(number: int, kilobytes: int) -> bytes:
    """A small photo, followed by as many random bytes as its file needs."""
    content = pictures()[number % PICTURES] + str(number).encode()
    return content + os.urandom(max(0, kilobytes * 1000 - len(content)))


def report(what: str, files: int, kilobytes: int, samples: Samples) -> dict[str, object]:
    """The figures, to be printed."""
    answers = sorted(samples.answers_s)
    return {
        "what": what,
        "files": files,
        "kilobytes": kilobytes,
        "took_s": round(samples.took_s, 1),
        "files_s": round(files / samples.took_s),
        "tagged_early": samples.tagged_early,
        "idle_mb": {name: round(idle) for name, idle in samples.idle_mb.items()},
        "added_mb": samples.added_mb,
        "cpu_s": {name: round(used, 1) for name, used in samples.cpu_s.items()},
        "answers_p50_ms": round(1000 * answers[len(answers) // 2]),
        "answers_p95_ms": round(1000 * answers[int(0.95 * (len(answers) - 1))]),
    }


def memory_mb(pid: int) -> float:
    """Resident memory of a process; 0 when it has ended."""
    try:
        return psutil.Process(pid).memory_info().rss / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def cpu_s(pid: int) -> float:
    """CPU time that a process has used; 0 when it has ended."""
    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.NoSuchProcess:
        return 0.0


_PICTURES: list[bytes] = []


def pictures() -> list[bytes]:
    """A few small pictures, drawn once."""
    if not _PICTURES:
        _PICTURES.extend(numbered_photo(number) for number in range(PICTURES))
    return _PICTURES


if __name__ == "__main__":
    main()
