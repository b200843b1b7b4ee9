"""F10: a process that ends at any of its steps leaves nothing half done, and the repeat of its request converges."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.session import Database

ROOT = Path(__file__).parents[2]
SCENARIOS = ("upload", "single", "folder", "unpack", "tag", "cancel", "retry", "sweep", "activate")
# So many steps of each scenario are tried in every run, by lot; all of them in `make test-faults`.
TRIED = 1
# Fewer would mean that steps are no longer counted.
STEPS = 200


@pytest.mark.timeout(180)
def test_a_process_that_ends_at_a_random_step_leaves_nothing_half_done(
    sqlite_template: Path, memory_dir: Path, dice: random.Random
) -> None:
    """F10: accept, unpack, tag, cancel, retry, sweep, promote; other steps in each run."""
    found = crash(memory_dir, sqlite_template, None, dice, TRIED)

    assert {name: one["violations"] for name, one in found.items()} == {name: [] for name in SCENARIOS}
    assert {one["crashed"] for one in found.values()} == {TRIED}
    assert sum(one["steps"] for one in found.values()) >= STEPS


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_process_that_ends_at_any_step_leaves_nothing_half_done(
    database: Database, sqlite_template: Path, memory_dir: Path, dice: random.Random
) -> None:
    """F10: every step of every scenario, on both databases."""
    found = crash(memory_dir, sqlite_template, None if database.is_sqlite else database.url, dice, None)

    assert {name: one["violations"] for name, one in found.items()} == {name: [] for name in SCENARIOS}
    assert [one["crashed"] for one in found.values()] == [one["steps"] for one in found.values()]
    assert sum(one["steps"] for one in found.values()) >= STEPS


@pytest.fixture
def memory_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not on a disk, where there is one: what is ended here are processes, not machines."""
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="phototag-", dir=shm if shm.is_dir() else tmp_path))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def crash(
    folder: Path, template: Path, postgres_url: str | None, dice: random.Random, tried: int | None
) -> dict[str, Any]:
    """What `tests.faults.crash_program` found, by scenario. Without `postgres_url` on SQLite."""
    data_dir = folder / "data"
    data_dir.mkdir()
    asked = {
        "scenarios": SCENARIOS,
        "url": postgres_url or f"sqlite:///{data_dir / 'phototag.sqlite3'}",
        "data_dir": str(data_dir),
        "template": str(template) if postgres_url is None else None,
        "seed": dice.randrange(1 << 32),
        "tried": tried,
    }
    command = [sys.executable, "-m", "tests.faults.crash_program", json.dumps(asked)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    print({name: (one["crashed"], one["steps"]) for name, one in found.items()})  # noqa: T201 - shown on failure
    return found
