"""Ways in for browsers: links, passwords, sessions."""

import datetime as dt

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.errors import ConflictError, NotFoundError, TooManyAttemptsError, WrongPasswordError
from db.login_failures import NAME_FAILURES
from db.logins import SESSION_ABSOLUTE, end_session, log_in, new_login_link, redeem_login_link, user_of_session
from db.passwords import hash_password
from db.schema import AuditEntry, LoginLink, LoginSession, User
from db.session import Database, utc_now
from db.users import add_user, disable_user, enable_user, local_admin, set_password

HOUR = dt.timedelta(hours=1)
PASSWORD = "correct horse battery"
HERE = "192.0.2.1"


def test_a_link_logs_in_once(database: Database) -> None:
    """The second use, a guess and an empty token get nothing."""
    with database.transaction() as session:
        admin = local_admin(session)
        link = new_login_link(session, admin.id, HOUR)

        login = redeem_login_link(session, link)

        assert login is not None
        user = user_of_session(session, login.token)
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
        entered = redeem_login_link(session, link)
        assert entered is not None
        token = entered.token

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


def test_a_name_with_its_password_begins_a_session(database: Database) -> None:
    """In whatever case the name is typed; who came in, and how, is in the log."""
    ann = person(database, "Ann")

    entered = log_in(database, " aNN ", PASSWORD, HERE)

    with database.transaction() as session:
        found = user_of_session(session, entered.token)
        assert found is not None
        assert found.id == ann.id
        (row,) = session.scalars(select(AuditEntry)).all()
        assert (row.user_id, row.action, row.details) == (ann.id, "login", {"by": "password", "from": HERE})


def test_an_answer_never_says_which_of_the_two_is_wrong(database: Database) -> None:
    """A wrong password, nobody of this name, somebody without a password, somebody disabled: the same words."""
    person(database, "ann")
    with database.transaction() as session:
        add_user(session, "link only", "owner")
        gone = add_user(session, "gone", "owner", hash_password(PASSWORD)).id
        disable_user(session, gone)

    said: set[str] = set()
    for name, typed in (("ann", "wrong"), ("nobody", PASSWORD), ("link only", ""), ("gone", PASSWORD), ("", "")):
        with pytest.raises(WrongPasswordError) as refused:
            log_in(database, name, typed, HERE)
        said.add(str(refused.value))

    assert len(said) == 1


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_five_wrong_passwords_in_a_row_lock_the_name_from_this_address(database: Database, name: str) -> None:
    """The right one is not looked at any more, whether or not there is such a name; elsewhere it still is."""
    person(database, "ann")
    for _ in range(NAME_FAILURES):
        with pytest.raises(WrongPasswordError):
            log_in(database, name, "wrong", HERE)

    with pytest.raises(TooManyAttemptsError, match="1 minute") as locked:
        log_in(database, name, PASSWORD, HERE)

    assert 50 < locked.value.retry_after_s <= 61
    log_in(database, "ann", PASSWORD, "192.0.2.2")
    with database.reading() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == "login.locked")).all()
        assert [(row.user_id, row.subject) for row in rows] == [(None, name)]


def test_a_right_password_begins_the_count_again(database: Database) -> None:
    """Four wrong, one right, four wrong: not locked."""
    person(database, "ann")
    for _ in range(2):
        for _ in range(NAME_FAILURES - 1):
            with pytest.raises(WrongPasswordError):
                log_in(database, "ann", "wrong", HERE)
        assert log_in(database, "ann", PASSWORD, HERE).token


def test_a_hash_with_old_parameters_is_renewed_at_the_next_login(database: Database) -> None:
    """Nobody has to choose another password for it."""
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with database.transaction() as session:
        add_user(session, "ann", "owner", weak)

    log_in(database, "ann", PASSWORD, HERE)

    with database.reading() as session:
        stored = session.scalars(select(User.password_hash).where(User.name == "ann")).one()
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    log_in(database, "ann", PASSWORD, HERE)


def test_a_disabled_person_is_out_at_once_and_stays_out(database: Database) -> None:
    """Sessions and links end; no new link is made. Enabled again, a new login is needed."""
    ann = person(database, "ann")
    entered = log_in(database, "ann", PASSWORD, HERE)
    with database.transaction() as session:
        link = new_login_link(session, ann.id, HOUR)
        disable_user(session, ann.id)

    with database.transaction() as session:
        assert user_of_session(session, entered.token) is None
        assert redeem_login_link(session, link) is None
        with pytest.raises(ConflictError, match="disabled"):
            new_login_link(session, ann.id, HOUR)
        enable_user(session, ann.id)
        assert user_of_session(session, entered.token) is None
        assert redeem_login_link(session, link) is None
    assert log_in(database, "ann", PASSWORD, HERE).token


def test_a_session_that_outlived_its_rows_end_is_nobody_s(database: Database) -> None:
    """The row of a disabled person does not let in, even if one was left."""
    ann = person(database, "ann")
    entered = log_in(database, "ann", PASSWORD, HERE)
    with database.transaction() as session:
        session.execute(update(User).where(User.id == ann.id).values(disabled_at=utc_now()))
        assert user_of_session(session, entered.token) is None


def test_a_new_password_ends_what_the_old_one_had_opened(database: Database) -> None:
    """Sessions and links."""
    ann = person(database, "ann")
    entered = log_in(database, "ann", PASSWORD, HERE)
    with database.transaction() as session:
        link = new_login_link(session, ann.id, HOUR)
        set_password(session, ann.id, hash_password("another long one"))

    with database.transaction() as session:
        assert user_of_session(session, entered.token) is None
        assert redeem_login_link(session, link) is None
    with pytest.raises(WrongPasswordError):
        log_in(database, "ann", PASSWORD, HERE)
    assert log_in(database, "ann", "another long one", HERE).token


def person(database: Database, name: str) -> User:
    hashed = hash_password(PASSWORD)
    with database.transaction() as session:
        return add_user(session, name, "owner", hashed)


def login(session: Session) -> str:
    entered = redeem_login_link(session, new_login_link(session, local_admin(session).id, HOUR))
    assert entered is not None
    return entered.token
