"""API tokens: what scripts log in with. Each is shown once and kept as its SHA-256, with what it may be used for."""

import datetime as dt
from collections.abc import Collection
from typing import Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from db.errors import ConflictError, NotFoundError
from db.names import person_name
from db.schema import ApiToken, User
from db.session import utc_now
from db.statements import IN_DATABASE_ONLY, count_changed
from db.tokens import new_token, token_digest
from db.users import get_user

Scope = Literal["read", "submit", "review", "labels", "models", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# Written in front of every token, so that programs which search for leaked secrets know one.
PREFIX = "phototag_"
# `last_used_at` is written again only after this long: not one write for each request.
USED_STEP = dt.timedelta(minutes=5)


class Bearer(NamedTuple):
    """Who a token belongs to, what it may be used for, and whether its use should be written down."""

    token_id: int
    user: User
    scopes: frozenset[str]
    is_due: bool


def new_api_token(
    session: Session, user_id: int, name: str, scopes: Collection[str], valid_for: dt.timedelta | None = None
) -> tuple[ApiToken, str]:
    """A new token: its row, and the text that is shown once.

    It never allows more than its person's role does. The name of a token that was revoked or is over is free again.

    Args:
        session: of a writing transaction.
        user_id: whose.
        name: 1 to 64 visible characters, to tell it from this person's others.
        scopes: some of `SCOPES`.
        valid_for: None: until it is revoked.

    Raises:
        NotFoundError: there is no such person.
        InvalidNameError: the name is empty, too long, or has characters that cannot be seen.
        ConflictError: the name is taken, the person is disabled, or a scope does not exist.
    """
    now = utc_now()
    if get_user(session, user_id).disabled_at is not None:
        msg = "This person is disabled; enable them first."
        raise ConflictError(msg)
    if not scopes or not set(scopes) <= set(SCOPES):
        msg = f"A token has at least one of the scopes {', '.join(SCOPES)}. Received: {', '.join(scopes)!r}"
        raise ConflictError(msg)
    name = person_name(name)
    mine = (ApiToken.user_id == user_id, ApiToken.name == name)
    over = or_(ApiToken.revoked_at.is_not(None), ApiToken.expires_at <= now)
    session.execute(delete(ApiToken).where(*mine, over), execution_options=IN_DATABASE_ONLY)
    if session.scalar(select(ApiToken.id).where(*mine)) is not None:
        msg = f"This person has a token of this name. Revoke it first, or choose another name. Received: {name!r}"
        raise ConflictError(msg)
    text = PREFIX + new_token()
    token = ApiToken(
        user_id=user_id,
        name=name,
        token_sha256=token_digest(text),
        scopes=",".join(scope for scope in SCOPES if scope in scopes),
        created_at=now,
        expires_at=now + valid_for if valid_for is not None else None,
    )
    session.add(token)
    session.flush()
    return token, text


def list_api_tokens(session: Session, user_id: int) -> list[ApiToken]:
    """A person's tokens that work, in the order of their names."""
    theirs = select(ApiToken).where(ApiToken.user_id == user_id, *_works(utc_now()))
    return list(session.scalars(theirs.order_by(ApiToken.name)))


def revoke_api_token(session: Session, user_id: int, name: str) -> None:
    """Ends a token for good.

    Raises:
        NotFoundError: this person has no such token, or it is revoked already.
    """
    mine = (ApiToken.user_id == user_id, ApiToken.name == name, ApiToken.revoked_at.is_(None))
    if not count_changed(session, update(ApiToken).where(*mine).values(revoked_at=utc_now())):
        msg = f"This person has no such token; `phototag users tokens NAME` shows them. Received: {name!r}"
        raise NotFoundError(msg)


def find_bearer(session: Session, text: str) -> Bearer | None:
    """Who a token belongs to; None when it is unknown, over or revoked, or the person is disabled."""
    now = utc_now()
    row = session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.token_sha256 == token_digest(text), *_works(now), User.disabled_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    token, user = row
    is_due = token.last_used_at is None or now - token.last_used_at > USED_STEP
    return Bearer(token.id, user, frozenset(token.scopes.split(",")), is_due)


def note_use(session: Session, token_id: int) -> None:
    """Writes down that a token was used just now."""
    used = update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=utc_now())
    session.execute(used, execution_options=IN_DATABASE_ONLY)


def _works(now: dt.datetime) -> tuple[ColumnElement[bool], ...]:
    return ApiToken.revoked_at.is_(None), or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now)
