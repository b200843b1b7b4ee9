"""The Review page in a real browser: by keys alone, by two people at once, a page of photos in one stroke, how fast."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from tests.browser.tab import Tab
from tests.integration.web_batches import finished_batch
from tests.samples import encoded, jpeg, scene
from tests.stack import Pages, phototag_up, wait_until

pytestmark = pytest.mark.browser

FRAME = "document.querySelector('.pt-rev-frame')?.dataset.photo"
LABELS = (
    """[...document.querySelectorAll('.pt-choice')].map((choice) => choice.querySelector('.pt-bar-name').textContent)"""
)
IS_SENT = "JSON.parse(sessionStorage.getItem('pt-review-outbox') ?? '[]').length === 0"
IS_EMPTY = "!!document.querySelector('.pt-rev-end:not([hidden]) .pt-empty')"
TILES = "document.querySelectorAll('.pt-rev-tile').length"
# From a key to the frame in which the next photo is painted, as close as a page can tell.
MEASURE = """
window.painted = [];
let pressed = 0;
document.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
new MutationObserver((changes) => {
  if (!pressed || !changes.some(({ target }) => target.classList?.contains("pt-rev-frame"))) return;
  const from = pressed;
  pressed = 0;
  const picture = document.querySelector(".pt-rev-frame img");
  const isLoaded = Boolean(picture?.complete && picture.naturalWidth);
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => painted.push([performance.now() - from, isLoaded]);
    port2.postMessage(0);
  });
}).observe(document, { childList: true, subtree: true });
"""
# Answers with look-alikes are on their way until nobody wants them any more.
STALL = """
window.stalled = 0;
const real = window.fetch;
window.fetch = async (path, options = {}) => {
  const answer = await real(path, options);
  if (!String(path).endsWith("/alike")) return answer;
  stalled += 1;
  await new Promise((go) => { options.signal.addEventListener("abort", go); });
  return answer;
};
"""


@dataclass(frozen=True)
class Size:
    """How many photos there are, are decided by keys, undone before and after the reload, and are on a page of the grid."""

    photos: int
    decided: int
    undone: int
    undone_later: int
    grid: int
    page: int


SHORT = Size(photos=90, decided=24, undone=6, undone_later=3, grid=75, page=120)
FULL = Size(photos=300, decided=100, undone=10, undone_later=5, grid=230, page=240)


@pytest.fixture(
    scope="module", params=[pytest.param(SHORT, id="short"), pytest.param(FULL, id="full", marks=pytest.mark.slow)]
)
def size(request: pytest.FixtureRequest) -> Size:
    """Of everything in this file."""
    return request.param


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, size: Size) -> Iterator[Pages]:
    """`phototag up` with tagged photos of its own. The tests follow each other in it."""
    with phototag_up(tmp_path_factory.mktemp("review") / "phototag-data") as pages:
        with pages.client() as client:
            # near-duplicates would be shown again when their labels differ
            scenes = (scene(number, 160, 120) for number in range(size.photos))
            finished_batch(client, {f"{number:03d}.jpg": encoded(image, "JPEG") for number, image in enumerate(scenes)})
        yield pages


@pytest.fixture
def open_review(browser: Browser, library: Pages) -> Iterator[Callable[..., Tab]]:
    """Opens the Review page in a browser of its own; afterwards checks that nothing went wrong in it."""
    tabs: list[Tab] = []

    def opened(query: str = "", user: str | None = None, *, script: str = "") -> Tab:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        if script:
            context.add_init_script(script)
        tab = Tab(context.new_page(), library.url)
        tabs.append(tab)
        tab.page.goto(library.login_link(user, role="reviewer") if user else library.login_link())
        tab.goto(f"/review/{query}")
        return tab

    yield opened
    complaints = [complaint for tab in tabs for complaint in tab.complaints()]
    for tab in tabs:
        tab.page.context.close()
    assert complaints == []


def press(tab: Tab, key: str) -> None:
    """A key, after which another photo is on the screen."""
    before = tab.page.evaluate(FRAME)
    tab.page.keyboard.press(key)
    tab.until(f"({FRAME}) !== {before!r} || {IS_EMPTY}")


def seen_by(client: httpx.Client, photo: int) -> tuple[str | None, bool]:
    """What the library shows of a photo, and whether a person said so."""
    shown = client.get(f"/api/library/photos/{photo}").json()
    return shown["shown"], shown["by_person"]


@pytest.mark.timeout(240)
def test_photos_are_decided_by_keys_alone_with_undo_and_reload(
    library: Pages, open_review: Callable[..., Tab], size: Size
) -> None:
    """Labels and history are exactly what the keys said: some decided, some undone, a reload, some more undone."""
    tab = open_review("?queue=never", "Ann")
    tab.until(f"!!({FRAME})")
    with library.client() as client:
        decided: list[tuple[int, str | None, bool]] = []
        before: dict[int, tuple[str | None, bool]] = {}
        keys = itertools.cycle(["Enter", "2", "a", "x", "3", "u", "1", "/"])
        for key in itertools.islice(keys, size.decided):
            photo = int(tab.page.evaluate(FRAME))
            labels = tab.page.evaluate(LABELS)
            before[photo] = seen_by(client, photo)
            if key == "/":
                tab.page.keyboard.press("/")
                tab.page.keyboard.type("Heron", delay=5)
                tab.until("document.querySelector('.pt-option')?.textContent.includes('eron')")
                press(tab, "Enter")
                decided.append((photo, "Heron", True))
                continue
            press(tab, key)
            label = {"Enter": 0, "a": 0, "1": 0, "2": 1, "3": 2}.get(key)
            if key == "u":
                decided.append((photo, before[photo][0], False))
            else:
                decided.append((photo, None if label is None else labels[label], True))
        undone = [photo for photo, *_ in decided[: -size.undone - 1 : -1]]
        for photo in undone:
            tab.page.keyboard.press("z")
            assert tab.page.evaluate(FRAME) == str(photo), "at once, whatever is still on its way"
        tab.until(IS_SENT)
        assert tab.page.evaluate(FRAME) == str(undone[-1]), "what the server answered changed the screen"
        tab.page.reload()
        tab.until(f"!!({FRAME})")
        for photo, *_ in decided[-size.undone - 1 : -size.undone - size.undone_later - 1 : -1]:
            tab.page.keyboard.press("z")
            tab.until(f"({FRAME}) === {str(photo)!r}")
            undone.append(photo)
        tab.until(IS_SENT)

        assert len({photo for photo, *_ in decided}) == size.decided
        for photo, label, by_person in decided:
            expected = before[photo] if photo in undone else (label, by_person)
            assert seen_by(client, photo) == expected
        told = client.get(f"/api/library/photos/{undone[0]}").json()["history"]
    assert len([event for event in told if "Ann" in event["what"]]) == 2, "the verdict and its undo"


def test_a_key_while_look_alikes_are_on_their_way_counts(library: Pages, open_review: Callable[..., Tab]) -> None:
    """However often: the answer that is given up leaves nothing behind that would stop the next key."""
    tab = open_review("?queue=never", "Fay", script=STALL)
    for number in range(1, 4):
        tab.until(f"!!({FRAME}) && window.stalled === {number}")
        press(tab, "Enter")

    tab.until(IS_SENT)


def test_a_key_right_after_escape_counts(open_review: Callable[..., Tab]) -> None:
    """The field of the dialog that has just been closed does not swallow it, however soon it comes."""
    tab = open_review("?queue=never", "Fay")
    tab.until(f"!!({FRAME})")
    for _ in range(10):
        tab.page.keyboard.press("/")
        tab.until("!!document.querySelector('.pt-option')")
        tab.page.keyboard.press("Escape")
        tab.page.keyboard.press("?")
        tab.until("!!document.querySelector('.pt-keys')", timeout_s=5)
        tab.page.keyboard.press("Escape")
        tab.until("!document.querySelector('dialog')")


@pytest.mark.timeout(300)
def test_two_people_review_one_queue_and_never_meet(
    library: Pages, open_review: Callable[..., Tab], size: Size
) -> None:
    """All photos that were left are decided, each once."""
    first, second = open_review("?queue=mixed", "Bea"), open_review("?queue=mixed", "Cem")
    decided: dict[Tab, list[str]] = {first: [], second: []}
    for tab in decided:
        tab.until(f"!!({FRAME})")
    deadline = time.monotonic() + 240
    tabs = list(decided)
    while tabs:
        assert time.monotonic() < deadline, {tab.url: len(photos) for tab, photos in decided.items()}
        for tab in list(tabs):
            if tab.page.evaluate(IS_EMPTY):
                tabs.remove(tab)
            elif photo := tab.page.evaluate(FRAME):
                decided[tab].append(photo)
                press(tab, "Enter")
    for tab in decided:
        tab.until(IS_SENT)

    everything = [photo for photos in decided.values() for photo in photos]
    assert len(everything) == len(set(everything)), "a photo was decided twice"
    assert min(map(len, decided.values())) >= size.photos / 6, "one of them got nothing"
    with library.client() as client:
        queues = client.get("/api/review/counts").json()["queues"]
        assert {name: photos for name, photos in queues.items() if name != "second_opinion"} == dict.fromkeys(
            (name for name in queues if name != "second_opinion"), 0
        )


def test_a_page_is_relabelled_in_one_stroke_and_restored_by_one_undo(
    library: Pages, open_review: Callable[..., Tab], size: Size
) -> None:
    """A page of one label: all selected, another label, undone."""
    with library.client() as client:
        finished_batch(
            client, {f"red{n:03d}.jpg": jpeg(64, 48, colour=(230, 20, 20)) + f" {n}".encode() for n in range(size.grid)}
        )
        shown = photos_of(client)
        tab = open_review("?mode=grid", "Dan")
        tab.until(f"{TILES} >= 50")
        tab.page.select_option(".pt-rev-size", str(size.page))
        tab.until(f"{TILES} >= {size.grid * 0.87:.0f}")
        on_page = tab.page.evaluate(
            "[...document.querySelectorAll('.pt-rev-tile')].map((tile) => Number(tile.dataset.id))"
        )
        tab.page.keyboard.press("Control+a")
        tab.page.keyboard.press("/")
        tab.page.keyboard.type("Tomato")
        tab.until("document.querySelector('.pt-option')?.textContent.includes('Tomato')")
        tab.page.keyboard.press("Enter")
        tab.until(IS_SENT)
        wait_until(lambda: sum(label == "Tomato" for label, _ in photos_of(client).values()) > 0, "they are relabelled")
        relabelled = photos_of(client)
        tab.page.keyboard.press("z")
        tab.until_text("have their earlier labels again")

        assert len(on_page) >= size.grid * 0.87, "but for the random sample all are on the page"
        assert {photo for photo, (label, _) in relabelled.items() if label == "Tomato"} == set(on_page)
        assert photos_of(client) == shown


def photos_of(client: httpx.Client) -> dict[int, tuple[str | None, Any]]:
    """Label and score that the library shows, by photo."""
    found: dict[int, tuple[str | None, Any]] = {}
    after = ""
    while True:
        page = client.get(
            "/api/library", params={"sort": "newest", "limit": 240, "after": after, "state": "tagged"}
        ).json()
        found |= {photo["id"]: (photo["shown"], photo["score"]) for photo in page["photos"]}
        if not page["more_after"]:
            return found
        after = page["photos"][-1]["cursor"]


def test_the_next_photo_is_painted_at_once(
    shared: Path, library: Pages, open_review: Callable[..., Tab], size: Size
) -> None:
    """From the key to the frame with the next photo: under 150 ms, at four keys a second, photos of real size."""
    with library.client() as client:
        paths = sorted((shared / "photos" / "library").rglob("*.JPEG"))[:60]
        finished_batch(client, {path.name: path.read_bytes() for path in paths})
    tab = open_review("?name=jpeg", "Eve", script=MEASURE)
    tab.until("document.querySelector('.pt-rev-frame img')?.naturalWidth > 0")
    time.sleep(2)  # the photos ahead are loaded while a person looks at the first one
    for _ in range(40):
        tab.page.keyboard.press("Enter")
        time.sleep(0.25)
    painted = tab.page.evaluate("window.painted")
    tab.until(IS_SENT)

    times = sorted(took for took, _ in painted)
    assert len(times) >= 38
    assert statistics.median(times) < 100, times
    # the machine may be at work with other tests: then some frames come late, whatever the page does
    assert times[int(len(times) * (0.95 if size is FULL else 0.8))] < 150, times
    assert sum(loaded for _, loaded in painted) >= len(painted) - 2, "photos were not there when their turn came"
