"""The Models page in a real browser, with trainings as rows: what it shows, its dialogs, for everyone."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from sqlalchemy import func, select

from db.blobs import open_blobs
from db.schema import ReviewHint
from db.settings import DataSettings
from db.training_runs import claim_run, fail_run, report_progress
from tests.browser.tab import Tab
from tests.model_rows import add_finished_run, add_run, examined
from tests.stack import Pages, serving
from tests.store import add_version

pytestmark = pytest.mark.browser

Axe = Callable[[Tab, str], list[str]]
NAMES = ("beach", "forest", "glacier", "harbour", "mountain", "street")
CURVES = [
    {"number": n, "loss": 1.5 / n, "accuracy": 0.4 + n / 10, "held_out_loss": 0.5 + 1 / n, "held_out_accuracy": n / 8}
    for n in (1, 2, 3)
]


class Runs(NamedTuple):
    """Trainings of each kind, by id."""

    done: int
    failed: int
    running: int
    queued: int


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages without workers."""
    with serving(tmp_path_factory.mktemp("look") / "phototag-data") as pages:
        with pages.database.transaction() as session:
            add_version(session)
        yield pages


@pytest.fixture(scope="module")
def runs(stack: Pages) -> Runs:
    """One that made a candidate, one that failed, one at work, one that waits."""
    database, blobs = stack.database, open_blobs(DataSettings(data_dir=stack.data_dir, blobs_url=None))
    with database.transaction() as session:
        done, *_ = add_finished_run(session, NAMES, examined(NAMES, 6), blobs=blobs)
    failed = add_run(database)
    with database.transaction() as session:
        claimed = claim_run(session, "w", 600)
        assert claimed is not None
        fail_run(session, claimed, "Too little memory. Take the recipe `gap`.")
    running = add_run(database)
    with database.transaction() as session:
        claimed = claim_run(session, "w", 600)
        assert claimed is not None
        assert report_progress(session, claimed, "head", 3, 11, CURVES)
    return Runs(done, failed, running, add_run(database))


def test_without_labels_it_says_what_to_do_first(stack: Pages, open_tab: Callable[..., Tab], axe: Axe) -> None:
    """Import, or review; nothing can be trained."""
    with stack.database.reading() as session:
        assert session.scalars(select(func.count()).select_from(ReviewHint)).one() == 0
    tab = open_tab("/admin/models")
    tab.until_text("Nobody has given photos a label yet.")

    assert "phototag labels import DIR" in tab.page.inner_text("#pt-main")
    assert tab.page.get_by_role("button", name="Train").count() == 0
    assert tab.page.locator(".pt-top [aria-current]").inner_text() == "Models"
    assert axe(tab, "empty") == []


def test_a_run_is_followed_and_cancelled(runs: Runs, open_tab: Callable[..., Tab]) -> None:
    """Stage, epochs and curves, also after a reload; queued ones in order; cancelling asks first."""
    tab = open_tab("/admin/models")
    tab.until("document.querySelectorAll('.pt-run').length === 4")
    names = tab.page.locator(".pt-run").all_inner_texts()
    tab.page.locator(f'[data-run="{runs.running}"]').click()
    tab.until("!!document.querySelector('.pt-chart .pt-line-main')")
    tab.page.reload()
    tab.until_text("Epoch 3: loss 0.500, 70 % of fitted photos right, 38 % of held-out ones")
    tab.page.locator(".pt-chart summary").first.click()
    cells = tab.page.locator(".pt-chart table").first.locator("tbody tr").last.inner_text().split()
    tab.page.goto(tab.page.url.replace(f"run={runs.running}", f"run={runs.queued}"))
    tab.until_text("One training comes before it")
    tab.page.get_by_role("button", name="Cancel training").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Keep going").click()
    assert tab.page.locator(".pt-chip").inner_text() == "waits"
    tab.page.get_by_role("button", name="Cancel training").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Cancel training").click()
    tab.until_text("It was cancelled. Nothing of it was kept.")
    tab.goto(f"/admin/models?run={runs.failed}")
    tab.until_text("Too little memory. Take the recipe gap.")

    assert [name.split("\n")[0] for name in names[:2]] == [f"Training {runs.running}", f"Training {runs.queued}"]
    assert cells == ["3", "38", "%", "70", "%"]


