"""The Tag page in a real browser: one photo, many, a folder, an archive; breaks, reloads, and what it says."""

import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from tests.browser.tab import FINISHED, ON_BATCH, Tab
from tests.samples import jpeg
from tests.stack import Pages

pytestmark = pytest.mark.browser

RESULT = "!!document.querySelector('.pt-single .pt-bars')"
DROP = """([name, files]) => {
  const transfer = new DataTransfer();
  for (const [path, size] of files) transfer.items.add(new File([new Uint8Array(size).fill(7)], path, {type: "image/jpeg"}));
  for (const type of ["dragover", "drop"]) {
    document.querySelector(name).dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: transfer}));
  }
}"""


def fill(folder: Path, count: int, size: tuple[int, int] = (320, 240)) -> Path:
    """Photos that differ."""
    for number in range(count):
        colour = (40 + number * 7 % 200, 30 + number * 31 % 200, 90)
        (folder / f"IMG_{number:04d}.jpg").write_bytes(jpeg(*size, colour=colour))
    return folder


def test_one_photo_shows_its_labels_as_bars_within_two_seconds(tab: Tab, photos: Path) -> None:
    """On a warm worker; with what the version is."""
    first, second = photos / "first.jpg", photos / "second.jpg"
    first.write_bytes(jpeg(colour=(250, 10, 10)))
    second.write_bytes(jpeg(1600, 1200, colour=(10, 250, 10)))
    tab.page.set_input_files("#pt-choose-photos", first)
    tab.until(RESULT, 60)

    tab.page.set_input_files("#pt-choose-photos", second)
    began = time.monotonic()
    tab.until("document.querySelector('.pt-single-name')?.textContent.includes('second.jpg') && " + RESULT)
    took_s = time.monotonic() - began

    bars = tab.page.locator(".pt-bars li")
    assert bars.count() == 5
    widths = [bar.bounding_box() for bar in tab.page.locator(".pt-bar-fill").all()]
    assert [box["width"] for box in widths if box] == sorted((box["width"] for box in widths if box), reverse=True)
    assert "The tiny version" in tab.page.locator("#pt-starter").inner_text()
    assert tab.page.locator(".pt-single img").get_attribute("alt") == "second.jpg"
    assert took_s < 2 * _slowness(), f"{took_s:.1f} s"


def test_a_file_that_is_no_photo_is_refused_in_words(tab: Tab, photos: Path) -> None:
    """Not a crash, and the next photo can be dropped."""
    (photos / "notes.jpg").write_text("not a photo at all")

    tab.page.set_input_files("#pt-choose-photos", photos / "notes.jpg")

    tab.until_text("This photo was not tagged: the content is not a photo")
    assert tab.page.locator("#pt-choose-photos").count() == 1
    assert tab.page.locator(".pt-zone").is_visible()


def test_a_folder_becomes_a_batch_that_fills_by_itself(tab: Tab, photos: Path) -> None:
    """With its paths, its refusals and its name; the reload survives, the results download."""
    fill(photos, 70)
    (photos / "inner").mkdir()
    (photos / "inner" / "<b>bold<b>.jpg").write_bytes(jpeg(colour=(1, 99, 3)))
    (photos / "empty.jpg").write_bytes(b"")
    (photos / ".DS_Store").write_bytes(b"junk")

    tab.page.set_input_files("#pt-choose-folder", photos)
    tab.until(ON_BATCH, 60)
    address = tab.page.url
    tab.page.reload()
    tab.until(FINISHED, 60)

    assert tab.page.url == address
    assert tab.page.locator("h1").inner_text() == "Summer 2024"
    text = tab.page.locator(".pt-progress").inner_text()
    assert "71 of 72 photos tagged" in text
    assert "1 refused" in text
    assert "the file is empty" in text
    assert "1 other file skipped" in text
    tab.page.mouse.wheel(0, 4000)
    tab.until("document.querySelectorAll('.pt-tile').length === 72")
    assert tab.page.locator("b").count() == 0
    with tab.page.expect_download() as downloaded:
        tab.page.get_by_role("link", name="Download CSV").click()
    lines = downloaded.value.path().read_text().splitlines()
    assert downloaded.value.suggested_filename == "Summer 2024-results.csv"
    assert len(lines) == 1 + 73
    assert sum(line.startswith("Summer 2024/IMG_") for line in lines) == 70


