"""Ways in for browsers: passwords, one-time links, and the sessions behind both. Of every token only its SHA-256 is kept."""

import datetime as dt
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.audit import record_audit
from db.errors import ConflictError, WrongPasswordError
from db.login_failures import attempt_was_right, begin_attempt
from db.passwords import hash_password, is_password, renewed
from db.schema import LoginLink, LoginSession, User
from db.session import Database, utc_now
from db.statements import IN_DATABASE_ONLY
from db.tokens import new_token, token_digest
from db.users import get_user, set_password, user_named

# A session ends 12 h after its last use, and in any case 30 days after the login.
SESSION_IDLE = dt.timedelta(hours=12)
SESSION_ABSOLUTE = dt.timedelta(days=30)
# The expiry is written again only when it moves by this much: not one write for each request.
SLIDE_STEP = dt.timedelta(minutes=5)


class Login(NamedTuple):
    """Somebody who has come in, and the token of the new session."""

    user: User
    token: str


def log_in(database: Database, name: str, password: str, address: str) -> Login:
    """Begins a session for a name and its password. Takes 0.2 s, also for a name that does not exist.

    Args:
        database: no transaction is open while the password is looked at.
        name: in whatever case.
        password: as typed.
        address: where the attempt comes from.

    Raises:
        WrongPasswordError: the two do not belong together, or this person is disabled.
        TooManyAttemptsError: too many were wrong; this one was not looked at.
    """
    user = checked_password(database, name, password, address)
    new_hash = renewed(user.password_hash, password)
    with database.transaction() as session:
        now = get_user(session, user.id)
        if now.disabled_at is not None or now.password_hash != user.password_hash:
            raise _wrong()
        now.password_hash = new_hash or now.password_hash
        login = begin_session(session, now)
        record_audit(session, now, "login", now.name, {"by": "password", "from": address})
    return login


def checked_password(database: Database, name: str, password: str, address: str) -> User:
    """The person whose name and password these are; wrong ones are counted. Raises as `log_in` does."""
    with database.transaction() as session:
        locked_s = begin_attempt(session, name, address)
        user = user_named(session, name)
    stored = user.password_hash if user is not None and user.disabled_at is None else None
    if not is_password(stored, password) or user is None:
        if locked_s:
            with database.transaction() as session:
                record_audit(session, None, "login.locked", name, {"seconds": locked_s, "from": address})
        raise _wrong()
    with database.transaction() as session:
        attempt_was_right(session, name, address)
    return user


def change_password(database: Database, user_id: int, old: str, new: str, address: str) -> Login:
    """Gives somebody a new password of their own choice, and a new session in place of all others.

    Args:
        database: no transaction is open while passwords are looked at.
        user_id: whose.
        old: the password until now; not looked at if there was none.
        new: the new one.
        address: where this is asked from; wrong passwords are counted as at the login.

    Raises:
        WrongPasswordError: `old` is not the password until now.
        TooManyAttemptsError: too many were wrong; this one was not looked at.
        InvalidPasswordError: `new` is too short or too long.
    """
    new_hash = hash_password(new)
    with database.reading() as session:
        user = get_user(session, user_id)
    if user.password_hash is not None:
        try:
            checked_password(database, user.name, old, address)
        except WrongPasswordError as error:
            raise WrongPasswordError("The password until now is another one. Try again.") from error
    with database.transaction() as session:
        user = set_password(session, user_id, new_hash)
        login = begin_session(session, user)
        record_audit(session, user, "users.password", user.name)
    return login


def new_login_link(session: Session, user_id: int, valid_for: dt.timedelta) -> str:
    """The token of a link that logs in once.

    Raises:
        NotFoundError: there is no such person.
        ConflictError: this person is disabled.
    """
    if get_user(session, user_id).disabled_at is not None:
        msg = "This person is disabled. Enable them first: `phototag users enable NAME`, or on the page Admin."
        raise ConflictError(msg)
    session.execute(delete(LoginLink).where(LoginLink.expires_at < utc_now()), execution_options=IN_DATABASE_ONLY)
    token = new_token()
    session.add(LoginLink(token_sha256=token_digest(token), user_id=user_id, expires_at=utc_now() + valid_for))
    session.flush()
    return token


def redeem_login_link(session: Session, token: str, address: str = "") -> Login | None:
    """Begins a session for a link; None when it is unknown, used or too old, or the person is disabled."""
    now = utc_now()
    enabled = select(User.id).where(User.disabled_at.is_(None))
    user_id = session.execute(
        update(LoginLink)
        .where(LoginLink.token_sha256 == token_digest(token), LoginLink.used_at.is_(None), LoginLink.expires_at > now)
        .where(LoginLink.user_id.in_(enabled))
        .values(used_at=now)
        .returning(LoginLink.user_id)
        .execution_options(**IN_DATABASE_ONLY)
    ).scalar_one_or_none()
    if user_id is None:
        return None
    login = begin_session(session, get_user(session, user_id))
    record_audit(session, login.user, "login", login.user.name, {"by": "link", "from": address})
    return login


def begin_session(session: Session, user: User) -> Login:
    """A new session, whatever the browser had before: nobody can prepare one for somebody else."""
    now = utc_now()
    session.execute(delete(LoginSession).where(LoginSession.expires_at < now), execution_options=IN_DATABASE_ONLY)
    token = new_token()
    session.add(
        LoginSession(token_sha256=token_digest(token), user_id=user.id, created_at=now, expires_at=now + SESSION_IDLE)
    )
    session.flush()
    return Login(user, token)


def user_of_session(session: Session, token: str) -> User | None:
    """Who this session belongs to; None when it is unknown or over. Moves its expiry (pass a writing session)."""
    row = session.execute(
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.token_sha256 == token_digest(token), LoginSession.expires_at > utc_now())
        .where(User.disabled_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    login, user = row
    expires_at = min(utc_now() + SESSION_IDLE, login.created_at + SESSION_ABSOLUTE)
    if expires_at - login.expires_at > SLIDE_STEP:
        login.expires_at = expires_at
        session.flush()
    return user


def end_session(session: Session, token: str) -> None:
    """Logs out. Unknown tokens are ignored."""
    ended = delete(LoginSession).where(LoginSession.token_sha256 == token_digest(token))
    session.execute(ended, execution_options=IN_DATABASE_ONLY)


def _wrong() -> WrongPasswordError:
    return WrongPasswordError("The name and the password do not belong together. Try again.")
