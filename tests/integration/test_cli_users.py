"""`phototag users`: accounts and tokens from the command line, and what of it is in the audit log."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from db.api_tokens import find_bearer
from db.audit import list_audit
from db.logins import log_in, redeem_login_link
from db.session import Database
from tests.integration.command_line import environment, phototag
from tests.integration.processes import ROOT

pytestmark = pytest.mark.timeout(300)

PASSWORD = "correct horse battery"


def users(data_dir: Path, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `phototag users ...`; `typed` is sent to its standard input."""
    command = [sys.executable, "-m", "ui", "users", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), input=typed or "", capture_output=True, text=True, timeout=90, check=False
    )


def as_json(data_dir: Path, *arguments: str, typed: str | None = None) -> Any:
    """What a command prints with --json."""
    result = users(data_dir, *arguments, "--json", typed=typed)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_an_account_from_the_first_day_to_the_last(sqlite_database: Database, data_dir: Path) -> None:
    """Added with a password and with a link, given tokens and a role, disabled; each act is one row of the log."""
    added = as_json(data_dir, "add", "Ann", "--role", "owner", "--password-stdin", typed=f"{PASSWORD}\n")
    linked = as_json(data_dir, "add", "bob", "--role", "reviewer")
    token = as_json(data_dir, "token", "ann", "--name", "laptop", "--scopes", "read, submit", "--expires-days", "3")
    as_json(data_dir, "role", "ANN", "reviewer")
    tokens = as_json(data_dir, "tokens", "ann")

    assert (added["name"], added["has_password"], added["link"]) == ("Ann", True, None)
    assert log_in(sqlite_database, "ann", PASSWORD, "here").user.role == "reviewer"
    assert (linked["has_password"], linked["link"].count("/login?token=")) == (False, 1)
    with sqlite_database.transaction() as session:
        assert redeem_login_link(session, linked["link"].partition("token=")[2]) is not None
        bearer = find_bearer(session, token["token"])
        assert bearer is not None
        assert (bearer.user.name, bearer.scopes) == ("Ann", {"read", "submit"})
    assert [(row["name"], row["scopes"]) for row in tokens] == [("laptop", ["read", "submit"])]
    assert token["token"] not in json.dumps(tokens)

    as_json(data_dir, "revoke", "ann", "laptop")
    as_json(data_dir, "password", "ann", "--password-stdin", typed="another long one\n")
    assert as_json(data_dir, "link", "ann")["link"].startswith("http://127.0.0.1:")
    as_json(data_dir, "disable", "ann")
    listed = {row["name"]: row["disabled_at"] is not None for row in as_json(data_dir, "list")}
    as_json(data_dir, "enable", "ann")

    assert listed == {"admin": False, "Ann": True, "bob": False}
    with sqlite_database.reading() as session:
        assert find_bearer(session, token["token"]) is None
        rows = [row for row in reversed(list_audit(session)) if not row.action.startswith("login")]
    assert [(row.action, row.subject) for row in rows] == [
        ("users.add", "Ann"),
        ("users.add", "bob"),
        ("users.link", "bob"),
        ("tokens.add", "Ann"),
        ("users.role", "Ann"),
        ("tokens.revoke", "Ann"),
        ("users.password", "Ann"),
        ("users.link", "Ann"),
        ("users.disable", "Ann"),
        ("users.enable", "Ann"),
    ]
    assert {(row.user, row.details["by"]) for row in rows} == {(None, "command line")}


def test_what_cannot_be_done_is_said_in_one_line(sqlite_database: Database, data_dir: Path) -> None:
    """With what to do instead; no secret is in it."""
    short = users(data_dir, "add", "ann", "--role", "owner", "--password-stdin", typed="too short\n")
    last = users(data_dir, "disable", "admin")
    nobody = users(data_dir, "link", "nobody")
    silent = users(data_dir, "password", "admin")
    scope = users(data_dir, "token", "admin", "--name", "t", "--scopes", "root")

    assert (short.returncode, "at least 12 characters" in short.stderr) == (1, True)
    assert "too short\n" not in short.stderr
    assert nobody.returncode == 1
    assert "phototag users list" in nobody.stderr
    assert (silent.returncode, "--password-stdin" in silent.stderr) == (2, True)
    assert (scope.returncode, "read,submit" in scope.stderr) == (2, True)
    assert (last.returncode, "last admin" in last.stderr) == (1, True)


def test_people_read_what_scripts_read(sqlite_database: Database, data_dir: Path) -> None:
    """Without --json."""
    added = users(data_dir, "add", "ann", "--role", "owner")
    token = users(data_dir, "token", "ann", "--name", "laptop", "--scopes", "read")

    assert "ann is added, with the role owner." in added.stdout
    assert "/login?token=" in added.stdout
    assert token.stdout.startswith("phototag_")
    assert "until revoked, never used" in users(data_dir, "tokens", "ann").stdout
    assert "ann" in phototag("users", "list", "--data-dir", data_dir).stdout
