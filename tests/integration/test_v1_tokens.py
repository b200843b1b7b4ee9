"""/api/v1: who is let in, who no longer, and what is answered to whom nobody knows."""

import contextlib
import time

import httpx
import pytest

from db.api_tokens import list_api_tokens, revoke_api_token
from db.users import disable_user, set_role
from tests.integration.v1 import bearer, ok, person, problem, program, token_of
from tests.stack import Pages
from ui.remembered import REMEMBERED_S


def waits_until_refused(api: httpx.Client, path: str = "me") -> httpx.Response:
    """The first answer that is not 200; what a token may do is remembered for some seconds."""
    deadline = time.monotonic() + REMEMBERED_S + 5
    while (answer := api.get(path)).status_code == 200:
        assert time.monotonic() < deadline, "still let in"
        time.sleep(0.2)
    return answer


def test_a_program_learns_who_it_is(pages: Pages) -> None:
    """Name, role, scopes; any token will do."""
    with program(pages, "reviewer", "labels", "read") as api:
        me = ok(api.get("me"))

    assert me["name"].startswith("reviewer ")
    assert (me["role"], me["scopes"]) == ("reviewer", ["labels", "read"])


def test_a_browser_that_is_logged_in_may_call_it_too(alice: httpx.Client) -> None:
    """With all scopes; not from another site."""
    assert ok(alice.get("/api/v1/me")) == {"name": "alice", "role": "owner", "scopes": None}
    assert ok(alice.get("/api/v1/photos"))["photos"] == []
    crossed = alice.post("/api/v1/batches", json={"name": "x"}, headers={"Origin": "https://evil.example"})
    problem(crossed, 403, "CROSS_SITE")


@pytest.mark.parametrize("path", ["me", "batches", "photos/1/preview", "openapi.json", "nothing", ""])
def test_nobody_gets_further_than_the_door(pages: Pages, path: str) -> None:
    """No token, a wrong one, one in the address, one that is over: 401 with how to log in."""
    expired = token_of(pages, person(pages), days=-1)
    headers = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {expired}"},
        {"Authorization": f"Basic {expired}"},
    ]
    valid = token_of(pages, person(pages))

    answers = [httpx.get(f"{pages.url}/api/v1/{path}", headers=each) for each in headers]
    answers.append(httpx.get(f"{pages.url}/api/v1/{path}", params={"token": valid, "access_token": valid}))

    for answer in answers:
        assert "phototag users token" in problem(answer, 401, "LOGIN_REQUIRED")["detail"]
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_is_revoked_is_over_within_seconds(pages: Pages) -> None:
    """The person's others go on."""
    user_id = person(pages)
    lost, kept = token_of(pages, user_id, "read"), token_of(pages, user_id, "submit")
    with bearer(pages, lost) as thief, bearer(pages, kept) as mine:
        ok(thief.get("me"))
        with pages.database.transaction() as session:
            name = next(token.name for token in list_api_tokens(session, user_id) if token.scopes == "read")
            revoke_api_token(session, user_id, name)

        problem(waits_until_refused(thief), 401, "LOGIN_REQUIRED")
        ok(mine.get("me"))


def test_the_tokens_of_a_disabled_person_are_over_and_a_lost_role_is_lost(pages: Pages) -> None:
    """A token never has more than its person's role, also when that is taken away."""
    gone, lesser = person(pages), person(pages, "reviewer")
    with contextlib.ExitStack() as clients:
        first = clients.enter_context(bearer(pages, token_of(pages, gone)))
        second = clients.enter_context(bearer(pages, token_of(pages, lesser)))
        ok(first.get("me"))
        ok(second.get("verdicts"))
        with pages.database.transaction() as session:
            disable_user(session, gone)
            set_role(session, lesser, "owner")

        problem(waits_until_refused(first), 401, "LOGIN_REQUIRED")
        problem(waits_until_refused(second, "verdicts"), 403, "ROLE_REQUIRED")


def test_an_address_that_leads_nowhere_and_a_method_that_is_not_taken(pages: Pages) -> None:
    """Problems, like all else; also for a browser."""
    with program(pages) as api:
        problem(api.get("nothing", headers={"Accept": "text/html"}), 404, "NOT_FOUND")
        answer = api.patch("batches")

    problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"]


def test_no_token_is_in_the_log(pages: Pages) -> None:
    """Nor is any answered again."""
    token = token_of(pages, person(pages))
    with bearer(pages, token) as api:
        answers = [api.get(path).text for path in ("me", "nothing", "batches?cursor=x", "photos?lable=1")]

    assert token not in "".join(answers)
    assert token not in pages.log.read_text()
