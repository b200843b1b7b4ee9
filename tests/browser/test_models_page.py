"""The whole circle in a real browser, through real processes: import, tag, review, train, compare, activate, re-tag, roll back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db.schema import Label, Photo
from tests.browser.tab import Tab
from tests.integration.command_line import phototag
from tests.integration.web_batches import finished_batch
from tests.review_rows import shown_of
from tests.stack import Pages, phototag_up
from tests.tinted import TINTS, tint_of, tinted_photo, write_class_folders

pytestmark = pytest.mark.browser

IMPORTED, TAGGED, CORRECTED = range(60), range(100, 190), 60
LONG_S = 240.0  # for what takes seconds on a machine that does nothing else
FRAME = "document.querySelector('.pt-rev-frame')?.dataset.photo"
IS_SENT = "JSON.parse(sessionStorage.getItem('pt-review-outbox') ?? '[]').length === 0"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """`phototag up` with a library of its own: what is active is of the whole library."""
    with phototag_up(tmp_path_factory.mktemp("circle") / "phototag-data") as pages:
        yield pages


def shown(stack: Pages) -> dict[int, dict[str, Any]]:
    """All that each photo shows: label, score, origin, version."""
    with stack.database.reading() as session:
        return shown_of(session, session.scalars(select(Photo.id)).all())


def names_shown(stack: Pages) -> set[str]:
    """The labels that models show."""
    query = select(Label.name).join(Photo, Photo.shown_label_id == Label.id).where(Photo.shown_origin == "model")
    with stack.database.reading() as session:
        return set(session.scalars(query))


def fill(stack: Pages, folder: Path) -> None:
    """Class folders are imported, and photos are tagged by the version that comes with phototag."""
    imported = phototag("labels", "import", write_class_folders(folder, IMPORTED), "--data-dir", stack.data_dir)
    assert imported.returncode == 0, imported.stderr
    files = {f"{seed}.jpg": tinted_photo(seed, TINTS[tint_of(seed)]) for seed in TAGGED}
    with stack.client() as client:
        finished_batch(client, files)


def correct(stack: Pages, tab: Tab) -> None:
    """60 photos get another label than the model said, by keys alone."""
    with stack.database.reading() as session:
        seeds = {row.id: int(Path(row.name).stem) for row in session.execute(select(Photo.id, Photo.name))}
    tab.until(f"!!({FRAME})")
    for _ in range(CORRECTED):
        photo = tab.page.evaluate(FRAME)
        name = tint_of(seeds[int(photo)])
        tab.page.keyboard.press("/")
        tab.page.keyboard.type(name)
        tab.until(f"document.querySelector('.pt-option')?.textContent.includes({name!r})")
        tab.page.keyboard.press("Enter")
        tab.until(f"({FRAME}) !== {photo!r}")
    tab.until(IS_SENT)


@pytest.mark.timeout(600)
def test_the_whole_circle(stack: Pages, open_tab: Callable[..., Tab], tmp_path: Path) -> None:
    """What photos show changes only when it is applied, a person's word never, and rolled back it is as before."""
    fill(stack, tmp_path / "classes")
    tab = open_tab("/review/?queue=never")
    correct(stack, tab)
    before = shown(stack)
    tab.goto("/admin/models")
    page = tab.page
    tab.until_text(f"{len(IMPORTED) + CORRECTED} reviewed photos of {len(TINTS)} labels")

    page.get_by_role("button", name="Train", exact=True).click()
    tab.until("!!document.querySelector('.pt-gate') && !!document.querySelector('.pt-cell')", LONG_S)
    assert "It is better." in page.inner_text(".pt-gate")
    page.locator(".pt-cell-right").first.click()
    tab.until("!!document.querySelector('dialog .pt-thumbs img')")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Activate", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Activate").click()
    tab.until_text("It is the active version", LONG_S)
    assert shown(stack) == before

    page.get_by_role("link", name="Re-tag the library").click()
    page.get_by_role("button", name="Re-tag", exact=True).click()
    tab.until("!!document.querySelector('.pt-flip')", LONG_S)
    assert shown(stack) == before
    flips = page.locator(".pt-flip").count()
    photos = int(page.locator(".pt-flip strong").first.inner_text())
    page.locator(".pt-flip").first.get_by_role("button").click()
    tab.until(f"document.body.innerText.includes('says: {photos} photo')", LONG_S)
    assert sum(now != before[photo_id] for photo_id, now in shown(stack).items()) == photos
    if flips > 1:
        tab.until(f"document.querySelectorAll('.pt-flip').length === {flips - 1}", LONG_S)
    page.get_by_role("button", name="Apply all").click()
    tab.until_text("Done: photos show what", LONG_S)
    assert names_shown(stack) <= set(TINTS)
    by_person = [n for n, row in before.items() if row["shown_origin"] == "person"]
    after = shown(stack)
    assert len(by_person) == len(IMPORTED) + CORRECTED
    assert {(n, after[n]["shown_label_id"]) for n in by_person} == {(n, before[n]["shown_label_id"]) for n in by_person}

    page.get_by_role("button", name="Roll back to").click()
    assert "will show again what they showed before" in page.get_by_role("dialog").inner_text()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    tab.until_text("Rolled back: “tiny” tags again, and photos show again what they showed before.", LONG_S)
    assert shown(stack) == before
