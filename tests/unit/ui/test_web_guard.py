"""The guard's small rules, without a server."""

import asyncio

import httpx
import pytest

from db.session import Database
from ui.access import COOKIE, SECURE_COOKIE, Sessions, token_of_cookies
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


@pytest.mark.parametrize(("accept", "start"), [("text/html", "<!doctype html>"), ("*/*", '{"code": "DATABASE_AWAY"')])
def test_a_lost_database_is_said_to_people_and_to_programs(accept: str, start: str) -> None:
    """503 in words, without what the driver said and without anyone being let in."""
    database = Database("postgresql+psycopg://user:secret@127.0.0.1:1/phototag")
    guard = Guard(_never, sessions=Sessions(database), hosts=HostRule("127.0.0.1", ()), mounts={}, page_heads={})

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(guard)  # pyright: ignore[reportArgumentType] - narrower types of the same thing
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/app/", headers={"Accept": accept, "Cookie": f"{COOKIE}=token"})

    answer = asyncio.run(ask())
    database.close()

    assert answer.status_code == 503
    assert answer.text.startswith(start)
    assert "The database cannot be reached" in answer.text
    assert "secret" not in answer.text
    assert "connection" not in answer.text.lower()


async def _never(*_: object) -> None:
    pytest.fail("the application was reached")
