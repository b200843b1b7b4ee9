"""The Batches page in a real browser: it moves by itself, survives, and can be used by keyboard and by reader."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from db.schema import Item
from db.workers import live_workers
from tests.browser.tab import FINISHED, Tab
from tests.integration.web_batches import finished_batch, held_batch, release, send_batch
from tests.samples import jpeg
from tests.stack import Pages, serving
from ui.pages.layout import NAVIGATION

pytestmark = pytest.mark.browser

DONE = "Number(document.querySelector('.pt-progress [role=progressbar]')?.getAttribute('aria-valuenow') ?? 0)"


@pytest.fixture
def client(stack: Pages) -> Iterator[httpx.Client]:
    """The local admin without a browser."""
    with stack.client() as client:
        yield client


def photos(count: int, start: int = 0, size: tuple[int, int] = (320, 240)) -> dict[str, bytes]:
    """Photos that differ, by path."""
    colours = [(each % 250, each * 13 % 250, 60 + start) for each in range(count)]
    return {f"IMG_{number:04d}.jpg": jpeg(*size, colour=colour) for number, colour in enumerate(colours)}


def test_a_batch_moves_without_a_reload(stack: Pages, open_tab: Callable[..., Tab]) -> None:
    """Counts, bar, photos with labels; it stops asking when it is over."""
    batch = held_batch(stack, photos(30))
    tab = open_tab(f"/app/batches?batch={batch}")
    tab.page.evaluate("window.sameDocument = true")
    tab.until("document.querySelectorAll('.pt-waits').length === 30")

    for tagged in (10, 20, 30):
        release(stack, batch, up_to=tagged)
        tab.until(f"{DONE} === {tagged}", 60)
        tab.until(f"document.querySelectorAll('.pt-tile img').length === {tagged}")
    tab.until(FINISHED)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.wait_for_timeout(2500)

    assert tab.page.evaluate("window.sameDocument") is True
    assert "30 of 30 photos tagged" in tab.page.locator(".pt-progress").inner_text()
    assert tab.page.locator(".pt-waits").count() == 0
    assert not [url for url in asked if f"/api/batches/{batch}" in url]


def test_a_batch_can_be_cancelled_after_a_question(stack: Pages, open_tab: Callable[..., Tab]) -> None:
    """What is tagged stays, the rest is cancelled, and the page says so at once."""
    batch = held_batch(stack, photos(12, start=1))
    release(stack, batch, up_to=5)
    tab = open_tab(f"/app/batches?batch={batch}")
    tab.until(f"{DONE} === 5", 60)

    tab.page.get_by_role("button", name="Cancel batch").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Keep going").click()
    still = tab.page.locator(".pt-chip").inner_text()
    tab.page.get_by_role("button", name="Cancel batch").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Cancel batch").click()

    tab.until("document.querySelector('.pt-chip')?.textContent === 'cancelled'", 10)
    assert still == "tagging"
    assert "5 of 12 photos tagged" in tab.page.locator(".pt-progress").inner_text()
    assert "7 cancelled" in tab.page.locator(".pt-progress").inner_text()
    assert tab.page.get_by_role("button", name="Cancel batch").count() == 0


def test_a_batch_can_be_deleted_after_a_question(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """The question says what goes and what stays; then the list is shown, without it."""
    batch = finished_batch(client, photos(3, start=8))
    tab = open_tab(f"/app/batches?batch={batch}")
    tab.until("document.querySelectorAll('.pt-tile img').length === 3")

    tab.page.get_by_role("button", name="Delete batch").click()
    question = tab.page.get_by_role("dialog").inner_text()
    tab.page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    still = client.get(f"/api/batches/{batch}").status_code
    tab.page.get_by_role("button", name="Delete batch").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Delete batch").click()

    tab.until("location.pathname === '/app/batches' && location.search === ''")
    tab.until("!!document.querySelector('h1') && !document.querySelector('.pt-chip')?.closest('.pt-head')")
    assert "another batch has too stay" in question
    assert "never touched" in question
    assert still == 200
    assert client.get(f"/api/batches/{batch}").status_code == 404
    assert batch not in tab.page.content()


def test_failed_photos_can_be_tried_again(stack: Pages, client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """They say why they failed; the button leads to the new batch."""
    batch = finished_batch(client, photos(6, start=2))
    with stack.database.transaction() as session:
        some = session.scalars(select(Item.id).where(Item.batch_id == batch).limit(2)).all()
        session.execute(update(Item).where(Item.id.in_(some)).values(state="failed", code="WORKER_LOST"))
    tab = open_tab(f"/app/batches?batch={batch}")

    tab.until_text("the worker died three times on this photo alone")
    tab.page.get_by_role("button", name="Failed 2").click()
    tab.until("document.querySelectorAll('.pt-tile').length === 2")
    tab.page.get_by_role("button", name="Retry failed photos").click()

    tab.until(f"location.search.includes('batch=') && !location.search.includes('{batch}')")
    tab.until(FINISHED, 60)
    assert "2 of 2 photos tagged" in tab.page.locator(".pt-progress").inner_text()


def test_a_photo_opens_and_closes_by_keyboard(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """Enter, arrows, Escape; the focus returns to where it was."""
    batch = finished_batch(client, photos(4, start=3))
    tab = open_tab(f"/app/batches?batch={batch}")
    tab.until("document.querySelectorAll('.pt-tile-photo').length === 4")
    tab.page.locator(".pt-tile-photo").first.focus()

    tab.page.keyboard.press("Enter")
    tab.until("document.querySelector('dialog[open] .pt-path')?.textContent === 'IMG_0000.jpg'")
    tab.page.keyboard.press("ArrowRight")
    tab.until("document.querySelector('dialog[open] .pt-path')?.textContent === 'IMG_0001.jpg'")
    tab.until("document.querySelector('.pt-light-photo').naturalWidth > 0")
    tab.page.keyboard.press("Escape")

    tab.until("!document.querySelector('dialog[open]')")
    assert tab.page.evaluate("document.activeElement.className") == "pt-tile-photo"


def test_an_address_that_names_no_batch_says_so(open_tab: Callable[..., Tab]) -> None:
    """Cut off, foreign or mistyped."""
    for name in ("abcdefghjkmn", "zz", "%3Cscript%3E"):
        tab = open_tab()
        tab.expected_statuses |= {404, 422}
        tab.goto(f"/app/batches?batch={name}")
        tab.until_text("There is no such batch")
        assert tab.page.get_by_role("link", name="See all batches").count() == 1


def test_names_and_labels_never_become_html(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """A file may be called anything."""
    evil = "<img src=x onerror=window.evil=1><script>window.evil=1</script>"
    batch = send_batch(client, {f"{evil}.jpg": jpeg(colour=(5, 5, 200)), "b.jpg": b""}, name=f"{evil} & batch")
    tab = open_tab(f"/app/batches?batch={batch}")
    tab.until(FINISHED, 60)
    tab.until("!!document.querySelector('.pt-tile')")

    assert tab.page.locator("h1").inner_text().startswith("<img src=x")
    assert tab.page.evaluate("window.evil") is None
    tab.goto("/app/batches")
    tab.until("!!document.querySelector('.pt-batch-name')")
    assert tab.page.evaluate("window.evil") is None


@pytest.mark.parametrize(("viewport", "scheme"), [((1280, 800), "light"), ((390, 844), "light"), ((390, 844), "dark")])
def test_pages_fit_the_screen_and_follow_the_scheme(
    client: httpx.Client, open_tab: Callable[..., Tab], viewport: tuple[int, int], scheme: str
) -> None:
    """No sideways scrolling; the same navigation on all."""
    batch = finished_batch(client, photos(6, start=4) | {"a-very-long-name" * 8 + ".jpg": b""})

    pages = {
        "/app/": "Tag",
        "/app/library": "Library",
        "/app/batches": "Batches",
        f"/app/batches?batch={batch}": "Batches",
    }
    for path, name in pages.items():
        tab = open_tab(path, viewport=viewport, scheme=scheme)
        tab.until("!!document.querySelector('.pt-accepted dd, .pt-batch-row, .pt-tile')")
        background = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        names = tab.page.locator("header nav a").all_inner_texts()
        current = tab.page.locator("header nav a[aria-current=page]").inner_text()

        assert tab.page.evaluate("document.documentElement.scrollWidth") <= viewport[0], path
        assert background == ("rgb(250, 249, 247)" if scheme == "light" else "rgb(20, 20, 22)")
        assert names == [name for name, *_ in NAVIGATION], "an admin sees all pages"
        assert current == name
        assert tab.page.locator("h1").count() == 1
        assert tab.page.locator("main").count() == 1


def test_a_page_without_workers_says_what_is_going_on(
    browser: object, open_tab: Callable[..., Tab], stack: Pages, tmp_path: Path
) -> None:
    """What was sent is kept, and what to start. An empty list says what to do next."""
    with serving(tmp_path / "phototag-data") as alone:
        tab = open_tab()
        tab.page.goto(alone.login_link())
        tab.until_text("No worker is running, so photos are not being tagged right now.")
        tab.until_text("The queue (Redis) does not answer.")
        tab.page.goto(f"{alone.url}/app/batches")
        tab.until_text("No batches yet.")
        assert tab.page.get_by_role("link", name="Tag photos").get_attribute("href") == "/app/"
        tab.page.goto("about:blank")
    with stack.database.reading() as session:
        assert live_workers(session)
