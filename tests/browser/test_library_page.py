"""The Library page in a real browser: filters, order, one photo, back, reload, share, select; by mouse and by keyboard."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.tab import Tab
from tests.integration.web_batches import finished_batch
from tests.samples import DATE_TIME_ORIGINAL, jpeg
from tests.stack import Pages

pytestmark = pytest.mark.browser

MAKE, MODEL = 0x010F, 0x0110
RED, BLUE = (230, 20, 20), (20, 20, 230)
TILES = "document.querySelectorAll('.pt-lib-tile').length"


@pytest.fixture(scope="module")
def library(stack: Pages) -> Iterator[str]:
    """A tagged batch of 130 photos: the first 100 red, of an old camera; the others blue, of a new one."""
    files: dict[str, bytes] = {}
    for number in range(130):
        old = number < 100
        taken = f"{2001 if old else 2024}:05:{number % 28 + 1:02d} 12:00:{number % 60:02d}"
        exif = {MAKE: "Kodak" if old else "Leica", MODEL: "DC210" if old else "Q3", DATE_TIME_ORIGINAL: taken}
        colour = RED if old else BLUE
        name = f"{'DCP' if old else 'L'}_{number:04d}.jpg"
        files[name] = (
            jpeg(160, 120, colour=(colour[0], colour[1] + number % 10, colour[2]), exif=exif) + str(number).encode()
        )
    with stack.client() as client:
        yield finished_batch(client, files, "library")


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def shown_names(tab: Tab) -> list[str]:
    return tab.page.evaluate("[...document.querySelectorAll('.pt-lib-tile .pt-tile-photo')].map((tile) => tile.title)")


def numbers(tab: Tab) -> str:
    return tab.page.locator(".pt-lib-numbers").inner_text().split(" · ")[0]  # others may be waiting to be tagged


def until_numbers(tab: Tab, text: str) -> None:
    tab.until(f"document.querySelector('.pt-lib-numbers')?.innerText.split(' · ')[0] === '{text}'")


def test_a_view_is_filtered_opened_left_reloaded_and_shared(
    library: str, stack: Pages, open_tab: Callable[..., Tab]
) -> None:
    """The address always names what is shown: it leads back to it from anywhere."""
    tab = open_tab(f"/app/library?batch={library}")
    until_numbers(tab, "130 photos")
    tab.page.get_by_role("button", name="Filters").click()
    tab.page.get_by_role("combobox", name="Camera", exact=True).select_option(label="Kodak DC210")
    until_numbers(tab, "100 photos")
    tab.page.get_by_label("Sort by").select_option("name")
    tab.until("document.querySelector('.pt-lib-tile a')?.title === 'DCP_0000.jpg'")
    view = query(tab.page)

    tab.page.locator(".pt-lib-tile a").nth(2).click()
    tab.until_text("Kodak DC210")
    assert "2001-05-03 12:00:02" in tab.page.locator("dialog .pt-facts").inner_text()
    assert tab.page.locator("dialog .pt-bars li").count() == 5
    opened = query(tab.page)
    tab.page.keyboard.press("ArrowRight")
    tab.until("document.querySelector('dialog .pt-facts')?.innerText.includes('DCP_0003.jpg')")
    tab.page.go_back()
    tab.until("!document.querySelector('dialog')")
    assert query(tab.page) == view
    tab.page.reload()
    tab.until(f"{TILES} >= 60")
    reloaded = (query(tab.page), shown_names(tab)[0], numbers(tab))
    tab.page.go_back()
    tab.until("document.querySelector('.pt-lib-tile a')?.title !== 'DCP_0000.jpg'")

    assert view["camera"] == opened["camera"]
    assert view["sort"] == "name"
    assert opened.keys() - view.keys() == {"photo"}
    assert reloaded == (view, "DCP_0000.jpg", "100 photos")
    other = open_tab("/app/library?" + "&".join(f"{name}={value}" for name, value in opened.items()))
    other.until("document.querySelector('dialog .pt-facts')?.innerText.includes('DCP_0002.jpg')")
    other.until(f"{TILES} >= 60")
    assert shown_names(other)[0] == "DCP_0000.jpg"


def test_every_filter_can_be_set_seen_and_taken_off(library: str, open_tab: Callable[..., Tab]) -> None:
    """Chips say what is filtered by; nothing found says what to do."""
    tab = open_tab(f"/app/library?batch={library}")
    page = tab.page
    until_numbers(tab, "130 photos")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Taken from").fill("2024-01-01")
    page.get_by_label("Taken from").press("Enter")
    until_numbers(tab, "30 photos")
    page.get_by_label("How sure").select_option("yes")
    page.get_by_label("Score from (%)").fill("1")
    page.get_by_label("Score from (%)").press("Enter")
    page.get_by_role("combobox", name="Format", exact=True).select_option("JPEG")
    page.get_by_label("Search in file names").fill("L_0107")
    until_numbers(tab, "1 photo")
    tab.until(f"{TILES} === 1")
    assert shown_names(tab) == ["L_0107.jpg"]
    assert page.locator(".pt-chip-button").all_inner_texts() == [
        "From 1 %", "Sure", "Batch: library", "From 2024-01-01", "JPEG", "Name: L_0107",
    ]  # fmt: skip

    page.get_by_role("combobox", name="State", exact=True).select_option("refused")
    tab.until_text("No photo matches these filters.")
    page.get_by_role("button", name="Remove the filter Refused").click()
    tab.until(f"{TILES} === 1")
    page.get_by_role("button", name="Clear all", exact=True).click()
    tab.until(f"{TILES} >= 60")

    assert query(page) == {}


def test_the_title_is_the_page_s_own_whatever_gradio_says(library: str, open_tab: Callable[..., Tab]) -> None:
    """Gradio knows one title for all pages, and sets it late."""
    tab = open_tab(f"/app/library?batch={library}")
    tab.until(f"{TILES} >= 60")
    tab.page.evaluate("document.title = 'Tag photos - phototag'")
    tab.page.wait_for_timeout(100)

    assert tab.page.title() == "Library - phototag"


def test_a_label_filters_and_counts_stand_beside_it(library: str, open_tab: Callable[..., Tab]) -> None:
    """A second click takes it off again."""
    tab = open_tab(f"/app/library?batch={library}")
    tab.until("document.querySelectorAll('.pt-label').length >= 2")
    counts = tab.page.locator(".pt-label").all_inner_texts()
    blue = tab.page.locator(".pt-label", has_text="blue")
    blue.click()
    until_numbers(tab, "30 photos")
    pressed = blue.get_attribute("aria-pressed")
    blue.click()
    until_numbers(tab, "130 photos")

    assert [" ".join(count.split()) for count in counts[:2]] == ["red 100", "blue 30"]
    assert pressed == "true"
    assert "label" not in query(tab.page)


def test_photos_are_selected_by_mouse_and_by_keyboard(library: str, open_tab: Callable[..., Tab]) -> None:
    """Click, Shift-click, Space, arrows, Ctrl-A, Escape; and all that match, beyond the page."""
    tab = open_tab(f"/app/library?batch={library}&sort=name")
    page = tab.page
    tab.until(f"{TILES} >= 60")
    boxes = page.locator(".pt-pick")
    bar = page.get_by_role("region", name="Selected photos")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    by_mouse = bar.locator("strong").inner_text()
    page.keyboard.press("Escape")
    hidden = bar.is_hidden()
    page.locator(".pt-lib-tile a").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    picked = page.evaluate("[...document.querySelectorAll('.pt-picked')].map((tile) => tile.querySelector('a').title)")
    page.keyboard.press("Control+a")
    by_page = bar.locator("strong").inner_text()  # more pages may be read at any time

    assert by_mouse == "4 selected"
    assert hidden
    assert picked == ["DCP_0000.jpg", "DCP_0006.jpg"]
    assert by_page in {"60 selected", "120 selected", "130 selected"}
    if by_page != "130 selected":
        page.get_by_role("button", name="Select all 130").click()
    assert bar.locator("strong").inner_text() == "130 selected"


def test_selected_photos_are_downloaded_exported_and_tagged_again(library: str, open_tab: Callable[..., Tab]) -> None:
    """What the bar offers works."""
    tab = open_tab(f"/app/library?batch={library}&sort=name")
    page = tab.page
    tab.until(f"{TILES} >= 60")
    page.locator(".pt-pick").nth(0).click()
    page.locator(".pt-pick").nth(1).click()
    with page.expect_download() as archive:
        page.get_by_role("link", name="Download").click()
    with page.expect_download() as table:
        page.get_by_role("link", name="Export CSV").click()
    rows = table.value.path().read_text().splitlines()
    page.get_by_role("button", name="Tag again").click()
    tab.until_text("2 photos, again")

    assert archive.value.suggested_filename == "photos.zip"
    assert archive.value.path().read_bytes()[:2] == b"PK"
    assert [row.split(",")[0] for row in rows] == ["path", "DCP_0000.jpg", "DCP_0001.jpg"]


def test_deleting_is_asked_about_and_done(stack: Pages, open_tab: Callable[..., Tab]) -> None:
    """By the bar, by a key, and from one photo."""
    with stack.client() as client:
        batch = finished_batch(client, {f"doomed_{n}.jpg": jpeg(64, 48, colour=(9, n, 77)) for n in range(4)}, "doomed")
    tab = open_tab(f"/app/library?batch={batch}&sort=name")
    page = tab.page
    tab.until(f"{TILES} === 4")
    page.locator(".pt-pick").nth(0).click()
    page.keyboard.press("Delete")
    question = page.get_by_role("dialog").inner_text()
    page.get_by_role("button", name="Keep them").click()
    kept = page.evaluate(TILES)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 1 photo").click()
    tab.until(f"{TILES} === 3")
    until_numbers(tab, "3 photos")
    page.locator(".pt-lib-tile a").first.click()
    tab.until("!!document.querySelector('dialog .pt-facts')")
    page.locator("dialog").get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 1 photo").click()
    tab.until(f"{TILES} === 2 && !document.querySelector('dialog')")

    assert "Files that phototag reads where they lie are yours: they are never touched." in question
    assert kept == 4
    assert shown_names(tab) == ["doomed_2.jpg", "doomed_3.jpg"]
    assert set(query(page)) == {"batch", "sort"}


def test_a_long_library_stays_light_and_keeps_its_place(library: str, open_tab: Callable[..., Tab]) -> None:
    """Far pages are emptied and filled again; a reload begins where one was."""
    tab = open_tab(f"/app/library?batch={library}&sort=name", viewport=(900, 500))
    page = tab.page
    tab.until(f"{TILES} >= 60")
    for _ in range(40):
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(40)
    tab.until("document.querySelectorAll('.pt-lib-page').length === 3")
    tab.until("!document.querySelector('.pt-lib-page').childElementCount")
    tab.until("new URLSearchParams(location.search).get('at')")
    page.reload()
    tab.until(f"{TILES} > 0")
    first = shown_names(tab)[0]
    before = page.get_by_role("button", name="Show the photos before these")
    before.click()
    tab.until(f"document.querySelector('.pt-lib-tile a').title < {first!r}")

    assert first > "DCP_0050"
    page.evaluate("window.scrollTo(0, 0)")
    tab.until("!!document.querySelector('.pt-lib-page').childElementCount")


def test_a_screen_of_photos_is_light_and_kept_by_the_browser(
    stack: Pages, browser: Browser, open_tab: Callable[..., Tab]
) -> None:
    """60 photos of a busy scene weigh less than 2 MB, and nothing when they are seen again."""
    busy = {f"busy_{number}.jpg": noisy(number) for number in range(60)}
    with stack.client() as client:
        batch = finished_batch(client, busy, "busy")
    tab = open_tab(f"/app/library?batch={batch}", viewport=(1280, 4000))
    transferred = "performance.getEntriesByType('resource').filter(({name}) => name.includes('/media/')).map((r) => r.transferSize)"
    complete = (
        "[...document.querySelectorAll('.pt-lib-tile img')].filter((i) => i.complete && i.naturalWidth).length === 60"
    )
    tab.until(complete)
    first: list[int] = tab.page.evaluate(transferred)
    tab.page.reload()
    tab.until(complete)
    again: list[int] = tab.page.evaluate(transferred)

    assert len(first) == 60
    assert 60 * 3_000 < sum(first) < 2_000_000
    assert sum(again) == 0


def test_what_a_file_says_of_itself_is_shown_and_harmless(stack: Pages, open_tab: Callable[..., Tab]) -> None:
    """Names and EXIF from strangers: in the page, in tables, on a terminal."""
    hostile = "<img src=x onerror=document.title='owned'>"
    exif = {MAKE: "=cmd|' /C calc'!A0 <script>document.title='owned'</script>", MODEL: "\x1b[31mred\u202egpj.exe\n"}
    files = {f"{hostile}\u202e.jpg": jpeg(64, 48, colour=(3, 3, 99), exif=exif)}
    with stack.client() as client:
        batch = finished_batch(client, files, hostile)
        table = client.get("/api/library/export.csv", params={"batch": batch}).text
        (tile,) = client.get("/api/library", params={"batch": batch}).json()["photos"]
        camera = client.get(f"/api/library/photos/{tile['id']}").json()["facts"]["camera"]
    tab = open_tab(f"/app/library?batch={batch}&photo={tile['id']}")
    tab.until("!!document.querySelector('dialog .pt-facts')")
    tab.page.get_by_role("button", name="Close").click()
    tab.page.get_by_role("button", name="Filters").click()

    assert "<script>" in camera  # shown as text
    for text in (camera, table):
        assert not [character for character in text.replace("\n", "") if not character.isprintable()]
    assert "'=cmd" in table
    assert tab.page.locator("img[src=x], #pt-main script, dialog script").count() == 0
    assert tab.page.title() == "Library - phototag"
    tab.until(f"document.querySelector('.pt-chip-button').innerText.includes({hostile!r})")
    log = stack.log.read_text(errors="replace")
    assert "\x1b[31m" not in log
    assert "\u202e" not in log


def test_an_empty_library_says_what_to_do(open_tab: Callable[..., Tab]) -> None:
    """And an address that makes no sense is told in words."""
    tab = open_tab("/app/library?name=nothinghasthisname")
    tab.until_text("No photo matches these filters.")
    tab.expected_statuses |= {422, 404}
    tab.goto("/app/library?sort=name&at=nonsense")
    tab.until_text("This address is cut off or of another order.")
    tab.goto("/app/library?photo=987654321")
    tab.until_text("No such photo")


def noisy(number: int) -> bytes:
    """A photo with as much detail as photos have."""
    import numpy as np
    from PIL import Image, ImageFilter

    from tests.samples import encoded

    dice = np.random.default_rng(number)
    rough = Image.fromarray(dice.integers(0, 255, (900, 1200, 3), dtype=np.uint8)).filter(ImageFilter.GaussianBlur(5))
    values: Any = np.asarray(rough, dtype=np.float32)
    stretched = np.clip((values - 127) * 6 + 127, 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(stretched), "JPEG", quality=88)