def test_an_archive_becomes_a_batch(tab: Tab, photos: Path) -> None:
    """Unpacked by a worker; a broken one says what it is."""
    with zipfile.ZipFile(photos / "holiday.zip", "w") as archive:
        for path in fill(photos, 12).glob("*.jpg"):
            archive.write(path, f"beach/{path.name}")
    (photos / "broken.zip").write_bytes((photos / "holiday.zip").read_bytes()[:3000])

    tab.page.set_input_files("#pt-choose-photos", photos / "holiday.zip")
    tab.until(ON_BATCH, 60)
    tab.until(FINISHED, 60)
    assert "12 of 12 photos tagged" in tab.page.locator(".pt-progress").inner_text()

    tab.goto("/app/")
    tab.page.set_input_files("#pt-choose-photos", photos / "broken.zip")
    tab.until(ON_BATCH, 60)
    tab.until_text("Nothing of this batch could be tagged: the archive is damaged or cut off")


def test_files_dropped_anywhere_on_the_page_are_taken(tab: Tab) -> None:
    """Beside the zone a browser would leave the page and show the photo."""
    tab.until("!!document.querySelector('.pt-zone')")

    tab.page.evaluate(DROP, ["h1", [["a.jpg", 10], ["b.jpg", 20]]])

    tab.until(ON_BATCH, 60)
    tab.until(FINISHED, 60)
    assert "2 refused" in tab.page.locator(".pt-progress").inner_text()


WALK = """async (module) => {
  const { fromDrop, nameOf } = await import(module);
  const file = (path) => ({ isFile: true, fullPath: path, file: (found) => found(new File(["x"], path)) });
  const folder = (path, inner) => ({ fullPath: path, createReader: () => {
    const rest = [...inner];  // a browser gives some at a time, and an empty list at the end
    return { readEntries: (found) => found(rest.splice(0, 2)) };
  } });
  const tree = folder("/Trip", [file("/Trip/1.jpg"), file("/Trip/2.jpg"), folder("/Trip/day", [file("/Trip/day/3.jpg")])]);
  const items = [tree, file("/4.jpg")].map((entry) => ({ kind: "file", webkitGetAsEntry: () => entry }));
  const files = await fromDrop({ items: [...items, { kind: "string" }] });
  return [files.map(({ path }) => path).sort(), nameOf(files), nameOf(files.slice(0, 3))];
}"""


def test_dropped_folders_are_walked(tab: Tab) -> None:
    """All their entries, some at a time, with their paths."""
    boot = tab.page.evaluate("document.querySelector('script[src$=\"boot.js\"]').src")

    paths, name, folder_name = tab.page.evaluate(WALK, boot.replace("boot.js", "files.js"))

    assert paths == ["4.jpg", "Trip/1.jpg", "Trip/2.jpg", "Trip/day/3.jpg"]
    assert (name, folder_name) == ("4 files", "Trip")


def test_an_upload_goes_on_by_itself_after_the_connection_broke(tab: Tab, photos: Path) -> None:
    """The page says that it tries again; no file is sent twice, none is missing."""
    fill(photos, 30)
    requests: list[str] = []

    def flaky(route: Route) -> None:
        requests.append(route.request.url)
        if 8 <= len(requests) < 16:
            route.abort("connectionreset")
        else:
            route.continue_()

    tab.page.route("**/api/batches/*/files/*", flaky)
    tab.page.set_input_files("#pt-choose-folder", photos)

    tab.until_text("The connection broke off. Trying again")
    tab.until(ON_BATCH, 90)
    tab.until(FINISHED, 60)
    assert "30 of 30 photos tagged" in tab.page.locator(".pt-progress").inner_text()
    assert len(requests) == 38
    tab.page.unroute_all()
    _forget_aborted(tab)


