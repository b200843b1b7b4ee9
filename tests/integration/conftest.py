"""The web application for the tests of this folder, started once: Gradio takes seconds."""

from collections.abc import Iterator

import httpx
import pytest

from tests.stack import Pages, serving


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The pages, without workers."""
    with serving(tmp_path_factory.mktemp("pages") / "phototag-data") as running:
        yield running


@pytest.fixture
def admin(pages: Pages) -> Iterator[httpx.Client]:
    """A browser of the local admin."""
    with pages.client() as client:
        yield client


@pytest.fixture
def alice(pages: Pages) -> Iterator[httpx.Client]:
    """A browser of an owner."""
    with pages.client("alice") as client:
        yield client


@pytest.fixture
def bob(pages: Pages) -> Iterator[httpx.Client]:
    """A browser of another owner."""
    with pages.client("bob") as client:
        yield client


@pytest.fixture
def stranger(pages: Pages) -> Iterator[httpx.Client]:
    """A browser of nobody."""
    with pages.stranger() as client:
        yield client
