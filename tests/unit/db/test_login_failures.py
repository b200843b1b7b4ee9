"""Wrong passwords are counted: per name and address, and per address."""

import contextlib
import datetime as dt
import threading

import pytest
from sqlalchemy import func, select, update

from db.errors import TooManyAttemptsError
from db.login_failures import (
    ADDRESS_FAILURES,
    NAME_FAILURES,
    attempt_was_right,
    begin_attempt,
    forget_old_failures,
)
from db.schema import LoginFailure
from db.session import Database, utc_now

HERE = "192.0.2.1"
MINUTE = dt.timedelta(minutes=1)


def attempt(database: Database, name: str, address: str = HERE) -> int:
    with database.transaction() as session:
        return begin_attempt(session, name, address)


def waited(database: Database, span: dt.timedelta) -> None:
    """As if all of it had happened so long ago."""
    with database.transaction() as session:
        for row in session.scalars(select(LoginFailure)):
            row.last_at -= span
            row.locked_until = row.locked_until and row.locked_until - span


def test_the_lock_doubles_up_to_an_hour(database: Database) -> None:
    """Each failure after a lock makes a longer one."""
    locks = [attempt(database, "ann") for _ in range(NAME_FAILURES)]
    for _ in range(8):
        with pytest.raises(TooManyAttemptsError):
            attempt(database, "ann")
        waited(database, dt.timedelta(hours=1, seconds=1))
        locks.append(attempt(database, "ann"))

    assert [round(lock / 60) for lock in locks] == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_lock_is_of_one_name_from_one_address(database: Database) -> None:
    """Others come in, and the person from elsewhere. The name counts in whatever case."""
    for name in ("ann", "ANN", " ann", "Ann ", "aNn"):
        attempt(database, name)

    with pytest.raises(TooManyAttemptsError):
        attempt(database, "ann")
    assert attempt(database, "bob") == 0
    assert attempt(database, "ann", "192.0.2.2") == 0


def test_an_address_that_tries_many_names_waits_too(database: Database) -> None:
    """One guess a minute is left; each minute forgives one."""
    for number in range(ADDRESS_FAILURES):
        attempt(database, f"name {number}")

    with pytest.raises(TooManyAttemptsError):
        attempt(database, "another")
    waited(database, MINUTE)
    attempt(database, "another")
    with pytest.raises(TooManyAttemptsError):
        attempt(database, "one more")
    waited(database, 30 * MINUTE)
    for number in range(20):
        attempt(database, f"later {number}")
    assert attempt(database, "elsewhere", "192.0.2.2") == 0


def test_an_address_with_many_right_passwords_is_never_locked(database: Database) -> None:
    """Neither for those, nor by a few wrong ones among them during a day."""
    for _ in range(3 * ADDRESS_FAILURES):
        with database.transaction() as session:
            begin_attempt(session, "ann", HERE)
            attempt_was_right(session, "ann", HERE)
    for number in range(2 * ADDRESS_FAILURES):
        attempt(database, f"typo {number}")
        for _ in range(4):  # right ones in between do not stop the forgiving
            with database.transaction() as session:
                begin_attempt(session, "ann", HERE)
                attempt_was_right(session, "ann", HERE)
            waited(database, dt.timedelta(seconds=20))

    with database.reading() as session:
        assert session.scalars(select(LoginFailure.failures).where(LoginFailure.name_key == "")).one() < 10


def test_a_right_password_of_one_s_own_does_not_unlock_the_address(database: Database) -> None:
    """Somebody with an account guesses the passwords of others."""
    for number in range(ADDRESS_FAILURES - 1):
        attempt(database, f"name {number}")
    with database.transaction() as session:
        begin_attempt(session, "mallory", HERE)
        attempt_was_right(session, "mallory", HERE)

    attempt(database, "ann")
    with pytest.raises(TooManyAttemptsError):
        attempt(database, "bob")


def test_attempts_at_the_same_time_are_all_counted(database: Database) -> None:
    """A password is looked at only after its attempt was counted: no race wins a sixth look."""
    looked: list[int] = []

    def guess() -> None:
        with contextlib.suppress(TooManyAttemptsError):
            looked.append(attempt(database, "ann"))

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(looked) == NAME_FAILURES


def test_old_failures_are_forgotten(database: Database) -> None:
    """After a day without any; the rows go."""
    for name in ("ann", "ann", "ann", "ann", "bob"):
        attempt(database, name)
    with database.transaction() as session:
        old = LoginFailure.name_key == "ann"
        session.execute(update(LoginFailure).where(old).values(last_at=utc_now() - dt.timedelta(days=1, minutes=1)))

    assert attempt(database, "ann") == 0
    waited(database, dt.timedelta(days=1, minutes=1))
    attempt(database, "carol")
    with database.transaction() as session:
        forget_old_failures(session)
        assert set(session.scalars(select(LoginFailure.name_key))) == {"", "carol"}


def test_names_of_any_kind_are_counted(database: Database) -> None:
    """Nothing that is typed breaks it, and no name is the row of all names."""
    for name in ("", " ", "\0", "\ud800", "x" * 5000, "\u202e", "'; DROP TABLE users"):
        attempt(database, name, "2001:db8::/64")

    with database.reading() as session:
        assert session.scalars(select(func.max(LoginFailure.failures))).one() == 7
        assert session.scalars(select(LoginFailure.failures).where(LoginFailure.name_key == "")).one() == 7
