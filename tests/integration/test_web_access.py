"""Who gets in, by which door, and that no route forgot to ask."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import Pages, described_routes, serving
from ui.pages.layout import MOUNTS

PUBLIC = {"/login", "/health", "/web/{version}/{name}", "/favicon.ico", "/manifest.json"}
# Parts of Gradio's front end, the same for everyone.
GRADIO_STATIC = {
    f"{mount}/{part}"
    for mount in MOUNTS
    for part in (
        *("svelte/{path:path}", "static/{path:path}", "assets/{path:path}"),
        *("theme.css", "favicon.ico", "robots.txt"),
    )
}
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The routes and Gradio functions, with the roles that they name."""
    return described_routes(tmp_path_factory.mktemp("routes") / "phototag-data")


def test_every_route_refuses_a_stranger_but_for_the_public_ones(
    stranger: httpx.Client, described: dict[str, Any]
) -> None:
    """A Gradio release that adds a route, or one of ours without login, fails here."""
    answered: set[str] = set()
    for method, path, *_ in described["routes"]:
        address = re.sub(r"\{[^}]+\}", "x", path)
        answer = stranger.request(method, address, headers={"Content-Type": "application/json"})
        if answer.status_code not in {401, 303, 404}:
            answered.add(path)

    assert len(described["routes"]) > 60
    assert answered <= PUBLIC | GRADIO_STATIC


def test_every_route_of_ours_names_its_role(described: dict[str, Any]) -> None:
    """The guard asks for a login; what role is enough, each route says itself."""
    ours = {path: roles for _, path, roles, _, is_ours in described["routes"] if is_ours}

    assert len(ours) >= 18
    assert {path for path, roles in ours.items() if not roles} <= PUBLIC | {"/"}


def test_every_gradio_function_names_its_role(described: dict[str, Any]) -> None:
    """Gradio calls a private function for whoever asks; the function itself must refuse."""
    assert described["functions"] == {"tag_photo": "owner"}


def test_a_login_link_works_once_and_leaves_no_trace(pages: Pages) -> None:
    """The second use gets a page that says how to get a new link."""
    link = pages.login_link()
    with pages.stranger() as first, pages.stranger() as second:
        entered = first.get(link)
        refused = second.get(link)

    assert entered.status_code == 303
    assert entered.headers["location"] == "/app/"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert refused.status_code == 401
    assert "phototag web --login-link" in refused.text
    assert "set-cookie" not in refused.headers
    log = pages.log.read_text()
    assert "GET /login HTTP" in log
    assert link.partition("token=")[2] not in log


def test_a_logout_ends_the_session_for_a_copied_cookie_too(pages: Pages) -> None:
    """The row goes, not only this browser's cookie."""
    with pages.client() as client, pages.stranger() as thief:
        thief.cookies.update(client.cookies)
        before = thief.get("/api/status").status_code
        left = client.post("/logout").status_code
        after = thief.get("/api/status").status_code

    assert (before, left, after) == (200, 204, 401)


def test_a_browser_without_login_is_led_to_the_login_page(stranger: httpx.Client) -> None:
    """A page redirects; a JSON route answers 401 in words."""
    page = stranger.get("/app/batches", headers=HTML)
    route = stranger.get("/api/batches")

    assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fapp%2Fbatches")
    assert route.status_code == 401
    assert "phototag web --login-link" in stranger.get("/login").text
    assert "open the link" in route.json()["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({}, 201),
    ],
)
def test_a_write_sent_by_another_site_is_not_carried_out(
    admin: httpx.Client, headers: dict[str, str], status: int
) -> None:
    """The cookie travels with a form of another site; the headers that browsers add give it away."""
    answer = admin.post("/api/batches", json={"name": "holiday", "count": 1}, headers=headers)

    assert answer.status_code == status


