"""What a person does on the Models page, in a real browser: decide on a candidate, queue trainings, cancel and apply a re-tag."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Route
from sqlalchemy import select

from db.activations import activate_version
from db.blobs import open_blobs
from db.model_versions import active_version, get_version
from db.retag_showing import apply_some
from db.retags import last_retag
from db.schema import Photo
from db.settings import DataSettings
from db.training_views import get_run, list_runs
from tests.browser.tab import Tab
from tests.model_rows import add_finished_run, examined
from tests.retag_rows import activate_next, tagged_library, work_on_retag
from tests.review_rows import shown_of
from tests.samples import encoded, scene
from tests.stack import Pages, serving
from tests.store import sha256_of

pytestmark = pytest.mark.browser

FEW = ("beach", "forest", "glacier", "harbour")
MANY = tuple(f"place {number}" for number in range(60))
# of place 0 four photos are taken for place 1: the most frequent mistake
MANY_ANSWERS = [*examined(MANY, 1), *[(0, 1, 0)] * 4]
# The least contrast of the numbers in the matrix with their cells, which are mixed from colours of the theme.
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return Math.min(...[...document.querySelectorAll(".pt-cell")].map((cell) => {
    const { color, backgroundColor } = getComputedStyle(cell);
    const [low, high] = [light(color), light(backgroundColor)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }));
})()
"""


