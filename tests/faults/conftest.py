"""What the fault tests share: seeded chance, and photos with the top five that a run without faults finds."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.session import Database
from tests.faults.photos import Pictures, look_at


@pytest.fixture
def dice() -> random.Random:
    """Chance that can be had again: the seed is shown when a test fails."""
    seed = int(os.environ.get("PHOTOTAG_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}: replay with PHOTOTAG_TEST_SEED={seed}")  # noqa: T201 - for whoever replays it
    return random.Random(seed)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Pictures]:
    """A dozen pictures, looked at once without any fault."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "phototag.sqlite3").write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{folder / 'phototag.sqlite3'}")
    yield look_at(database, folder)
    database.close()
