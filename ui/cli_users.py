"""`phototag users`: who may come in, with what role, and the API tokens of scripts."""

import datetime as dt
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from db.api_tokens import SCOPES, list_api_tokens
from db.schema import ROLES, ApiToken, User
from db.session import Database
from db.users import find_user, list_users
from ui.cli_setup import current_user, data_dir_option, json_option, opened_database, print_json, read_settings
from ui.people import People
from ui.serving import address_served, link_to
from ui.settings import UiSettings

name_argument = click.argument("name", metavar="NAME")
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, instead of asking for it."
)


@click.group()
def users() -> None:
    """Add and disable people, their roles, passwords and API tokens."""


@users.command()
@name_argument
@click.option("--role", type=click.Choice(ROLES), required=True, help="What this person may do.")
@password_option
@json_option
@data_dir_option
def add(*, name: str, role: str, password_stdin: bool, as_json: bool, data_dir: Path | None) -> None:
    """Adds a person. Without a password it prints a link that logs in once."""
    password = _password(from_stdin=password_stdin, optional=True)
    with _people(data_dir) as (database, people):
        user = people.add(name, role, password)
        link = None if password is not None else _new_link(people, user, data_dir)
        shape = _shape(database, user)
    if as_json:
        print_json(shape | {"link": link})
        return
    click.echo(f"{user.name} is added, with the role {user.role}.")
    if link is not None:
        click.echo(f"This link logs in once, within {UiSettings().login_link_valid_s // 60} minutes:\n\n  {link}\n")


@users.command("list")
@json_option
@data_dir_option
def list_(*, as_json: bool, data_dir: Path | None) -> None:
    """Lists everybody, disabled people too."""
    with _people(data_dir) as (database, _):
        with database.reading() as session:
            everybody = list_users(session)
        rows = [_shape(database, user) for user in everybody]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        enters = "password" if row["has_password"] else "links only"
        tokens = f"{row['tokens']} tokens" if row["tokens"] else ""
        state = "disabled" if row["disabled_at"] else enters
        click.echo(f"{row['name']:<24}  {row['role']:<8}  {state:<10}  {tokens}".rstrip())


