"""A browser in front of `phototag up`. Skipped, with the reason, where there is no Chromium; fails in CI."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.tab import Tab
from tests.stack import Pages, phototag_up

AXE = "axe-core@4"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Quiet: a test must not wait for what a browser does for its maker.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for the tests of a file.

    Not for all tests: as long as it is there Playwright keeps an event loop running in this thread, and no other test
    could start one.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = "There is no Chromium on this machine; install it with the system's packages"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """`phototag up` with the tiny backbone."""
    with phototag_up(tmp_path_factory.mktemp("browser") / "phototag-data") as pages:
        yield pages


@pytest.fixture
def open_tab(browser: Browser, stack: Pages) -> Iterator[Callable[..., Tab]]:
    """Opens a tab that is logged in; afterwards checks that nothing went wrong in it."""
    tabs: list[Tab] = []

    def opened(path: str = "/app/", *, viewport: tuple[int, int] = (1280, 800), scheme: str = "light") -> Tab:
        context = browser.new_context(
            viewport={"width": viewport[0], "height": viewport[1]},
            color_scheme=scheme,  # pyright: ignore[reportArgumentType] - light or dark
            accept_downloads=True,
        )
        tab = Tab(context.new_page(), stack.url)
        tabs.append(tab)
        tab.page.goto(stack.login_link())
        if path != "/app/":
            tab.page.goto(stack.url + path)
        return tab

    yield opened
    complaints = [complaint for tab in tabs for complaint in tab.complaints()]
    for tab in tabs:
        tab.page.context.close()
    assert complaints == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """A tab on the Tag page."""
    return open_tab()


@pytest.fixture
def page(tab: Tab) -> Page:
    """Playwright's page of `tab`."""
    return tab.page


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """An empty folder for photos."""
    folder = tmp_path / "Summer 2024"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def axe_script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core. Fetched from npm, never kept; its tests are skipped without it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here to fetch axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    fetched = subprocess.run(
        [npm, "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    if fetched.returncode != 0:
        pytest.skip(f"axe-core cannot be fetched: {fetched.stderr.strip()[-200:]}")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as package:
        member = package.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@pytest.fixture
def axe(axe_script: str) -> Callable[[Tab, str], list[str]]:
    """What is wrong in a tab for who cannot see (WCAG 2.2 AA and best practice), each with the place it was asked at."""

    def violations(tab: Tab, where: str) -> list[str]:
        tab.page.evaluate(axe_script)
        answer = tab.page.evaluate("(rules) => axe.run(document, {runOnly: rules})", AXE_RULES)
        return [
            f"{where}: {violation['id']} {node['target']} {node['failureSummary'][:200]}"
            for violation in answer["violations"]
            for node in violation["nodes"]
        ]

    return violations
