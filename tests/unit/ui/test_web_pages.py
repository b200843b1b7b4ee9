"""What all pages share."""

import re

from ui.pages.layout import NAVIGATION, page_head, plain_page, web_files, web_root
from ui.theme import CARD, CARD_DARK, INK, INK_DARK, LINE, LINE_DARK, PAPER, PAPER_DARK


def test_the_navigation_stands_in_one_place() -> None:
    """The scripts draw what the server says, by role; none of them names a page of the navigation by itself."""
    head = page_head("admin")
    owners = page_head("owner")
    scripts = b"".join(content for name, (_, content) in web_files().items() if name == "boot.js")

    assert all(f"&quot;{name}&quot;" in head and href in head for name, href, _ in NAVIGATION)
    assert {name for name, _, _ in NAVIGATION if f"&quot;{name}&quot;" in owners} == {
        name for name, _, role in NAVIGATION if role == "owner"
    }
    assert b">Batches<" not in scripts


def test_scripts_build_no_html_from_text() -> None:
    """Names of files are shown; with innerHTML they would run. eval is not allowed by the policy anyway."""
    forbidden = re.compile(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")

    found = {name for name, (_, content) in web_files().items() if name.endswith(".js") and forbidden.search(content)}

    assert len([name for name in web_files() if name.endswith(".js")]) >= 10
    assert found == set()


def test_every_module_that_a_script_imports_is_served() -> None:
    """A name that is wrong would only show in the browser."""
    wanted = {
        name
        for _, content in (web_files()[name] for name in web_files() if name.endswith(".js"))
        for name in re.findall(r'"\./([a-z_]+\.js)"', content.decode())
    }

    assert wanted
    assert wanted <= set(web_files())


def test_nothing_of_a_page_comes_from_elsewhere() -> None:
    """Pages work without a network; fonts are the system's."""
    for name, (_, content) in web_files().items():
        addresses = set(re.findall(rb"https?://[^\s\"')]+", content)) - {b"http://www.w3.org/2000/svg"}
        assert not addresses, name


def test_the_colours_of_gradio_are_ours() -> None:
    """They stand in the theme and in base.css; a change of one must reach the other."""
    light, _, dark = web_files()["base.css"][1].decode().partition("prefers-color-scheme: dark")

    for name, value in (("paper", PAPER), ("card", CARD), ("ink", INK), ("line", LINE)):
        assert f"--{name}: {value}" in light
    for name, value in (("paper", PAPER_DARK), ("card", CARD_DARK), ("ink", INK_DARK), ("line", LINE_DARK)):
        assert f"--{name}: {value}" in dark


def test_a_plain_page_shows_text_as_text() -> None:
    """Whatever it says."""
    page = plain_page("<script>alert(1)</script>", "a & b", ("<b>",), link=("x", "/?a=1&b=2"))

    assert "<script" not in page
    assert "a &amp; b" in page
    assert "&lt;b&gt;" in page


def test_the_address_of_our_files_changes_with_their_content() -> None:
    """Browsers keep them for ever."""
    assert re.fullmatch(r"/web/[0-9a-f]{12}", web_root())
    assert f'src="{web_root()}/boot.js"' in page_head("owner")