@users.command()
@name_argument
@json_option
@data_dir_option
def disable(*, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Closes every way in: sessions and links end, API tokens are revoked. What the person did stays."""
    with _people(data_dir) as (database, people):
        user = people.disable(_find(database, name).id)
        _print(database, user, f"{user.name} is disabled.", as_json=as_json)


@users.command()
@name_argument
@json_option
@data_dir_option
def enable(*, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Opens the ways in again. Revoked tokens stay revoked."""
    with _people(data_dir) as (database, people):
        user = people.enable(_find(database, name).id)
        _print(database, user, f"{user.name} is enabled.", as_json=as_json)


@users.command()
@name_argument
@click.argument("new_role", metavar="ROLE", type=click.Choice(ROLES))
@json_option
@data_dir_option
def role(*, name: str, new_role: str, as_json: bool, data_dir: Path | None) -> None:
    """Gives another role."""
    with _people(data_dir) as (database, people):
        user = people.set_role(_find(database, name).id, new_role)
        _print(database, user, f"{user.name} has the role {user.role}.", as_json=as_json)


@users.command("password")
@name_argument
@password_option
@json_option
@data_dir_option
def password_(*, name: str, password_stdin: bool, as_json: bool, data_dir: Path | None) -> None:
    """Gives a new password. Sessions and links of before end."""
    with _people(data_dir) as (database, people):
        user_id = _find(database, name).id
        password = _password(from_stdin=password_stdin, optional=False)
        assert password is not None
        user = people.set_password(user_id, password)
        _print(database, user, f"{user.name} has a new password.", as_json=as_json)


@users.command()
@name_argument
@json_option
@data_dir_option
def link(*, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Prints a link that logs this person in once."""
    with _people(data_dir) as (database, people):
        text = _new_link(people, _find(database, name), data_dir)
    if as_json:
        print_json({"link": text})
    else:
        click.echo(text)


def _scopes(_context: click.Context, _option: click.Parameter, value: str) -> list[str]:
    names = [part.strip() for part in value.split(",") if part.strip()]
    if not names or not set(names) <= set(SCOPES):
        msg = f"expected some of {','.join(SCOPES)}, separated by commas. Received: {value!r}"
        raise click.BadParameter(msg)
    return names


@users.command()
@name_argument
@click.option("--name", "token_name", required=True, help="What the token is called, to revoke it by.")
@click.option("--scopes", required=True, callback=_scopes, help=f"What it may be used for: {', '.join(SCOPES)}.")
@click.option("--expires-days", type=click.IntRange(1, 3650), help="Days until it is over; without, when revoked.")
@json_option
@data_dir_option
def token(
    *, name: str, token_name: str, scopes: list[str], expires_days: int | None, as_json: bool, data_dir: Path | None
) -> None:
    """Makes an API token and prints it, once. It never allows more than its person's role."""
    valid_for = dt.timedelta(days=expires_days) if expires_days is not None else None
    with _people(data_dir) as (database, people):
        row, text = people.new_token(_find(database, name).id, token_name, scopes, valid_for)
    if as_json:
        print_json(_token_shape(row) | {"token": text})
    else:
        click.echo(text)


@users.command()
@name_argument
@json_option
@data_dir_option
def tokens(*, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Lists a person's API tokens, without the tokens themselves."""
    with _people(data_dir) as (database, _):
        user = _find(database, name)
        with database.reading() as session:
            rows = [_token_shape(row) for row in list_api_tokens(session, user.id)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"{user.name} has no API tokens. Make one: `phototag users token`.")
    for row in rows:
        until = f"until {row['expires_at']:%Y-%m-%d}" if row["expires_at"] else "until revoked"
        used = f"used {row['last_used_at']:%Y-%m-%d}" if row["last_used_at"] else "never used"
        click.echo(f"{row['name']:<24}  {','.join(row['scopes']):<24}  {until}, {used}")


@users.command()
@name_argument
@click.argument("token_name", metavar="TOKEN_NAME")
@json_option
@data_dir_option
def revoke(*, name: str, token_name: str, as_json: bool, data_dir: Path | None) -> None:
    """Ends an API token for good."""
    with _people(data_dir) as (database, people):
        people.revoke_token(_find(database, name).id, token_name)
    if as_json:
        print_json({"revoked": token_name})
    else:
        click.echo(f"The token {token_name} is revoked. Pages that run see it within 5 seconds.")


@contextmanager
def _people(data_dir: Path | None) -> Generator[tuple[Database, People]]:
    with opened_database(read_settings(data_dir).data) as database:
        current_user(database)  # there from the first day, so that it is listed
        yield database, People(database, None)


def _find(database: Database, name: str) -> User:
    with database.reading() as session:
        return find_user(session, name)


def _new_link(people: People, user: User, data_dir: Path | None) -> str:
    ui = UiSettings()
    text = people.new_link(user.id, dt.timedelta(seconds=ui.login_link_valid_s))
    return link_to(ui, address_served(read_settings(data_dir).data.data_dir), text)


def _password(*, from_stdin: bool, optional: bool) -> str | None:
    """What was typed or sent; None for nothing, where that is a choice."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        if optional:
            return None
        msg = "Nobody can be asked here for a password. Send it to standard input, with --password-stdin."
        raise click.UsageError(msg)
    hint = " (nothing: enters by a link)" if optional else ""
    typed = click.prompt(f"Password{hint}", hide_input=True, default="", show_default=False, err=True)
    if not typed and optional:
        return None
    if click.prompt("The same once more", hide_input=True, default="", show_default=False, err=True) != typed:
        msg = "The two passwords differ. Nothing was changed."
        raise click.UsageError(msg)
    return typed


def _print(database: Database, user: User, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_shape(database, user))
    else:
        click.echo(text)


def _shape(database: Database, user: User) -> dict[str, Any]:
    with database.reading() as session:
        count = len(list_api_tokens(session, user.id))
    return {
        "name": user.name,
        "role": user.role,
        "has_password": user.password_hash is not None,
        "tokens": count,
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }


def _token_shape(token: ApiToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "scopes": token.scopes.split(","),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }
