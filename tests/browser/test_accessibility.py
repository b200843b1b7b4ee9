"""axe-core finds nothing on any page, light and dark (WCAG 2.2 AA and best practice)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.tab import Tab
from tests.integration.web_batches import finished_batch
from tests.samples import jpeg
from tests.stack import Pages

pytestmark = pytest.mark.browser

Axe = Callable[[Tab, str], list[str]]


@pytest.fixture(scope="module")
def batch(stack: Pages) -> str:
    """A finished batch of five photos and a file that is none."""
    files = {f"{number}.jpg": jpeg(320, 240, colour=(number * 13, 40, 65)) for number in range(5)} | {"empty.jpg": b""}
    with stack.client() as client:
        return finished_batch(client, files)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tag_and_login_pages(axe: Axe, open_tab: Callable[..., Tab], tmp_path: Path, scheme: str) -> None:
    """With one photo's labels."""
    photo = tmp_path / "a.jpg"
    photo.write_bytes(jpeg(colour=(200, 200, 30)))
    tab = open_tab("/app/", scheme=scheme)
    tab.until("!!document.querySelector('.pt-accepted dd')")
    tab.page.set_input_files("#pt-choose-photos", photo)
    tab.until("!!document.querySelector('.pt-single .pt-bars')")
    found = axe(tab, "tag")
    tab.expected_statuses |= {401}  # the page that is left may ask once more
    tab.page.context.clear_cookies()
    tab.goto("/login")
    tab.until("!!document.querySelector('.pt-commands')")

    assert found + axe(tab, "login") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_batches_pages(axe: Axe, open_tab: Callable[..., Tab], batch: str, scheme: str) -> None:
    """The list, a batch, a photo of it."""
    tab = open_tab("/app/batches", scheme=scheme)
    tab.until("!!document.querySelector('.pt-batch-row')")
    found = axe(tab, "list")
    tab.goto(f"/app/batches?batch={batch}")
    tab.until("!!document.querySelector('.pt-tile img')")
    found += axe(tab, "batch")
    tab.page.locator(".pt-tile-photo").first.click()

    assert found + axe(tab, "photo") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_library(axe: Axe, open_tab: Callable[..., Tab], batch: str, scheme: str) -> None:
    """With its filters, with a selection, with the question before deleting, with one photo."""
    tab = open_tab(f"/app/library?batch={batch}", scheme=scheme)
    tab.until("!!document.querySelector('.pt-tile img')")
    tab.page.get_by_role("button", name="Filters").click()
    tab.page.locator(".pt-pick").first.click()
    found = axe(tab, "library")
    tab.page.get_by_role("button", name="Delete…").click()
    found += axe(tab, "question")
    tab.page.get_by_role("button", name="Keep them").click()
    tab.page.locator(".pt-lib-tile a").first.click()
    tab.until("!!document.querySelector('dialog .pt-bars')")

    assert found + axe(tab, "photo") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_review_page(axe: Axe, open_tab: Callable[..., Tab], batch: str, scheme: str) -> None:
    """One photo; the dialogs for a label, the keys and the numbers; a page of a label with some selected."""
    tab = open_tab(f"/review/?batch={batch}", scheme=scheme)
    tab.until("!!document.querySelector('.pt-rev-frame img') && !!document.querySelector('.pt-queues .pt-soft')")
    found = axe(tab, "review")
    for key, shown in (("/", ".pt-option"), ("?", ".pt-keys"), ("", ".pt-rev-dialog td, .pt-rev-dialog h3")):
        if key:
            tab.page.keyboard.press(key)
        else:
            tab.page.locator(".pt-rev-numbers").click()
        tab.until(f"!!document.querySelector('{shown}')")
        found += axe(tab, shown)
        tab.page.keyboard.press("Escape")
        tab.until("!document.querySelector('dialog[open]')")
    tab.page.get_by_role("button", name="By label").click()
    tab.until("!!document.querySelector('.pt-rev-tile')")
    tab.page.keyboard.press("Control+a")

    assert found + axe(tab, "grid") == []
