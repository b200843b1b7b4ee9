"""The Duplicates page in a real browser: what looks alike side by side, what is asked before anything goes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser.tab import Tab
from tests.integration.web_batches import finished_batch
from tests.samples import encoded, jpeg, scene
from tests.stack import Pages, serving

pytestmark = pytest.mark.browser


@pytest.fixture
def client(stack: Pages) -> Iterator[httpx.Client]:
    """The local admin without a browser."""
    with stack.client() as client:
        yield client


def copies(seed: int) -> dict[str, bytes]:
    """A photo, a small copy and a PNG of it."""
    return {
        f"scene {seed}.jpg": encoded(scene(seed), "JPEG", quality=92),
        f"scene {seed} small.jpg": encoded(scene(seed).resize((320, 240)), "JPEG", quality=60),
        f"scene {seed} web.webp": encoded(scene(seed).resize((480, 360)), "WEBP", quality=70),
    }


def test_photos_that_look_alike_are_shown_with_the_one_to_keep(
    client: httpx.Client, open_tab: Callable[..., Tab]
) -> None:
    """The largest is first and marked; what differs stands out; nothing is selected."""
    finished_batch(client, copies(1))
    tab = open_tab("/app/duplicates")
    group = tab.page.locator(".pt-dup", has_text="scene 1 small.jpg")
    group.wait_for()

    tiles = group.locator(".pt-dup-photo")
    assert tiles.count() == 3
    assert "Suggested to keep" in tiles.nth(0).inner_text()
    assert "scene 1.jpg" in tiles.nth(0).inner_text()
    assert "because it has the most pixels" in group.inner_text()
    assert "640 \N{MULTIPLICATION SIGN} 480 px" in tiles.nth(0).locator(".pt-dup-differs").all_inner_texts()
    assert group.locator("input:checked").count() == 0
    assert group.get_by_role("button", name="Delete selected…").is_disabled()
    tab.until("document.querySelector('.pt-dup img').naturalWidth > 0")


def test_nothing_is_deleted_before_the_question_is_answered(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """The question names what goes; "Keep them" keeps them; by keyboard alone."""
    finished_batch(client, copies(2))
    tab = open_tab("/app/duplicates")
    group = tab.page.locator(".pt-dup", has_text="scene 2 small.jpg")
    group.wait_for()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))

    group.get_by_role("button", name="Select the others").focus()
    tab.page.keyboard.press("Enter")
    assert group.locator("input:checked").count() == 2
    assert not group.get_by_label("Select scene 2.jpg", exact=True).is_checked()
    group.get_by_role("button", name="Delete 2 selected…").press("Enter")
    question = tab.page.get_by_role("dialog").inner_text()
    tab.page.keyboard.press("Escape")

    assert "Delete 2 photos?" in question
    assert "scene 2 small.jpg" in question
    assert "scene 2 web.webp" in question
    assert "they are never touched" in question
    assert tab.page.get_by_role("dialog").count() == 0
    assert group.locator(".pt-dup-photo").count() == 3
    assert not [each for each in asked if each.startswith("POST")]


def test_what_is_selected_is_what_is_deleted(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """The request names exactly those photos; the group becomes one line, or the page says what went wrong."""
    finished_batch(client, copies(3))
    tab = open_tab("/app/duplicates")
    tab.expected_statuses |= {404, 405}
    group = tab.page.locator(".pt-dup", has_text="scene 3 small.jpg")
    group.wait_for()
    ids = [int(each.get_attribute("data-id") or "") for each in group.locator(".pt-dup-photo").all()]

    group.get_by_role("button", name="Select the others").click()
    group.get_by_role("button", name="Delete 2 selected…").click()
    with tab.page.expect_response("**/api/library/delete") as answered:
        tab.page.get_by_role("dialog").get_by_role("button", name="Delete 2 photos").click()

    assert answered.value.request.method == "POST"
    assert answered.value.request.post_data_json == {"ids": ids[1:]}
    if answered.value.ok:
        tab.until_text("2 photos deleted; scene 3.jpg stays.")
    else:
        tab.until("[...document.querySelectorAll('.pt-dup [role=alert]')].some((each) => each.innerText)")


def test_different_photos_are_told_apart_and_put_back(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """For good, and undone with one key press."""
    finished_batch(client, copies(4))
    tab = open_tab("/app/duplicates")
    tab.page.locator(".pt-dup", has_text="scene 4 small.jpg").get_by_role("button", name="These are different").click()
    tab.until_text("Different photos")
    other = open_tab("/app/duplicates")
    other.until(
        "!document.body.innerText.includes('Looking through') && !!document.querySelector('.pt-dup, .pt-empty')"
    )
    assert "scene 4" not in other.page.inner_text("body")

    tab.until("document.activeElement.textContent === 'Undo'")
    tab.page.keyboard.press("Enter")

    tab.until("document.body.innerText.includes('scene 4 small.jpg')")
    other.goto("/app/duplicates")
    other.until_text("scene 4 small.jpg")


def test_files_with_the_same_bytes_are_on_a_tab_of_their_own(
    client: httpx.Client, open_tab: Callable[..., Tab]
) -> None:
    """With their paths and batches; the address names the tab, "back" goes back."""
    same = jpeg(colour=(9, 99, 199))
    finished_batch(client, {"a/first.jpg": same, "b/second.jpg": same}, name="two folders")
    tab = open_tab("/app/duplicates")

    tab.page.get_by_role("button", name="Same file in several places").click()
    tab.until_text("b/second.jpg")
    row = tab.page.locator(".pt-same", has_text="b/second.jpg")

    assert "a/first.jpg" in row.inner_text()
    assert "2 files of" in row.inner_text()
    assert "two folders" in row.inner_text()
    assert tab.page.url.endswith("?tab=files")
    tab.page.go_back()
    tab.until("document.querySelector('[aria-pressed=true]').textContent === 'Look alike'")


def test_without_duplicates_the_page_says_what_to_do(open_tab: Callable[..., Tab], tmp_path: Path) -> None:
    """On both tabs."""
    with serving(tmp_path / "phototag-data") as alone:
        tab = open_tab()
        tab.page.goto(alone.login_link())
        tab.page.goto(f"{alone.url}/app/duplicates")
        tab.until_text("No photos look alike.")
        assert tab.page.get_by_role("link", name="Tag photos").get_attribute("href") == "/app/"
        tab.page.goto(f"{alone.url}/app/duplicates?tab=files")
        tab.until_text("No file lies in several places.")
        tab.page.goto("about:blank")


def test_names_never_become_html(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """On the page and in the question."""
    evil = "<img src=x onerror=window.evil=1>"
    finished_batch(client, {f"{evil} {name}": data for name, data in copies(6).items()})
    tab = open_tab("/app/duplicates")
    group = tab.page.locator(".pt-dup", has_text="scene 6 small.jpg")
    group.wait_for()

    group.get_by_role("button", name="Select the others").click()
    group.get_by_role("button", name="Delete 2 selected…").click()

    assert evil in tab.page.get_by_role("dialog").inner_text()
    assert tab.page.evaluate("window.evil") is None


@pytest.mark.parametrize(
    ("viewport", "scheme"), [((1280, 800), "light"), ((1280, 800), "dark"), ((390, 844), "light"), ((390, 844), "dark")]
)
def test_the_page_fits_the_screen(
    client: httpx.Client, open_tab: Callable[..., Tab], viewport: tuple[int, int], scheme: str
) -> None:
    """No sideways scrolling, whatever the names."""
    same = jpeg(colour=(99, 9, 199))
    long_name = "a-very-long-name" * 8
    finished_batch(
        client,
        {f"{long_name} {name}": data for name, data in copies(7).items()} | {f"{long_name}/1.jpg": same, "2.jpg": same},
    )

    for path, ready in (("/app/duplicates", ".pt-dup img"), ("/app/duplicates?tab=files", ".pt-same")):
        tab = open_tab(path, viewport=viewport, scheme=scheme)
        tab.until(f"!!document.querySelector('{ready}')")
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= viewport[0], path
        assert tab.page.locator("header nav a[aria-current=page]").inner_text() == "Duplicates"
        assert tab.page.locator("h1").count() == 1


def test_nothing_is_wrong_for_who_cannot_see(
    client: httpx.Client, open_tab: Callable[..., Tab], axe: Callable[[Tab, str], list[str]]
) -> None:
    """axe-core on both tabs, with something selected, and on the question; light and dark."""
    same = jpeg(colour=(99, 199, 9))
    finished_batch(client, copies(8) | {"x/1.jpg": same, "y/2.jpg": same})
    found: list[str] = []

    for scheme in ("light", "dark"):
        tab = open_tab("/app/duplicates?tab=files", scheme=scheme)
        tab.until("!!document.querySelector('.pt-same img')")
        found += axe(tab, f"{scheme} files")
        tab.goto("/app/duplicates")
        tab.until("!!document.querySelector('.pt-dup img')")
        tab.page.get_by_role("button", name="Select the others").first.click()
        found += axe(tab, f"{scheme} groups")
        tab.page.locator(".pt-dup .pt-danger").first.click()
        found += axe(tab, f"{scheme} question")

    assert not found, "\n".join(found)