def test_no_other_origin_may_read_answers(admin: httpx.Client) -> None:
    """Gradio mirrored any Origin with credentials when the host was not local."""
    for path in ("/app/config", "/api/status", "/app/gradio_api/info"):
        answer = admin.get(path, headers={"Origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "192.168.1.7", ""])
def test_a_name_that_points_at_this_machine_is_not_answered(admin: httpx.Client, host: str) -> None:
    """DNS rebinding: the page of evil.example would be same-origin with us."""
    assert admin.get("/api/status", headers={"Host": host}).status_code == 400


def test_names_that_a_person_allowed_are_answered_with_a_secure_cookie(tmp_path: Path) -> None:
    """Behind a proxy that speaks https the cookie is bound to this host and never sent in clear."""
    with serving(tmp_path / "phototag-data", allowed_hosts="tags.example.com", https=True) as pages:
        entered = httpx.get(pages.login_link(), headers={"Host": "tags.example.com"})

    assert entered.status_code == 303
    assert entered.headers["set-cookie"].startswith("__Host-phototag_session=")
    assert "Secure" in entered.headers["set-cookie"]


def test_every_answer_carries_the_headers_that_harden_it(admin: httpx.Client, stranger: httpx.Client) -> None:
    """Pages, data, refusals and files alike."""
    answers = [admin.get(path) for path in ("/app/", "/app/batches", "/api/status", "/media/1/320.webp", "/nothing")]
    answers += [stranger.get("/login"), stranger.get("/api/status"), stranger.get("/health")]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert answer.headers["referrer-policy"] == "same-origin", answer.url
        assert answer.headers["x-frame-options"] == "DENY", answer.url
        assert "default-src 'none'" in answer.headers["content-security-policy"], answer.url
        assert "unsafe-eval" not in answer.headers["content-security-policy"], answer.url


def test_scripts_of_a_page_carry_a_nonce_that_is_new_each_time(admin: httpx.Client) -> None:
    """Nothing that someone writes into a page runs."""
    nonces = set()
    for path in ("/app/", "/app/batches", "/app/"):
        page = admin.get(path)
        found = re.findall(r"'nonce-([^']+)'", page.headers["content-security-policy"])
        assert len(found) == 1
        assert page.text.count("<script") == page.text.count(f'<script nonce="{found[0]}"')
        assert page.headers["cache-control"] == "no-store"
        nonces.add(found[0])

    assert len(nonces) == 3


def test_a_body_beyond_its_cap_is_refused_while_it_streams(admin: httpx.Client) -> None:
    """Announced or not: it is not gathered first."""

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 1_000_000

    began = time.monotonic()
    announced = admin.post("/api/batches", content=b" " * 2_000_000, headers={"Content-Type": "application/json"})
    try:
        streamed = admin.post(
            "/api/batches", content=endless(), headers={"Content-Type": "application/json"}
        ).status_code
    except httpx.TransportError:  # the connection is ended while we still send
        streamed = 413

    assert announced.status_code == 413
    assert streamed == 413
    assert time.monotonic() - began < 10


def test_an_address_that_leads_nowhere_says_so_in_the_reader_s_language(admin: httpx.Client) -> None:
    """A page for a person, JSON for a program."""
    page = admin.get("/nowhere", headers=HTML)
    data = admin.get("/api/nowhere")

    assert page.status_code == data.status_code == 404
    assert "<h1>There is nothing at this address.</h1>" in page.text
    assert data.json()["code"] == "NOT_FOUND"


def test_the_pages_hold_no_endless_stream_per_tab(admin: httpx.Client) -> None:
    """gr.State would set connect_heartbeat; a browser has six connections, so the seventh tab would hang."""
    config = admin.get("/app/config").json()

    assert config["connect_heartbeat"] is False
    assert "html" not in {component["type"] for component in config["components"]}


def test_what_gradio_would_switch_on_by_itself_is_off(admin: httpx.Client) -> None:
    """What Gradio switches on by itself and we do not want."""
    config = admin.get("/app/config").json()

    assert config["show_error"] is False
    assert config.get("enable_monitoring") in {False, None}
    for path in (
        "monitoring",
        "monitoring/summary",
        "gradio_api/runs",
        "gradio_api/openapi.json",
        "gradio_api/mcp/sse",
    ):
        assert admin.get(f"/app/{path}").status_code == 404