def test_a_cell_of_the_matrix_opens_its_photos(runs: Runs, open_tab: Callable[..., Tab]) -> None:
    """By keyboard, for both versions; each photo leads to its own view."""
    tab = open_tab(f"/admin/models?run={runs.done}")
    tab.until("!!document.querySelector('.pt-cell-wrong')")
    cell = tab.page.locator(".pt-cell-wrong").first
    photos, words = int(cell.inner_text()), cell.get_attribute("aria-label") or ""
    cell.press("Enter")
    tab.until(f"document.querySelectorAll('dialog .pt-thumbs img').length === {photos}")
    truth = tab.page.locator("dialog .pt-thumb-label").first.inner_text()
    address = tab.page.locator("dialog .pt-thumbs a").first.get_attribute("href") or ""
    tab.page.keyboard.press("Escape")
    tab.until("!document.querySelector('dialog')")
    before = tab.page.locator(".pt-cell").all_inner_texts()
    tab.page.locator(".pt-filters").get_by_role("button", name="first").press("Enter")

    assert f"of {truth}, taken for" in words
    assert address.startswith("/app/library?photo=")
    assert tab.page.locator(".pt-cell").all_inner_texts() != before
    assert tab.page.evaluate("document.activeElement.textContent") == "first"


def test_labels_are_sorted_by_any_column(runs: Runs, open_tab: Callable[..., Tab]) -> None:
    """The worst recall first; a second press turns the order."""
    tab = open_tab(f"/admin/models?run={runs.done}")
    tab.until("!!document.querySelector('.pt-by-label tbody tr')")

    def column(number: int) -> list[str]:
        return tab.page.locator(f".pt-by-label tbody tr > :nth-child({number})").all_inner_texts()

    recall = [int(text.split(" ")[0]) for text in column(4)]
    tab.page.get_by_role("button", name="Label", exact=True).press("Enter")
    names = column(1)
    tab.page.get_by_role("button", name="Label", exact=False).first.press("Enter")

    assert recall == sorted(recall)
    assert names == sorted(NAMES)
    assert column(1) == sorted(NAMES, reverse=True)
    assert tab.page.locator("[aria-sort=descending]").inner_text().startswith("Label")


def test_labels_that_hurt_go_back_to_review(stack: Pages, runs: Runs, open_tab: Callable[..., Tab]) -> None:
    """One, then all, with one click; the page leads to the queue."""
    tab = open_tab(f"/admin/models?run={runs.done}")
    tab.until("!!document.querySelector('#pt-hurting-title')")
    tab.page.locator("section:has(#pt-hurting-title)").get_by_role("button", name="Send back to review:").first.click()
    tab.until_text("1 photo waits for review.")
    tab.page.get_by_role("button", name="Send all 3 back to review").click()
    tab.until_text("3 photos wait for review.")
    with stack.database.reading() as session:
        assert len(session.scalars(select(ReviewHint).where(ReviewHint.reason == "mislabelled")).all()) == 3
    tab.page.get_by_role("link", name="Review them").click()

    tab.until("location.search.includes('queue=mislabelled') && !!document.querySelector('.pt-rev-frame img')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)])
def test_the_pages_read_well(
    runs: Runs, axe: Axe, open_tab: Callable[..., Tab], scheme: str, viewport: tuple[int, int]
) -> None:
    """All trainings, one at work with its table, one with its exam, the photos of a cell; nothing wider than the screen."""
    tab = open_tab("/admin/models", scheme=scheme, viewport=viewport)
    tab.until("!!document.querySelector('.pt-version') && !!document.querySelector('.pt-recipe')")
    found = axe(tab, "all")
    widths = [tab.page.evaluate("document.documentElement.scrollWidth")]
    tab.goto(f"/admin/models?run={runs.running}")
    tab.until("!!document.querySelector('.pt-chart')")
    tab.page.locator(".pt-chart summary").first.click()
    found += axe(tab, "running")
    letters = tab.page.evaluate("document.querySelector('.pt-chart-text').getBoundingClientRect().height")
    widths.append(tab.page.evaluate("document.documentElement.scrollWidth"))
    tab.goto(f"/admin/models?run={runs.done}")
    tab.until("!!document.querySelector('.pt-cell') && document.querySelectorAll('.pt-change-part img').length > 5")
    found += axe(tab, "done")
    cut_off = tab.page.evaluate(
        "document.querySelector('.pt-figures').scrollWidth - document.querySelector('.pt-scroll:has(.pt-figures)').clientWidth"
    )
    widths.append(tab.page.evaluate("document.documentElement.scrollWidth"))
    tab.page.locator(".pt-cell").first.click()
    tab.until("!!document.querySelector('dialog .pt-thumbs img')")
    found += axe(tab, "photos")
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("button", name="Activate").click()
    found += axe(tab, "question")

    assert found == []
    assert widths == [viewport[0]] * 3
    assert cut_off <= 0
    assert letters >= 12, "the numbers of a chart are read on a phone too"