def test_the_same_files_go_on_after_a_reload(tab: Tab, photos: Path) -> None:
    """One batch, and what had arrived is not sent again."""
    fill(photos, 24)
    sent: list[str] = []
    held = {"on": True}

    def stuck(route: Route) -> None:
        sent.append(route.request.url.partition("/files/")[2].partition("?")[0])
        if held["on"] and len(sent) > 10:
            route.abort("connectionreset")
        else:
            route.continue_()

    tab.page.route("**/api/batches/*/files/*", stuck)
    tab.page.set_input_files("#pt-choose-folder", photos)
    tab.until_text("The connection broke off. Trying again")
    arrived = set(sent[:10])
    tab.page.on("dialog", lambda dialog: dialog.accept())
    tab.page.reload()
    tab.until("!!document.querySelector('.pt-zone')")
    held["on"] = False
    sent.clear()
    tab.page.set_input_files("#pt-choose-folder", photos)
    tab.until(ON_BATCH, 60)
    tab.until(FINISHED, 60)

    assert not arrived & set(sent)
    assert len(sent) == 14
    assert "24 of 24 photos tagged" in tab.page.locator(".pt-progress").inner_text()
    tab.page.unroute_all()
    _forget_aborted(tab)


def test_a_large_file_travels_in_chunks_and_shows_how_far_it_is(tab: Tab, photos: Path) -> None:
    """Files, bytes and rate; a film is given up after its first chunk."""
    photo = photos / "large.jpg"
    photo.write_bytes(jpeg() + bytes(30_000_000))
    (photos / "film.mov").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(120_000_000))
    offsets: list[str] = []

    def slow(route: Route) -> None:
        offsets.append(route.request.url)
        time.sleep(0.15)
        route.continue_()

    tab.page.route("**/api/batches/*/files/*", slow)
    tab.page.set_input_files("#pt-choose-folder", photos)
    tab.until_text(" of 2 files")
    tab.until("/[\\d.]+ MB of 15\\d MB/.test(document.querySelector('.pt-numbers')?.innerText ?? '')")
    tab.until("/MB\\/s/.test(document.querySelector('.pt-numbers')?.innerText ?? '')")
    tab.until(ON_BATCH, 90)
    tab.until(FINISHED, 60)

    of_film = [url for url in offsets if "film.mov" in url]
    assert len(of_film) == 1
    assert len(offsets) - len(of_film) >= 4
    assert "the file is larger than the limit for one photo" in tab.page.locator(".pt-progress").inner_text()
    tab.page.unroute_all()


def test_what_is_accepted_is_written_there(page: Page, tab: Tab) -> None:
    """Formats and limits, from the server's settings."""
    tab.until_text("What you can drop")
    tab.until_text("up to 100 MB each")

    assert "up to 20 GB each" in page.locator(".pt-accepted").inner_text()


def test_seven_tabs_open_and_work(stack: Pages, open_tab: Callable[..., Tab], photos: Path) -> None:
    """A browser has six connections to a server; endless streams would use them up."""
    first = open_tab()
    context = first.page.context
    others = []
    for _ in range(6):
        other = Tab(context.new_page(), stack.url)
        other.goto("/app/")
        other.until("!!document.querySelector('.pt-accepted dd')")
        others.append(other)
    photo = photos / "a.jpg"
    photo.write_bytes(jpeg(colour=(9, 200, 30)))

    others[-1].page.set_input_files("#pt-choose-photos", photo)

    others[-1].until(RESULT)


def _slowness() -> float:
    """How much slower than a machine of its own this one is: tests share it."""
    began = time.process_time(), time.perf_counter()
    sum(range(3_000_000))
    used, passed = time.process_time() - began[0], time.perf_counter() - began[1]
    return max(1.5, 2 * passed / max(used, 0.001))


def _forget_aborted(tab: Tab) -> None:
    tab.heard[:] = [heard for heard in tab.heard if "ERR_CONNECTION_RESET" not in heard]
