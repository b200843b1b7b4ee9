"""People, one-time login links and browser sessions. Of every token only its SHA-256 is kept."""

import datetime as dt
import hashlib
import secrets

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.errors import NotFoundError
from db.schema import LoginLink, LoginSession, User
from db.session import utc_now
from db.statements import insert_missing

LOCAL_ADMIN = "admin"
# A session ends 12 h after its last use, and in any case 30 days after the login.
SESSION_IDLE = dt.timedelta(hours=12)
SESSION_ABSOLUTE = dt.timedelta(days=30)
# The expiry is written again only when it moves by this much: not one write for each request.
SLIDE_STEP = dt.timedelta(minutes=5)


def local_admin(session: Session) -> User:
    """The one account of a machine without accounts; made on first use."""
    insert_missing(session, User, [{"name": LOCAL_ADMIN, "role": "admin", "created_at": utc_now()}])
    return session.scalars(select(User).where(User.name == LOCAL_ADMIN)).one()


def new_login_link(session: Session, user_id: int, valid_for: dt.timedelta) -> str:
    """The token of a link that logs in once.

    Raises:
        NotFoundError: there is no such user.
    """
    if session.get(User, user_id) is None:
        msg = f"No user has this id; `phototag users list` shows them. Received: {user_id}"
        raise NotFoundError(msg)
    session.execute(delete(LoginLink).where(LoginLink.expires_at < utc_now()))
    token = _new_token()
    session.add(LoginLink(token_sha256=_digest(token), user_id=user_id, expires_at=utc_now() + valid_for))
    session.flush()
    return token


def redeem_login_link(session: Session, token: str) -> str | None:
    """The token of a new session; None when the link is unknown, used or too old."""
    now = utc_now()
    user_id = session.execute(
        update(LoginLink)
        .where(LoginLink.token_sha256 == _digest(token), LoginLink.used_at.is_(None), LoginLink.expires_at > now)
        .values(used_at=now)
        .returning(LoginLink.user_id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if user_id is None:
        return None
    session.execute(delete(LoginSession).where(LoginSession.expires_at < now))
    session_token = _new_token()
    session.add(
        LoginSession(
            token_sha256=_digest(session_token), user_id=user_id, created_at=now, expires_at=now + SESSION_IDLE
        )
    )
    session.flush()
    return session_token


def user_of_session(session: Session, token: str) -> User | None:
    """Who this session belongs to; None when it is unknown or over. Moves its expiry (pass a writing session)."""
    row = session.execute(
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.token_sha256 == _digest(token), LoginSession.expires_at > utc_now())
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
    session.execute(delete(LoginSession).where(LoginSession.token_sha256 == _digest(token)))


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
