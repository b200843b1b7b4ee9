"""What admins do over HTTP counts at once and is in the audit log; everybody's own password."""

import secrets
import sqlite3
from contextlib import closing

import httpx
import pytest

from db.audit import list_audit
from db.passwords import hash_password
from db.users import add_user, find_user
from tests.integration.test_web_login import PASSWORD, log_in
from tests.integration.web_batches import send_batch, tag_all
from tests.stack import Pages


def person(pages: Pages, role: str = "owner", password: str | None = None) -> tuple[int, str]:
    """A new account: its id and its name."""
    name = f"person {secrets.token_hex(4)}"
    hashed = hash_password(password) if password else None
    with pages.database.transaction() as session:
        return add_user(session, name, role, hashed).id, name


def actions_about(pages: Pages, subject: str) -> list[tuple[str | None, str]]:
    """Who did what to it, the oldest first."""
    with pages.database.reading() as session:
        return [(row.user, row.action) for row in reversed(list_audit(session, limit=200)) if row.subject == subject]


def test_a_disabled_person_is_out_with_the_answer(pages: Pages, admin: httpx.Client) -> None:
    """Also in this process, which remembers sessions for a few seconds; enabled again, a new login is needed."""
    user_id, name = person(pages)
    with pages.client(name) as client:
        assert client.get("/api/status").status_code == 200
        disabled = admin.post(f"/api/admin/people/{user_id}/disable")
        after = client.get("/api/status").status_code
        admin.post(f"/api/admin/people/{user_id}/enable")
        later = client.get("/api/status").status_code

    assert disabled.json()["disabled_at"] is not None
    assert (after, later) == (401, 401)


def test_another_role_counts_with_the_answer(pages: Pages, admin: httpx.Client) -> None:
    """Up and down again, in a session that goes on."""
    user_id, name = person(pages)
    seen: list[int] = []
    with pages.client(name) as client:
        for role in ("owner", "reviewer", "admin", "owner"):
            admin.post(f"/api/admin/people/{user_id}/role", json={"role": role})
            seen.append(client.get("/api/admin/people").status_code)
            seen.append(client.get("/api/labels").status_code)

    assert seen == [403, 403, 403, 200, 200, 200, 403, 403]


def test_a_revoked_token_is_over_with_the_answer(pages: Pages, admin: httpx.Client) -> None:
    """Made and revoked over HTTP; it is shown once and never listed."""
    user_id, _ = person(pages)
    path = f"/api/admin/people/{user_id}/tokens"
    made = admin.post(path, json={"name": "laptop", "scopes": ["read"], "days": 7}).json()
    headers = {"Authorization": f"Bearer {made['text']}"}
    before = httpx.get(f"{pages.url}/api/v1/nothing", headers=headers).status_code
    listed = admin.get(path)
    again = admin.post(path, json={"name": "laptop", "scopes": ["read"]}).status_code
    admin.post(f"{path}/revoke", json={"name": "laptop"})
    after = httpx.get(f"{pages.url}/api/v1/nothing", headers=headers).status_code

    assert (before, again, after) == (404, 409, 401)
    assert [token["name"] for token in listed.json()["tokens"]] == ["laptop"]
    assert made["text"] not in listed.text


def test_each_act_is_one_row_of_the_audit_log(pages: Pages, admin: httpx.Client) -> None:
    """Who, what and to whom; a refused one is none."""
    name = f"person {secrets.token_hex(4)}"
    added = admin.post("/api/admin/people", json={"name": name, "role": "owner"}).json()
    place = f"/api/admin/people/{added['person']['id']}"
    refused = admin.post("/api/admin/people", json={"name": name.upper(), "role": "owner"}).status_code
    admin.post(f"{place}/role", json={"role": "reviewer"})
    admin.post(f"{place}/password", json={"password": PASSWORD})
    short = admin.post(f"{place}/password", json={"password": "short"})
    admin.post(f"{place}/tokens", json={"name": "t", "scopes": ["read"]})
    admin.post(f"{place}/tokens/revoke", json={"name": "t"})
    admin.post(f"{place}/disable")
    admin.post(f"{place}/enable")

    assert added["link"]["path"].startswith("/login?token=")
    assert (refused, short.status_code) == (409, 422)
    assert "12 characters" in short.json()["message"]
    acts = (
        *("users.add", "users.link", "users.role", "users.password", "tokens.add", "tokens.revoke"),
        *("users.disable", "users.enable"),
    )
    assert actions_about(pages, name) == [("admin", act) for act in acts]
    read = admin.get("/api/admin/audit", params={"action": "users.disable", "limit": 1}).json()
    assert read["entries"][0]["subject"] == name
    assert {"login", "users.add"} <= set(read["actions"])


