"""What the tests of the architecture look at: the checkout and the files that git tracks."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tracked_files(repository: Path) -> list[Path]:
    """The files git tracks, as they lie in the checkout."""
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    return [repository / name for name in listed.stdout.split("\0") if name and (repository / name).is_file()]
