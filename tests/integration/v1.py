"""The programming interface as a program uses it: clients with real tokens."""

import datetime as dt
import secrets
from typing import Any

import httpx

from db.api_tokens import SCOPES, new_api_token
from db.users import add_user
from tests.stack import Pages

PROBLEM = "application/problem+json"


def token_of(pages: Pages, user_id: int, *scopes: str, days: float | None = None) -> str:
    """A new token of this person."""
    valid_for = None if days is None else dt.timedelta(days=days)
    with pages.database.transaction() as session:
        return new_api_token(session, user_id, secrets.token_hex(8), scopes or SCOPES, valid_for)[1]


def person(pages: Pages, role: str = "owner") -> int:
    """The id of a new account."""
    with pages.database.transaction() as session:
        return add_user(session, f"{role} {secrets.token_hex(4)}", role).id


def bearer(pages: Pages, token: str) -> httpx.Client:
    """A client that sends this token."""
    return httpx.Client(
        base_url=f"{pages.url}/api/v1/", timeout=60, headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )


def program(pages: Pages, role: str = "owner", *scopes: str) -> httpx.Client:
    """A client of a new person, with a token for all scopes unless some are named."""
    return bearer(pages, token_of(pages, person(pages, role), *scopes))


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem details of an answer that must be these."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["code"] == code, found
    assert found["type"] == f"urn:phototag:problem:{code.lower().replace('_', '-')}"
    assert found["title"]
    assert found["detail"]
    return found


def all_pages(client: httpx.Client, address: str, key: str) -> list[dict[str, Any]]:
    """Everything of a list, page by page."""
    found: list[dict[str, Any]] = []
    following: str | None = address
    while following is not None:
        # httpx puts an address with a slash behind its base, where browsers and most clients put it behind the host
        answer = client.get(client.base_url.join(following) if following.startswith("/") else following)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page[key]
        following = page["next"]
    return found


def ok(answer: httpx.Response, status: int = 200) -> Any:
    """What a request that must succeed answers."""
    assert answer.status_code == status, answer.text
    return answer.json()
