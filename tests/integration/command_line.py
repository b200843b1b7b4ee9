"""Runs `phototag` as a real process with services of its own, on a data directory of its own."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.integration.processes import ROOT, wait_until

# Generous: starting a worker takes 3 s alone and more beside other tests.
PATIENCE_S = 90.0


def environment(**changes: str) -> dict[str, str]:
    """The environment of a person who has set nothing, but for the tiny network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHOTOTAG_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PHOTOTAG_BACKBONE": "tiny", "PHOTOTAG_DECODERS": "1", **changes}


def phototag(
    *arguments: object, cwd: Path | None = None, timeout_s: float = PATIENCE_S, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ui", *map(str, arguments)],
        cwd=cwd or ROOT, env=environment(**changes), capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


class Running:
    """A command that runs, and what it has printed until now."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S) -> str:
        """What `pattern`'s first group, or all of it, matches in the output, once it is there."""
        wait_until(lambda: re.search(pattern, self.output) is not None, timeout_s, f"{pattern!r} in {self.output!r}")
        found = re.search(pattern, self.output)
        assert found is not None
        return found[1] if found.groups() else found[0]

    def end(self, timeout_s: float = PATIENCE_S) -> int:
        """The exit code, once it has ended."""
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output += line


@contextmanager
def running(*arguments: object, cwd: Path | None = None, **changes: str) -> Generator[Running]:
    """Starts a command; it is ended when the block is left. Its two outputs come as one."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "ui", *map(str, arguments)],
        cwd=cwd or ROOT, env=environment(**changes), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    command = Running(process)
    try:
        yield command
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        command.end()


def results(path: Path) -> dict[str, dict[str, Any]]:
    """A .jsonl results file, by path."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row for row in rows}


def query(data_dir: Path, sql: str) -> list[Any]:
    """First column of a query on the data directory's database; empty while there is none."""
    path = data_dir / "phototag.sqlite3"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return [row[0] for row in connection.execute(sql)]
        except sqlite3.OperationalError:  # its tables are being made
            return []


def services_of(data_dir: Path) -> dict[str, Any]:
    """What DATA/services.json says; empty when no services run."""
    try:
        return json.loads((data_dir / "services.json").read_text())
    except (OSError, ValueError):
        return {}


def children_of(pid: int) -> dict[int, str]:
    """The process's children and their command lines (Linux)."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    pairs = [line.strip().split(None, 1) for line in listed.stdout.splitlines()]
    return {int(pid): args for pid, args in pairs if "<defunct>" not in args}


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
