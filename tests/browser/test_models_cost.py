"""What a network of one's own costs, on the Models page in a real browser."""

from collections.abc import Callable, Iterator

import pytest

from db.blobs import open_blobs
from db.settings import DataSettings
from db.training_views import list_runs
from tests.browser.tab import Tab
from tests.labelled import make_world, say
from tests.stack import Pages, serving

pytestmark = pytest.mark.browser

CUT_OFF = """
(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector(".pt-train-labels .pt-scroll"))
"""
COLOURS = "[...document.querySelectorAll('.pt-notice.pt-warn')].map((each) => getComputedStyle(each).color)"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages without workers; 45 photos of five labels that a person gave, and the starter is active."""
    with serving(tmp_path_factory.mktemp("cost") / "phototag-data") as pages:
        world = make_world(pages.database, open_blobs(DataSettings(data_dir=pages.data_dir, blobs_url=None)), 45)
        say(world, {photo_id: world.fitting(photo_id) for photo_id in world.photo_ids})
        yield pages


@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)])
def test_what_it_costs_is_shown_when_the_recipe_is_chosen_and_accepted_by_training(
    stack: Pages, open_tab: Callable[..., Tab], viewport: tuple[int, int]
) -> None:
    """Other recipes say nothing of the kind; the run that begins is the one whose cost was shown."""
    tab = open_tab("/admin/models", viewport=viewport)
    tab.until("!!document.querySelector('#pt-recipe-vgg16-finetune')")
    before = tab.page.locator("#pt-train-cost").is_visible()
    tab.page.locator("#pt-recipe-vgg16-finetune").check()
    tab.until("!document.querySelector('#pt-train-cost').hidden")
    words = tab.page.locator("#pt-train-cost").inner_text()
    kind = tab.page.locator("#pt-train-cost").get_attribute("class") or ""
    width = tab.page.evaluate("document.documentElement.scrollWidth")
    cut_off, colours = tab.page.evaluate(CUT_OFF), tab.page.evaluate(COLOURS)
    tab.page.locator("#pt-recipe-default").check()
    after = tab.page.locator("#pt-train-cost").is_visible()
    tab.page.locator("#pt-recipe-vgg16-finetune").check()
    tab.until("!document.querySelector('#pt-train-cost').hidden")
    tab.page.locator("#pt-train-go").press("Enter")
    tab.until("location.search.includes('run=')")
    with stack.database.reading() as session:
        newest = list_runs(session)[0]

    assert (before, after) == (False, False)
    assert "to train" in words
    assert "the library has no other photos" in words
    assert "photos a second" in words
    assert (width, cut_off) == (viewport[0], 0)
    assert "pt-info" in kind
    assert (len(colours) > 1, len(set(colours))) == (True, 1), "warnings beside each other have one tone"
    assert (newest.state, newest.recipe) == ("queued", "vgg16-finetune")
