"""The guard's small rules, without a server."""

import asyncio

import httpx
import pytest
from fastapi import HTTPException, Request

from db.schema import User
from db.session import Database
from ui.access import COOKIE, SCOPES_KEY, SECURE_COOKIE, USER_KEY, Needs, Sessions, token_of_cookies
from ui.bearer import ApiTokens, token_of_header
from ui.gradio_guard import MAX_OWNED, Owners
from ui.guard import Guard, HostRule


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:7860", "localhost:7860", "LOCALHOST", "[::1]:7860", "127.8.8.8"]
)
def test_loopback_names_are_answered(host: str) -> None:
    """With any port: a tunnel changes it."""
    assert HostRule("127.0.0.1", ()).accepts(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1@evil.example", "[::1"]
)
def test_other_names_are_not(host: str) -> None:
    """What binds to loopback is for this machine."""
    assert not HostRule("127.0.0.1", ()).accepts(host)


def test_a_server_for_a_network_answers_to_addresses_and_allowed_names() -> None:
    """Rebinding needs a name; one that a person allowed is fine."""
    rule = HostRule("0.0.0.0", ("Tags.example.com",))

    assert rule.accepts("192.168.1.20:7860")
    assert rule.accepts("tags.example.com")
    assert not rule.accepts("evil.example")


def test_the_cookie_that_was_set_over_https_counts_first() -> None:
    """A __Host- cookie cannot be planted over http; the plain one can."""
    assert token_of_cookies(f"{COOKIE}=planted; {SECURE_COOKIE}=real") == "real"
    assert token_of_cookies(f"a=b; {COOKIE}=first; {COOKIE}=second") == "first"
    assert token_of_cookies("") is None


def test_owners_are_bounded() -> None:
    """Names of streams are made up by clients, as many as they like."""
    owners = Owners()
    for number in range(MAX_OWNED + 10):
        owners.add(number, 1)

    assert owners.of(5) == set()
    assert owners.of(MAX_OWNED) == {1}


def test_the_same_file_of_two_people_belongs_to_both() -> None:
    """Gradio names an upload by its content."""
    owners = Owners()
    owners.add("path", 1)
    owners.add("path", 2)

    assert owners.of("path") == {1, 2}


@pytest.mark.parametrize(
    ("path", "accept", "start"),
    [
        ("/app/", "text/html", "<!doctype html>"),
        ("/app/", "*/*", '{"code": "DATABASE_AWAY"'),
        (
            "/api/v1/x",
            "*/*",
            '{"type": "urn:phototag:problem:database-away", "title": "The database does not answer", "s',
        ),
    ],
)
def test_a_lost_database_is_said_to_people_and_to_programs(path: str, accept: str, start: str) -> None:
    """503 in words, without what the driver said and without anyone being let in."""
    database = Database("postgresql+psycopg://user:secret@127.0.0.1:1/phototag")
    guard = Guard(
        _never,
        sessions=Sessions(database),
        tokens=ApiTokens(database),
        hosts=HostRule("127.0.0.1", ()),
        mounts={},
        page_heads={},
    )

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(guard)  # pyright: ignore[reportArgumentType] - narrower types of the same thing
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers={"Accept": accept, "Cookie": f"{COOKIE}=token"})

    answer = asyncio.run(ask())
    database.close()

    assert answer.status_code == 503
    assert answer.text.startswith(start)
    assert "The database cannot be reached" in answer.text
    assert "secret" not in answer.text
    assert "connection" not in answer.text.lower()


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer phototag_a-b_c", "phototag_a-b_c"),
        ("bearer  x==", "x=="),
        ("Bearer", ""),
        ("Bearer a b", ""),
        ("Bearer " + "x" * 300, ""),
        ("Basic YTpi", None),
        ("", None),
    ],
)
def test_a_token_is_read_from_its_header(header: str, token: str | None) -> None:
    """What calls itself a token and cannot be one is a wrong one; other schemes are a proxy's."""
    assert token_of_header({"authorization": header}) == token


@pytest.mark.parametrize(
    ("role", "scopes", "needs", "status"),
    [
        ("reviewer", None, Needs("reviewer", "review"), 200),
        ("reviewer", {"review"}, Needs("reviewer", "review"), 200),
        ("reviewer", {"read", "admin"}, Needs("reviewer", "review"), 403),
        ("owner", {"review"}, Needs("reviewer", "review"), 403),
        ("owner", None, Needs("reviewer", "review"), 403),
        ("admin", {"read", "submit", "review", "labels", "models", "admin"}, Needs("owner"), 403),
        ("admin", set(), Needs("owner", "read"), 403),
        (None, None, Needs("owner", "read"), 401),
    ],
)
def test_a_token_needs_the_scope_and_its_person_the_role(
    role: str | None, scopes: set[str] | None, needs: Needs, status: int
) -> None:
    """A session has all scopes. A route that names none is not for tokens."""
    user = User(id=1, name="ann", role=role) if role else None
    request = Request({"type": "http", USER_KEY: user, SCOPES_KEY: scopes})

    try:
        answered = 200 if needs(request) is user else 0
    except HTTPException as error:
        answered = error.status_code

    assert answered == status


async def _never(*_: object) -> None:
    pytest.fail("the application was reached")
