"""The pictures of the Models page in docs/training.md: drawn photos, really labelled, trained on, compared and re-tagged.

`PHOTOTAG_PICTURES=docs/images make test-slow ARGS="-k models_pictures"` makes them anew; without it they go to a folder of the test.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from db.training_views import list_runs
from tests.browser.tab import Tab
from tests.integration.command_line import environment
from tests.integration.processes import ROOT
from tests.stack import Pages, phototag_up
from ui.own_labels import draw_pictures
from ui.programs import program

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

# Of each of three labels: what the first version is trained on, what is labelled then, what nobody labels.
FIRST, MORE, NEW = range(14), range(14, 180), range(180, 204)
MOST_BYTES = 300_000
# Pictures are as high as what they are to show.
COMPARED = {"models-light": (1280, 2400), "models-phone-light": (390, 1400)}
RETAGGED = (1280, 1370)
TOP = "(image) => image.getBoundingClientRect().top"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """`phototag up` with the tiny network, and two versions that it has trained: head-1 of few photos is active."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, numbers in (("first", FIRST), ("more", MORE), ("new", NEW)):
        draw_pictures(folder / name, numbers)
    with phototag_up(folder / "phototag-data") as pages:
        for command in (
            ("labels", "import", str(folder / "first")),
            ("train",),
            ("models", "activate", "head-1"),
            ("tag", str(folder / "new")),
            ("labels", "import", str(folder / "more")),
            ("train",),
        ):
            phototag(pages, *command)
        yield pages


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where they are put."""
    return ROOT / (os.environ.get("PHOTOTAG_PICTURES") or tmp_path)


def test_pictures_of_the_models_page(stack: Pages, open_tab: Callable[..., Tab], pictures: Path) -> None:
    """The comparison of both versions; then, head-2 being active, the labels and what a re-tag would change."""
    with stack.database.reading() as session:
        run = list_runs(session)[0]
    assert (run.version, run.base) == ("head-2", "head-1")
    compared = "document.querySelectorAll('.pt-change-part img').length > 3 && !!document.querySelector('.pt-cell')"
    for name, viewport in COMPARED.items():
        take(open_tab(f"/admin/models?run={run.id}", viewport=viewport), compared, pictures / f"{name}.png")

    phototag(stack, "models", "activate", "head-2")
    phototag(stack, "models", "retag")
    tab = open_tab("/admin/models", scheme="dark", viewport=RETAGGED)
    take(tab, "document.querySelectorAll('.pt-flip').length > 1", pictures / "models-dark.png")


def take(tab: Tab, ready: str, path: Path) -> None:
    """A picture of what is seen, once all photos in it are there."""
    tab.until(ready)
    tab.until(f"[...document.images].every((image) => image.complete || ({TOP})(image) > innerHeight)")
    tab.page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)
    assert 0 < path.stat().st_size < MOST_BYTES


def phototag(pages: Pages, *command: str) -> None:
    """A command beside the running services, as a person types it."""
    asked = program("ui", *command, "--data-dir", str(pages.data_dir))
    done = subprocess.run(
        asked, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