class Library(NamedTuple):
    """Pages without workers, and runs that are over, by id."""

    pages: Pages
    few: int
    many: int


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages without workers. The tests share one library and follow each other in it."""
    with serving(tmp_path_factory.mktemp("acting") / "phototag-data") as pages:
        yield pages


@pytest.fixture(scope="module")
def library(stack: Pages) -> Library:
    """Ten photos that "first" has tagged, and the exams of two trainings."""
    tagged_library(stack.database, 10)
    blobs = open_blobs(DataSettings(data_dir=stack.data_dir, blobs_url=None))
    for number in range(10):
        blobs.write_preview(sha256_of(number), 320, encoded(scene(number, 160, 120), "WEBP"))
    with stack.database.transaction() as session:
        few, *_ = add_finished_run(session, FEW, examined(FEW, 12), version="few")
        many, *_ = add_finished_run(session, MANY, MANY_ANSWERS, version="many", gate="thin", blobs=blobs)
    return Library(stack, few, many)


@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)])
def test_sixty_labels_can_be_looked_through(
    library: Library, open_tab: Callable[..., Tab], viewport: tuple[int, int]
) -> None:
    """Instead of a matrix the most frequent mistakes, each with its photos; the table shows some and then all."""
    tab = open_tab(f"/admin/models?run={library.many}", viewport=viewport)
    tab.until("!!document.querySelector('.pt-pair')")
    rows = tab.page.locator(".pt-by-label tbody tr")
    some = rows.count()
    tab.page.get_by_role("button", name="Show all 60 labels").press("Enter")
    tab.page.get_by_role("button", name="Label", exact=True).press("Enter")
    names = tab.page.locator(".pt-by-label tbody th").all_inner_texts()
    pairs = [text.split("\n") for text in tab.page.locator(".pt-pair").all_inner_texts()]
    tab.page.locator(".pt-pair").first.press("Enter")
    photos = int(pairs[0][1])
    tab.until(f"document.querySelectorAll('dialog .pt-thumbs img').length === {photos}")
    edges = tab.page.evaluate(
        "(({ left, right }) => [left, right])(document.querySelector('dialog').getBoundingClientRect())"
    )
    inner = tab.page.evaluate(
        "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('dialog'))"
    )
    said = tab.page.locator("dialog .pt-thumb-label").all_inner_texts()

    assert (some, names) == (12, list(MANY))
    assert pairs[0][0] == "place 0 → place 1"
    assert [int(number) for _, number in pairs] == sorted((int(number) for _, number in pairs), reverse=True)
    assert said == ["place 0"] * photos
    assert tab.page.evaluate("document.documentElement.scrollWidth") == viewport[0]
    assert (edges[0] > 0, edges[1] < viewport[0], inner) == (True, True, 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_in_the_matrix_are_read_on_every_cell(
    library: Library, open_tab: Callable[..., Tab], scheme: str
) -> None:
    """Pale or full, in both themes: at least 4.5 to 1. The heads of rows and columns stay while it is scrolled."""
    tab = open_tab(f"/admin/models?run={library.few}", scheme=scheme)
    tab.until("!!document.querySelector('.pt-cell-wrong') && !!document.querySelector('.pt-cell-right')")

    assert tab.page.evaluate(CONTRAST) >= 4.5
    assert tab.page.evaluate("getComputedStyle(document.querySelector('.pt-matrix thead th')).position") == "sticky"


def test_a_candidate_is_rejected(library: Library, open_tab: Callable[..., Tab]) -> None:
    """After a question; it says so, tags nothing, and can be activated later all the same."""
    tab = open_tab(f"/admin/models?run={library.few}")
    tab.until("!!document.querySelector('.pt-gate')")
    tab.page.get_by_role("button", name="Reject").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert outcome(library, library.few) is None
    tab.page.get_by_role("button", name="Reject").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Reject").click()
    tab.until_text("It was rejected; it stays in the list of versions.")

    assert outcome(library, library.few) == "rejected"
    assert tab.page.get_by_role("button", name="Reject").count() == 0
    assert tab.page.get_by_role("button", name="Activate").count() == 1
    assert tab.page.locator(".pt-chip").inner_text() == "rejected"
    tab.goto("/admin/models")
    tab.until("!!document.querySelector('.pt-version')")
    assert tab.page.locator(f'[data-run="{library.few}"] .pt-chip').inner_text() == "rejected"
    assert "active" in tab.page.locator('[data-version="first"]').inner_text()


def test_whoever_activates_too_late_is_told_and_sees_what_is_active(
    library: Library, open_tab: Callable[..., Tab]
) -> None:
    """The question stays open with the reason; asked anew it is about the version that is active by then."""
    tab = open_tab(f"/admin/models?run={library.many}")
    tab.expected_statuses.add(409)
    tab.until("!!document.querySelector('.pt-gate')")
    tab.page.get_by_role("button", name="Activate").click()
    activate(library, "few")
    tab.page.get_by_role("dialog").get_by_role("button", name="Activate").click()
    tab.until_text("The active version is “few”, another one than expected. Look again, then decide again.")
    assert active_name(library) == "few"

    tab.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    tab.page.get_by_role("button", name="Activate").click()
    assert "You can go back to “few” at any time." in tab.page.get_by_role("dialog").inner_text()
    tab.page.get_by_role("dialog").get_by_role("button", name="Activate").click()
    tab.until_text("It is the active version")
    assert active_name(library) == "many"


def test_of_two_trainings_one_is_cancelled_and_the_other_moves_up(
    library: Library, open_tab: Callable[..., Tab]
) -> None:
    """Both asked for on the page; each says what comes before it; what was cancelled can be begun again."""
    tab = open_tab("/admin/models")
    ids = [train(tab), train(tab)]
    tab.until_text("One training comes before it")
    tab.goto("/admin/models")
    tab.until(f"!!document.querySelector('[data-run=\"{ids[1]}\"]')")
    waiting = [text.split("\n") for text in tab.page.locator(".pt-run").all_inner_texts()[:2]]
    tab.page.locator(f'[data-run="{ids[0]}"]').click()
    tab.page.get_by_role("button", name="Cancel training").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Cancel training").click()
    tab.until_text("It was cancelled. Nothing of it was kept.")
    tab.page.get_by_role("link", name="Train again").click()
    tab.until_text("Begins in a moment")

    assert [(name, words) for name, _, words, *_ in waiting] == [
        (f"Training {ids[0]}", "Begins in a moment"),
        (f"Training {ids[1]}", "One training comes before it"),
    ]
    assert tab.page.locator(".pt-run").first.get_attribute("data-run") == str(ids[1])
    with library.pages.database.reading() as session:
        states = {run.id: (run.state, run.version) for run in list_runs(session)}
    assert [states[run_id] for run_id in ids] == [("cancelled", None), ("queued", None)]


def test_a_retag_is_cancelled_and_goes_on_later(library: Library, open_tab: Callable[..., Tab]) -> None:
    """What photos show stays; the page says how far it came, shows what that would change, and goes on with the rest."""
    database = library.pages.database
    with database.transaction() as session:
        second = activate_next(session, "second")
    before = shown(library)
    tab = open_tab("/admin/models")
    tab.page.get_by_role("button", name="Re-tag", exact=True).click()
    tab.until("!!document.querySelector('.pt-retag .pt-bar')")
    with database.transaction() as session:
        assert work_on_retag(session, second, 4) == 4
    tab.until_text(f"4 of {len(before)} photos looked at again")
    tab.page.locator(".pt-retag").get_by_role("button", name="Cancel").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Keep going").click()
    assert retag_state(library) == "running"
    tab.page.locator(".pt-retag").get_by_role("button", name="Cancel").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
    tab.until_text(f"The last re-tag was cancelled when 4 of {len(before)} photos had been looked at; that is kept.")

    assert retag_state(library) == "cancelled"
    assert "4 photos would show another label" in tab.page.locator(".pt-retag").inner_text()
    assert changed(before, shown(library)) == set()
    tab.page.get_by_role("button", name="Go on with the re-tag").click()
    tab.until_text(f"0 of {len(before) - 4} photos looked at again")
    with database.transaction() as session:
        work_on_retag(session, second, 1000)
    tab.until_text("10 photos would show another label")
    assert (retag_state(library), changed(before, shown(library))) == ("finished", set())


def test_applying_goes_on_after_a_reload(
    library: Library, open_tab: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page was left when three photos were done: back on it the others follow, without a click."""
    monkeypatch.setattr("db.retag_showing.GROUP", 3)
    database = library.pages.database
    before = shown(library)
    with database.reading() as session:
        second = get_version(session, "second").id
    tab = open_tab("/admin/models")
    answers: list[Route] = []

    def answer(route: Route) -> None:
        answers.append(route)
        if len(answers) == 1:
            applied = apply_some(database, second, limit_s=0)
            route.fulfill(json={"done": applied.done, "left": applied.left})

    tab.page.route("**/api/models/retag/apply", answer)
    tab.page.get_by_role("button", name="Apply all").click()
    tab.until_text("Photos show what “second” says: 3 of ")
    assert (len(answers), len(changed(before, shown(library)))) == (2, 3)
    tab.page.unroute("**/api/models/retag/apply")
    tab.page.reload()
    tab.until_text("Done: photos show what “second” says. What people said stayed as it was.")

    after = shown(library)
    assert {row["shown_model_version_id"] for row in after.values()} == {second}
    assert all(before[n]["shown_origin"] == "model" for n in changed(before, after))
    assert len(changed(before, after)) == 10
    tab.page.reload()
    tab.until("!!document.querySelector('.pt-retag-start')")
    assert tab.page.evaluate("localStorage.getItem('pt-retag')") is None


