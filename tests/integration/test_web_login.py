"""The login page: a name and a password, where it leads, who guesses, and API tokens."""

import datetime as dt
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from db.api_tokens import new_api_token, revoke_api_token
from db.logins import end_session
from db.passwords import hash_password
from db.users import add_user, disable_user, find_user, set_password
from tests.stack import Pages, serving
from ui.access import COOKIE

PASSWORD = "correct horse battery"
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages with accounts."""
    with serving(tmp_path_factory.mktemp("login") / "phototag-data") as running:
        hashed = hash_password(PASSWORD)
        with running.database.transaction() as session:
            for name in ("ann", "carol", "dave", "eve"):
                add_user(session, name, "owner", hashed)
        yield running


def log_in(client: httpx.Client, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    """Sends the form as a browser does."""
    origin = f"http://{client.base_url.netloc.decode()}"
    return client.post("/login", data={"name": name, "password": password, **more}, headers=HTML | {"Origin": origin})


def token_of(pages: Pages, name: str, *scopes: str, days: float | None = None) -> str:
    """A new API token."""
    with pages.database.transaction() as session:
        valid_for = dt.timedelta(days=days) if days is not None else None
        user_id = find_user(session, name).id
        return new_api_token(session, user_id, f"token {dt.datetime.now(dt.UTC)}", scopes, valid_for)[1]


def as_bearer(pages: Pages, token: str, path: str = "/api/v1/nothing") -> httpx.Response:
    """Asks for a path that is not there: 404 for who comes in, 401 for who does not."""
    return httpx.get(f"{pages.url}{path}", headers={"Authorization": f"Bearer {token}"})


def test_a_name_and_its_password_open_the_pages(stranger: httpx.Client) -> None:
    """The form works without a script, and the way goes on to what was asked for."""
    asked = stranger.get("/app/library?state=tagged&label=3", headers=HTML)
    form = stranger.get(asked.headers["location"], headers=HTML)
    (to,) = re.findall(r'name="next" value="([^"]*)"', form.text)
    entered = log_in(stranger, "Ann", next=to.replace("&amp;", "&"))

    assert form.status_code == 200
    assert "<script" not in form.text
    assert entered.status_code == 303
    assert entered.headers["location"] == "/app/library?state=tagged&label=3"
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert stranger.get("/api/status").json()["user"] == {"name": "ann", "role": "owner"}
    assert stranger.get("/login").headers["location"] == "/app/"


def test_a_wrong_password_is_said_on_the_page(stranger: httpx.Client) -> None:
    """In the same words for a name that does not exist; the name stays, the password does not."""
    answers = [log_in(stranger, name, "wrong password") for name in ("ann", "nobody")]

    for answer, name in zip(answers, ("ann", "nobody"), strict=True):
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert f'value="{name}"' in answer.text
        assert "wrong password" not in answer.text
        assert "set-cookie" not in answer.headers
    assert answers[0].text.replace("ann", "nobody") == answers[1].text


@pytest.mark.parametrize("name", ["carol", "nobody at all"])
def test_the_sixth_attempt_waits_also_with_the_right_password_and_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """429 with the time to wait, whether the name exists or not; the count is in the database."""
    data_dir = tmp_path_factory.mktemp("lock") / "phototag-data"
    with serving(data_dir) as first, first.stranger() as guesser:
        with first.database.transaction() as session:
            add_user(session, "carol", "owner", hash_password(PASSWORD))
        seen = [log_in(guesser, name, f"guess number {n}").status_code for n in range(5)]
        seen.append(log_in(guesser, name).status_code)
        log = first.log.read_text()
        with first.client("carol") as client:
            cookies = client.cookies
    with serving(data_dir) as second, second.stranger() as guesser:
        again = log_in(guesser, name)
        kept = httpx.get(f"{second.url}/api/status", cookies=cookies).status_code

    assert seen == [401] * 5 + [429]
    assert again.status_code == 429
    assert 1 <= int(again.headers["retry-after"]) <= 61
    assert "minute" in again.text
    assert "guess number" not in log
    assert kept == 200, "a session survives the restart"


def test_a_header_does_not_make_another_address(pages: Pages) -> None:
    """Unless a person has said that a proxy stands in front, nobody is believed to be somebody else."""
    with pages.stranger() as guesser:
        seen: list[int] = []
        for number in range(6):
            guesser.headers["X-Forwarded-For"] = f"198.51.100.{number}"
            seen.append(log_in(guesser, "dave", "guess").status_code)

    assert seen == [401] * 5 + [429]


def test_a_session_that_somebody_else_prepared_is_not_taken(pages: Pages) -> None:
    """The token is new with every login, and what the browser had before ends."""

    def enter(before: str) -> str:
        with pages.stranger() as browser:
            browser.headers["Cookie"] = f"{COOKIE}={before}"
            return log_in(browser, "ann").headers["set-cookie"].partition("=")[2].partition(";")[0]

    first = enter("chosen-by-somebody-else")
    second = enter(first)

    assert len({"chosen-by-somebody-else", first, second}) == 3
    for token, status in ((first, 401), (second, 200)):
        assert httpx.get(f"{pages.url}/api/status", headers={"Cookie": f"{COOKIE}={token}"}).status_code == status


@pytest.mark.parametrize("kind", ["https://evil.example", "null"])
def test_another_site_cannot_log_somebody_in(stranger: httpx.Client, kind: str) -> None:
    """Else a person would work in the account of the attacker."""
    answer = stranger.post("/login", data={"name": "ann", "password": PASSWORD}, headers={"Origin": kind})

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example",
        "\\\\evil.example",
        "/.//evil.example",
        "/app//evil.example",
        "javascript:alert(1)",
        " https://evil.example",
        "/app/\r\nSet-Cookie: a=b",
        "evil.example",
        "/login?next=/login",
        "/logout",
        "/api/status",
        "/app/" + "x" * 5000,
        "",
    ],
)
def test_a_login_leads_to_no_other_site(stranger: httpx.Client, address: str) -> None:
    """Nor to an address that is no page."""
    entered = log_in(stranger, "ann", next=address)

    assert (entered.status_code, entered.headers["location"]) == (303, "/app/")
    assert "evil" not in entered.headers["set-cookie"]


def test_a_login_form_takes_no_more_than_a_login(stranger: httpx.Client) -> None:
    """Its body is small; what is no password is a wrong one."""
    large = stranger.post("/login", data={"name": "ann", "password": "x" * 20_000})
    long = log_in(stranger, "eve", "\xe9" * 2000)
    odd = stranger.post("/login", content=b"name=eve&password=%ff%00", headers={"Content-Type": "text/plain"})

    assert large.status_code == 413
    assert long.status_code == 401
    assert odd.status_code in {401, 415, 422}


def test_a_token_opens_the_programming_interface_and_nothing_else(pages: Pages) -> None:
    """Not the pages, not the routes of the pages, and not from the address."""
    token = token_of(pages, "ann", "read")

    assert as_bearer(pages, token).status_code == 404
    assert as_bearer(pages, token, "/api/status").status_code == 401
    assert as_bearer(pages, token, "/app/").status_code == 401
    assert as_bearer(pages, token, "/api/v1x").status_code == 401
    for name in ("token", "access_token", "api_key", "authorization"):
        assert httpx.get(f"{pages.url}/api/v1/nothing?{name}={token}").status_code == 401
    assert httpx.get(f"{pages.url}/api/v1/nothing", cookies={COOKIE: token}).status_code == 401


@pytest.mark.parametrize("token", ["phototag_guess", "a b", "x" * 500, "null"])
def test_a_token_that_is_none_gets_problem_details(pages: Pages, token: str) -> None:
    """In the shape of RFC 9457, saying how to log in."""
    answer = as_bearer(pages, token)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    problem = answer.json()
    assert {name: problem[name] for name in ("type", "title", "status", "code")} == {
        "type": "urn:phototag:problem:login-required",
        "title": "No valid token",
        "status": 401,
        "code": "LOGIN_REQUIRED",
    }
    assert "phototag users token" in problem["detail"]


def test_a_wrong_token_is_not_helped_by_a_cookie(pages: Pages, alice: httpx.Client) -> None:
    """The request is the token's, or nobody's."""
    assert alice.get("/api/v1/nothing").status_code == 404
    assert alice.get("/api/v1/nothing", headers={"Authorization": "Bearer guess"}).status_code == 401


def test_a_token_is_over_when_it_is_revoked_or_old_or_its_person_disabled(pages: Pages) -> None:
    """Within the seconds that an answer is remembered."""
    expired = token_of(pages, "ann", "read", days=-1)
    with pages.database.transaction() as session:
        gone = add_user(session, "gone", "owner").id
        disabled = new_api_token(session, gone, "t", ["read"])[1]
        ann = find_user(session, "ann").id
        revoked = new_api_token(session, ann, "lost", ["read"])[1]
        disable_user(session, gone)
        revoke_api_token(session, ann, "lost")

    assert [as_bearer(pages, token).status_code for token in (expired, disabled, revoked)] == [401, 401, 401]


def test_errors_of_the_programming_interface_are_problem_details(pages: Pages) -> None:
    """Of the guard and of the routes alike."""
    token = token_of(pages, "ann", "read")
    bearer = {"Authorization": f"Bearer {token}"}
    asked = {
        400: httpx.get(f"{pages.url}/api/v1/nothing", headers=bearer | {"Host": "evil.example"}),
        403: httpx.post(f"{pages.url}/api/v1/nothing", headers=bearer | {"Origin": "https://evil.example"}),
        404: httpx.get(f"{pages.url}/api/v1/nothing", headers=bearer | HTML),
        413: httpx.post(f"{pages.url}/api/v1/nothing", headers=bearer, content=b"x" * 2_000_000),
    }

    for status, answer in asked.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json", status
        assert answer.json()["status"] == status


def test_a_person_who_is_disabled_elsewhere_is_out_within_seconds(pages: Pages) -> None:
    """Another process does it; this one looks again after five seconds."""
    with pages.database.transaction() as session:
        frank = add_user(session, "frank", "owner").id
    with pages.client("frank") as client:
        before = client.get("/api/status").status_code
        with pages.database.transaction() as session:
            disable_user(session, frank)
        deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=6)
        while client.get("/api/status").status_code != 401:
            assert dt.datetime.now(dt.UTC) < deadline
            time.sleep(0.2)

    assert before == 200


def test_nothing_secret_is_in_the_log(pages: Pages) -> None:
    """Neither passwords nor hashes nor tokens, whatever was asked with them in this file."""
    token = token_of(pages, "eve", "read")
    as_bearer(pages, token)
    httpx.get(f"{pages.url}/login?token={token}")
    with pages.stranger() as client:
        client.post("/login", json={"name": "eve", "password": "a planted password"})
        log_in(client, "eve", "a planted password")
    with pages.database.transaction() as session:
        eve = find_user(session, "eve")
        set_password(session, eve.id, hash_password("a planted password"))
        end_session(session, token)
        stored = find_user(session, "eve").password_hash or ""
    log = pages.log.read_text()

    assert "POST /login" in log
    secrets = (token, "a planted password", PASSWORD, stored, "$argon2id", "phototag_")
    assert [secret for secret in secrets if secret in log] == []
