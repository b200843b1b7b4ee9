"""The Admin page and the login page in a real browser: people, tokens shown once, the log, one's own password."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from db.api_tokens import find_bearer
from db.passwords import hash_password
from db.users import add_user, find_user
from tests.browser.tab import Tab
from tests.stack import Pages, serving

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
Axe = Callable[[Tab, str], list[str]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages with two people; no workers are needed."""
    with serving(tmp_path_factory.mktemp("admin") / "phototag-data") as pages:
        hashed = hash_password(PASSWORD)
        with pages.database.transaction() as session:
            add_user(session, "ann", "reviewer", hashed)
            add_user(session, "zoe", "owner", hashed)
        yield pages


@pytest.fixture
def stranger(browser: Browser, stack: Pages) -> Iterator[Tab]:
    """A tab of nobody."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    tab = Tab(context.new_page(), stack.url)
    tab.expected_statuses |= {401, 422}
    yield tab
    complaints = tab.complaints()
    context.close()
    assert complaints == []


def log_in(tab: Tab, name: str, password: str = PASSWORD) -> None:
    """Types a name and a password and presses Enter."""
    tab.page.get_by_label("Name").fill(name)
    tab.page.get_by_label("Password").fill(password)
    tab.page.keyboard.press("Enter")


def test_a_person_logs_in_by_keyboard_and_comes_to_the_page_that_was_asked_for(stranger: Tab) -> None:
    """After a wrong password the error is announced and the cursor is in the password."""
    stranger.goto("/app/batches")
    stranger.page.keyboard.type("ann")
    stranger.page.keyboard.press("Tab")
    stranger.page.keyboard.type("wrong")
    stranger.page.keyboard.press("Enter")
    stranger.until("!!document.querySelector('[role=alert]')")
    focused = stranger.page.evaluate("document.activeElement.name")
    stranger.page.keyboard.type(PASSWORD)
    stranger.page.keyboard.press("Enter")
    stranger.until(
        "location.pathname === '/app/batches' && document.querySelector('.pt-me-name')?.textContent === 'ann'"
    )

    assert focused == "password"


def test_one_s_own_password_is_changed_in_the_menu(stranger: Tab) -> None:
    """A wrong old one is said in the dialog; afterwards this browser is still in, and the new one works."""
    stranger.goto("/login")
    log_in(stranger, "zoe")
    stranger.until("document.querySelector('.pt-me-name')?.textContent === 'zoe'")
    page = stranger.page
    page.locator(".pt-me summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Password until now").fill("a wrong one")
    page.get_by_label("New password").fill("another long one")
    page.get_by_label("The same once more").fill("another long one")
    page.get_by_role("button", name="Change it").click()
    stranger.until_text("The password until now is another one.")
    page.get_by_label("Password until now").fill(PASSWORD)
    page.get_by_role("button", name="Change it").click()
    stranger.until("!document.querySelector('dialog')")
    page.reload()
    stranger.until("document.querySelector('.pt-me-name')?.textContent === 'zoe'")

    page.locator(".pt-me summary").click()
    page.get_by_role("button", name="Log out").click()
    stranger.until("location.pathname === '/login'")
    log_in(stranger, "zoe", "another long one")
    stranger.until("location.pathname === '/app/'")


def test_an_admin_adds_a_person_and_passes_a_link_on(open_tab: Callable[..., Tab], stranger: Tab) -> None:
    """Without a password; the link is shown once and lets its person in."""
    tab = open_tab("/admin/")
    tab.page.get_by_role("button", name="Add a person…").click()
    tab.page.get_by_label("Name").fill("bob")
    tab.page.locator("dialog select").select_option("reviewer")
    tab.page.get_by_role("button", name="Add", exact=True).click()
    tab.until_text("Login link for bob")
    link = tab.page.locator("dialog input").input_value()
    tab.page.get_by_role("button", name="Done").click()
    tab.until("[...document.querySelectorAll('.pt-person h2')].some((each) => each.textContent === 'bob')")

    stranger.page.goto(link)
    stranger.until("document.querySelector('.pt-me-name')?.textContent === 'bob'")
    assert "Review" in stranger.page.locator(".pt-top nav").inner_text()
    assert "Admin" not in stranger.page.locator(".pt-top nav").inner_text()


def test_a_token_is_shown_once_and_can_be_revoked(open_tab: Callable[..., Tab], stack: Pages) -> None:
    """The list has its name and what it is for, never the token."""
    tab = open_tab("/admin/")
    tab.page.get_by_role("button", name="API tokens: ann").click()
    tab.page.get_by_role("button", name="New token…").click()
    tab.page.get_by_label("Name").fill("laptop")
    tab.page.get_by_role("button", name="Make it").click()
    tab.until_text("Choose at least one thing")
    tab.page.get_by_label("read:").check()
    tab.page.get_by_role("button", name="Make it").click()
    tab.until_text("API token laptop")
    text = tab.page.locator("dialog input[readonly]").input_value()
    tab.page.get_by_role("button", name="Done").click()
    tab.until_text("until it is revoked")

    with stack.database.reading() as session:
        bearer = find_bearer(session, text)
        assert bearer is not None
        assert (bearer.user.name, bearer.scopes) == ("ann", {"read"})
    assert text not in tab.page.content()
    tab.page.get_by_role("button", name="Revoke: laptop").click()
    tab.page.get_by_role("button", name="Revoke", exact=True).click()
    tab.until_text("No tokens yet.")
    with stack.database.reading() as session:
        assert find_bearer(session, text) is None


def test_disabling_asks_first_and_the_log_says_who_did_it(open_tab: Callable[..., Tab], stack: Pages) -> None:
    """Escape changes nothing; the row says since when; the log can be narrowed to it."""
    with stack.database.transaction() as session:
        add_user(session, "gone", "owner")
    tab = open_tab("/admin/")
    tab.page.get_by_role("button", name="Disable: gone").click()
    tab.until("document.activeElement.textContent === 'Cancel'")
    tab.page.keyboard.press("Escape")
    with stack.database.reading() as session:
        assert find_user(session, "gone").disabled_at is None
    tab.page.get_by_role("button", name="Disable: gone").click()
    tab.page.get_by_role("button", name="Disable", exact=True).click()
    tab.until_text("No way in since")
    tab.page.get_by_role("button", name="Audit log").click()
    tab.until_text("admin disabled gone")
    tab.page.locator(".pt-log-filters select").last.select_option("users.disable")
    tab.until("document.querySelectorAll('.pt-log li').length === 1")

    assert tab.page.url.endswith("?tab=log")


def test_what_cannot_be_done_is_said_and_nothing_changes(open_tab: Callable[..., Tab]) -> None:
    """The command line's account stays an admin; the choice goes back to what it is."""
    tab = open_tab("/admin/")
    tab.expected_statuses |= {409}
    tab.page.get_by_label("Role of admin").select_option("owner")
    tab.page.get_by_role("button", name="Make admin owner").click()
    tab.until_text("it stays an admin")
    tab.page.get_by_role("button", name="Cancel").click()
    tab.until("document.querySelector('.pt-person select').value === 'admin'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)])
def test_the_pages_read_well(axe: Axe, open_tab: Callable[..., Tab], scheme: str, viewport: tuple[int, int]) -> None:
    """For who cannot see, light and dark, wide and on a phone: people, the log, a question, the menu, the login."""
    tab = open_tab("/admin/", scheme=scheme, viewport=viewport)
    tab.until("!!document.querySelector('.pt-person')")
    found = axe(tab, "people")
    tab.page.get_by_role("button", name="Add a person…").click()
    found += axe(tab, "question")
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("button", name="API tokens: ann").click()
    tab.until("!!document.querySelector('.pt-tokens li')")
    found += axe(tab, "tokens")
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("button", name="Audit log").click()
    tab.until("!!document.querySelector('.pt-log li')")
    tab.page.locator(".pt-me summary").click()
    found += axe(tab, "log and menu")
    width = tab.page.evaluate("document.documentElement.scrollWidth")
    visible = tab.page.evaluate(
        "(() => { const link = document.querySelector('.pt-top nav [aria-current]').getBoundingClientRect();"
        " const nav = document.querySelector('.pt-top nav').getBoundingClientRect();"
        " return link.left >= nav.left && link.right <= nav.right; })()"
    )
    tab.expected_statuses |= {401}  # the page that is left may ask once more
    tab.page.context.clear_cookies()
    tab.goto("/login?next=/app/library")
    tab.page.get_by_label("Name").fill("nobody")
    tab.page.get_by_label("Password").fill("wrong")
    tab.page.keyboard.press("Enter")
    tab.until("!!document.querySelector('[role=alert]')")

    assert found + axe(tab, "login") == []
    assert width == viewport[0]
    assert visible