def train(tab: Tab) -> int:
    """Asks for a training on the page; its id."""
    tab.goto("/admin/models")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    return int(tab.until("location.search.startsWith('?run=') && location.search.slice(5)"))


def changed(before: dict[int, dict[str, Any]], after: dict[int, dict[str, Any]]) -> set[int]:
    """Photos that show another label, another score, or another one's word."""
    names = ("shown_label_id", "shown_score", "shown_origin")
    return {n for n, row in before.items() if any(row[name] != after[n][name] for name in names)}


def shown(library: Library) -> dict[int, dict[str, Any]]:
    """All that each photo shows."""
    with library.pages.database.reading() as session:
        return shown_of(session, session.scalars(select(Photo.id)).all())


def retag_state(library: Library) -> str:
    """Of the newest re-tag."""
    with library.pages.database.reading() as session:
        batch = last_retag(session)
        assert batch is not None
        return batch.state


def outcome(library: Library, run_id: int) -> str | None:
    """What became of the run's candidate."""
    with library.pages.database.reading() as session:
        return get_run(session, run_id).run.outcome


def active_name(library: Library) -> str:
    """The version that tags."""
    with library.pages.database.reading() as session:
        active = active_version(session)
        assert active is not None
        return active.name


def activate(library: Library, name: str) -> None:
    """As somebody else does it meanwhile."""
    with library.pages.database.transaction() as session:
        before = active_version(session)
        assert before is not None
        version_id = get_version(session, name).id
        activate_version(session, version_id, expected_id=before.id, user=None, reason="test")