def test_what_is_deleted_is_in_the_audit_log(pages: Pages, alice: httpx.Client) -> None:
    """Batches and photos, once each."""
    first = send_batch(alice, {"a.jpg": b"not a photo 1"}, "audited batch")
    second = send_batch(alice, {"b.jpg": b"not a photo 2"}, "audited photos")
    tag_all(pages, second)
    (item,) = alice.get(f"/api/batches/{second}/items").json()["items"]
    alice.delete(f"/api/batches/{first}")
    alice.post("/api/library/delete", json={"ids": [item["photo_id"]]})

    assert actions_about(pages, "audited batch") == [("alice", "batches.delete")]
    assert actions_about(pages, "1 photo") == [("alice", "photos.delete")]


def test_one_s_own_password(pages: Pages) -> None:
    """The first needs none before it; a new one ends other sessions; this browser stays in, with a new cookie."""
    _, name = person(pages)
    with pages.client(name) as mine, pages.client(name) as other:
        assert mine.get("/api/me").json() == {"name": name, "role": "owner", "has_password": False}
        cookie = dict(mine.cookies)
        first = mine.post("/api/me/password", json={"new": PASSWORD})
        assert first.status_code == 200
        assert first.json()["has_password"] is True
        assert dict(mine.cookies) != cookie
        assert mine.get("/api/me").json()["has_password"] is True
        assert other.get("/api/me").status_code == 401
        wrong = mine.post("/api/me/password", json={"old": "wrong", "new": "another long one"})
        short = mine.post("/api/me/password", json={"old": PASSWORD, "new": "short"})
        second = mine.post("/api/me/password", json={"old": PASSWORD, "new": "another long one"})

    assert (wrong.status_code, wrong.json()["code"]) == (422, "WRONG_PASSWORD")
    assert (short.status_code, second.status_code) == (422, 200)
    with pages.stranger() as client:
        assert log_in(client, name).status_code == 401
        assert log_in(client, name, "another long one").status_code == 303
    assert actions_about(pages, name).count((name, "users.password")) == 2


def test_a_stolen_session_cannot_guess_the_password(pages: Pages) -> None:
    """The attempts count as at the login."""
    _, name = person(pages, password=PASSWORD)
    with pages.client(name) as thief:
        seen = [
            thief.post("/api/me/password", json={"old": f"guess {n}", "new": "another long one"}).status_code
            for n in range(6)
        ]

    assert seen == [422] * 5 + [429]


def test_the_database_holds_nothing_that_lets_in(pages: Pages, admin: httpx.Client) -> None:
    """Neither passwords, nor tokens of links, sessions and scripts."""
    user_id, name = person(pages, password="a planted password")
    made = admin.post(f"/api/admin/people/{user_id}/tokens", json={"name": "t", "scopes": ["read"]}).json()
    link = admin.post(f"/api/admin/people/{user_id}/link").json()["path"].partition("token=")[2]
    with pages.client(name) as client:
        cookies = list(client.cookies.values())
    with closing(sqlite3.connect(pages.data_dir / "phototag.sqlite3")) as connection:
        dump = "\n".join(connection.iterdump())

    assert name in dump
    assert [each for each in ("a planted password", made["text"], link, *cookies) if each in dump] == []
    with pages.database.reading() as session:
        assert (find_user(session, name).password_hash or "").startswith("$argon2id$")


@pytest.mark.parametrize(
    "body", [{}, {"name": "x", "role": "root"}, {"name": "", "role": "owner"}, {"name": ["x"], "role": "owner"}]
)
def test_what_is_no_account_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    """In words, and nothing is added."""
    before = admin.get("/api/admin/people").json()
    answer = admin.post("/api/admin/people", json=body)

    assert answer.status_code == 422
    assert answer.json()["message"]
    assert admin.get("/api/admin/people").json() == before
