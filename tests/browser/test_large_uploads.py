"""What takes minutes in a browser: a real library with the real network, thousands of files, more than a gigabyte."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from sqlalchemy import func, select

from db.schema import Item
from tests.browser.tab import FINISHED, ON_BATCH, Tab
from tests.samples import jpeg
from tests.stack import Pages, phototag_up

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

MANY = 3000


@pytest.fixture
def real_network(tmp_path: Path) -> Iterator[Pages]:
    """`phototag up` with VGG16 and the starter head."""
    with phototag_up(tmp_path / "phototag-data", PHOTOTAG_BACKBONE="vgg16", PHOTOTAG_OFFLINE="1") as pages:
        yield pages


def opened(browser: Browser, pages: Pages) -> Tab:
    """A logged-in tab on the Tag page."""
    tab = Tab(browser.new_page(), pages.url)
    tab.page.goto(pages.login_link())
    return tab


def test_a_library_goes_as_one_archive_through_the_page_and_the_real_network(
    browser: Browser, real_network: Pages, shared: Path, tmp_path: Path
) -> None:
    """All 200 photos of it are tagged."""
    library = sorted(path for path in (shared / "photos" / "library").rglob("*") if path.is_file())
    with zipfile.ZipFile(tmp_path / "library.zip", "w") as archive:
        for path in library:
            archive.write(path, path.relative_to(shared / "photos").as_posix())
    tab = opened(browser, real_network)

    tab.page.set_input_files("#pt-choose-photos", tmp_path / "library.zip")
    tab.until(ON_BATCH, 120)
    tab.until(FINISHED, 600)

    assert "200 of 200 photos tagged" in tab.page.locator(".pt-progress").inner_text()
    assert tab.complaints() == []


def test_thousands_of_files_of_a_folder_arrive(browser: Browser, stack: Pages, tmp_path: Path) -> None:
    """More than a browser's or Gradio's limit of files in one request."""
    folder = tmp_path / "Everything"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"IMG_{number:05d}.jpg").write_bytes(jpeg(32, 24, colour=(number % 251, number // 251, 90)))
    tab = opened(browser, stack)

    tab.page.set_input_files("#pt-choose-folder", folder)
    tab.until(ON_BATCH, 300)
    tab.until(FINISHED, 300)

    assert f"{MANY:,} of {MANY:,} photos tagged" in tab.page.locator(".pt-progress").inner_text()
    assert tab.complaints() == []


def test_an_archive_of_more_than_a_gigabyte_arrives(browser: Browser, stack: Pages, tmp_path: Path) -> None:
    """In pieces, without the page or the server holding it in memory; what is no photo in it is refused."""
    with zipfile.ZipFile(tmp_path / "big.zip", "w") as archive:
        archive.writestr("photo.jpg", jpeg())
        for number in range(22):
            archive.writestr(f"clip_{number}.mp4", os.urandom(50_000_000))
    tab = opened(browser, stack)

    tab.page.set_input_files("#pt-choose-photos", tmp_path / "big.zip")
    tab.until(ON_BATCH, 500)
    tab.until(FINISHED, 300)

    text = tab.page.locator(".pt-progress").inner_text()
    assert "1 of 23 photos tagged" in text
    with stack.database.reading() as session:
        refused = session.scalar(
            select(func.count()).select_from(Item).where(Item.state == "refused", Item.path.contains("clip"))
        )
    assert refused == 22
    assert tab.complaints() == []
