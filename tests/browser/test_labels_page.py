"""The Labels page in a real browser: add, rename in place, move, merge with a preview, undo, history."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from sqlalchemy import select

from db.schema import Label, Photo
from tests.browser.tab import Tab
from tests.integration.web_batches import finished_batch
from tests.samples import jpeg
from tests.stack import Pages

pytestmark = pytest.mark.browser

Axe = Callable[[Tab, str], list[str]]


@pytest.fixture(scope="module")
def client(stack: Pages) -> Iterator[httpx.Client]:
    """The local admin without a browser; five photos of two colours are tagged."""
    files = {f"{n}.jpg": jpeg(320, 240, colour=(220, 10 + n, 10) if n < 3 else (10, 10 + n, 220)) for n in range(5)}
    with stack.client() as client:
        finished_batch(client, files)
        yield client


def shown(stack: Pages) -> dict[str, int]:
    """How many photos show each label."""
    with stack.database.reading() as session:
        rows = session.scalars(select(Label.name).join(Photo, Photo.shown_label_id == Label.id)).all()
    return {name: rows.count(name) for name in rows}


def add(client: httpx.Client, name: str, parent: int | None = None) -> int:
    """The id of a new label."""
    answer = client.post("/api/labels", json={"name": name, "parent": parent})
    assert answer.status_code == 200, answer.text
    return answer.json()["label"]


def row(tab: Tab, name: str) -> str:
    """The selector of a label's row, once it is there."""
    tab.until(f"[...document.querySelectorAll('.pt-word strong')].some((each) => each.textContent === {name!r})")
    return f".pt-word:has(strong:text-is('{name}'))"


def test_labels_are_merged_with_a_preview_and_back_with_one_key(
    client: httpx.Client, stack: Pages, open_tab: Callable[..., Tab]
) -> None:
    """The words and the pictures first; the library shows it at once; Undo has the focus."""
    add(client, "warm colours")
    before = shown(stack)
    name = max(before, key=lambda each: before[each])
    tab = open_tab("/review/labels")
    tab.page.locator(row(tab, name)).get_by_role("button", name=f"Merge {name}").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill("WARM")
    tab.until("!!document.querySelector('[role=option]')")
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    tab.until("document.querySelectorAll('.pt-preview li').length > 0")

    assert f"{before[name]} photos will show “warm colours” instead of “{name}”." in dialog.inner_text()
    assert dialog.locator(".pt-samples img").count() == min(before[name], 12)
    assert shown(stack) == before
    dialog.get_by_role("button", name="Merge", exact=True).click()
    tab.until_text(f"“{name}” merged into “warm colours”: {before[name]} photos show another label now.")
    assert shown(stack)["warm colours"] == before[name]
    tab.until_text(f"also known as {name}")

    tab.until("document.activeElement?.textContent === 'Undo'")
    tab.page.keyboard.press("Enter")
    tab.until_text("Undone: ")
    assert shown(stack) == before
    row(tab, name)


def test_a_label_is_added_renamed_and_moved(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """By keyboard; a name that is taken is told before it is sent."""
    add(client, "vehicle")
    tab = open_tab("/review/labels")
    tab.page.get_by_role("button", name="Add a label").press("Enter")
    tab.page.keyboard.type("lorry")
    tab.page.keyboard.press("Enter")
    tab.until_text("“lorry” added.")

    tab.page.locator(row(tab, "lorry")).get_by_role("button", name="Rename lorry").press("Enter")
    tab.expected_statuses.add(409)
    tab.page.keyboard.type("VEHICLE")
    tab.until_text("There is a label “vehicle” already.")
    tab.page.evaluate("document.querySelector('#pt-retired').dispatchEvent(new Event('change'))")  # read again
    tab.page.wait_for_load_state("networkidle")
    assert tab.page.get_by_label("New name of lorry").input_value() == "VEHICLE"
    tab.page.get_by_label("New name of lorry").fill("truck")
    tab.until_text("No photo shows “lorry”.")
    tab.page.keyboard.press("Enter")
    tab.until_text("“lorry” renamed to “truck”.")

    tab.page.locator(row(tab, "truck")).get_by_role("button", name="Move truck").click()
    tab.page.get_by_role("combobox").fill("vehi")
    tab.until("!!document.querySelector('[role=option]')")
    tab.page.keyboard.press("Enter")
    tab.until_text("“truck” will stand below “vehicle”.")
    tab.page.get_by_role("dialog").get_by_role("button", name="Move").click()
    tab.until_text("“truck” moved from the top to below “vehicle”.")
    assert "pt-word-1" in (tab.page.locator(row(tab, "truck")).get_attribute("class") or "")


def test_a_retired_label_is_out_of_sight_and_comes_back(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """The history says so and takes it back."""
    add(client, "fax machine")
    tab = open_tab("/review/labels")
    tab.page.locator(row(tab, "fax machine")).get_by_role("button", name="Retire fax machine").click()
    tab.until_text("“fax machine” will no longer be offered.")
    tab.page.get_by_role("dialog").get_by_role("button", name="Retire").click()
    tab.until("![...document.querySelectorAll('.pt-word strong')].some((each) => each.textContent === 'fax machine')")

    tab.page.get_by_label("Show retired").check()
    row(tab, "fax machine")
    tab.page.locator(".pt-label-history summary").click()
    tab.page.get_by_role("button", name="Undo: “fax machine” retired").click()
    tab.until_text("Undone: “fax machine” retired.")
    tab.page.get_by_label("Show retired").uncheck()
    row(tab, "fax machine")


def test_several_are_merged_into_one_of_them(client: httpx.Client, open_tab: Callable[..., Tab]) -> None:
    """Chosen by their boxes."""
    for name in ("sofa", "couch", "settee"):
        add(client, name)
    tab = open_tab("/review/labels")
    for name in ("sofa", "couch", "settee"):
        tab.page.locator(row(tab, name)).get_by_label(f"Select {name}").check()
    tab.page.get_by_role("region", name="Selected labels").get_by_role("button", name="Merge…").click()
    tab.page.get_by_role("dialog").get_by_label("sofa").check()
    tab.until_text("“couch” and “settee” will no longer be offered; their names find “sofa”.")
    tab.page.get_by_role("dialog").get_by_role("button", name="Merge", exact=True).click()

    tab.until_text("also known as couch, settee")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_the_page_is_usable_by_everyone(
    client: httpx.Client, axe: Axe, open_tab: Callable[..., Tab], scheme: str, width: int
) -> None:
    """The list, the form, the question, the history; nothing is wider than the screen."""
    add(client, f"anything {scheme} {width}", add(client, f"kind {scheme} {width}"))
    tab = open_tab("/review/labels", scheme=scheme, viewport=(width, 800))
    row(tab, f"anything {scheme} {width}")
    tab.until("!!document.querySelector('a.pt-word-photos')")
    tab.page.get_by_role("button", name="Add a label").click()
    found = axe(tab, "list")
    tab.page.locator(".pt-label-history summary").click()
    tab.until("!!document.querySelector('.pt-changes li')")
    found += axe(tab, "history")
    wider = tab.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    tab.page.get_by_role("button", name="Merge", exact=False).first.click()
    tab.page.get_by_role("combobox").last.fill("any")
    tab.until("!!document.querySelector('dialog [role=option]')")

    assert found + axe(tab, "question") == []
    assert wider <= 0
