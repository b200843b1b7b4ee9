"""Login links and sessions."""

import datetime as dt

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.errors import NotFoundError
from db.schema import LoginLink, LoginSession, User
from db.session import Database, utc_now
from db.users import SESSION_ABSOLUTE, end_session, local_admin, new_login_link, redeem_login_link, user_of_session

HOUR = dt.timedelta(hours=1)


def test_there_is_one_local_admin(database: Database) -> None:
    """However often it is asked for."""
    with database.transaction() as session:
        first = local_admin(session)
    with database.transaction() as session:
        assert local_admin(session).id == first.id
        assert session.scalars(select(func.count()).select_from(User)).one() == 1
    assert (first.name, first.role) == ("admin", "admin")


def test_a_link_logs_in_once(database: Database) -> None:
    """The second use, a guess and an empty token get nothing."""
    with database.transaction() as session:
        admin = local_admin(session)
        link = new_login_link(session, admin.id, HOUR)

        token = redeem_login_link(session, link)

        assert token is not None
        user = user_of_session(session, token)
        assert user is not None
        assert user.id == admin.id
        assert redeem_login_link(session, link) is None
        assert redeem_login_link(session, "guess") is None
        assert user_of_session(session, link) is None


def test_a_link_ends(database: Database) -> None:
    """After its time it is as good as unknown."""
    with database.transaction() as session:
        link = new_login_link(session, local_admin(session).id, -HOUR)

        assert redeem_login_link(session, link) is None


def test_no_token_is_stored(database: Database) -> None:
    """Whoever reads the database cannot log in with what it holds."""
    with database.transaction() as session:
        link = new_login_link(session, local_admin(session).id, HOUR)
        token = redeem_login_link(session, link)

        stored = {*session.scalars(select(LoginLink.token_sha256)), *session.scalars(select(LoginSession.token_sha256))}

        assert stored.isdisjoint({link, token})
        assert all(redeem_login_link(session, value) is None for value in stored)
        assert all(user_of_session(session, value) is None for value in stored)


def test_a_session_slides_with_use_but_not_for_ever(database: Database) -> None:
    """Twelve hours after the last use, and thirty days after the login."""
    with database.transaction() as session:
        token = login(session)
        begun = utc_now() - SESSION_ABSOLUTE + 2 * HOUR
        session.execute(update(LoginSession).values(created_at=begun, expires_at=utc_now() + HOUR))
        session.expire_all()

        assert user_of_session(session, token) is not None

        expires_at = session.scalars(select(LoginSession.expires_at)).one()
        assert expires_at == begun + SESSION_ABSOLUTE


def test_a_session_that_is_over_is_nobodys(database: Database) -> None:
    """By time, or by logging out."""
    with database.transaction() as session:
        old, ended = login(session), login(session)
        end_session(session, ended)
        assert user_of_session(session, ended) is None
        assert user_of_session(session, old) is not None

        session.execute(update(LoginSession).values(expires_at=utc_now() - HOUR))

        assert user_of_session(session, old) is None


def test_a_link_for_nobody_is_refused(database: Database) -> None:
    """There must be such a user."""
    with database.transaction() as session, pytest.raises(NotFoundError, match="4711"):
        new_login_link(session, 4711, HOUR)


def login(session: Session) -> str:
    token = redeem_login_link(session, new_login_link(session, local_admin(session).id, HOUR))
    assert token is not None
    return token
