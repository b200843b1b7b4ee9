"""Wrong passwords, counted per name and address, and per address: who guesses waits. Shared by all processes.

Names that do not exist are counted as well, so that an answer never says whether one does. An attempt is counted
before its password is looked at, and taken back when it was right: attempts at the same time count too.
"""

import datetime as dt

from sqlalchemy import case, delete, select, tuple_, update
from sqlalchemy.orm import Session

from db.errors import TooManyAttemptsError
from db.names import person_key
from db.schema import LoginFailure
from db.session import utc_now
from db.statements import IN_DATABASE_ONLY, insert_missing

# For one name from one address: five wrong in a row, then a minute, twice as long for each further one, an hour at most.
NAME_FAILURES = 5
FIRST_LOCK, LONGEST_LOCK = dt.timedelta(minutes=1), dt.timedelta(hours=1)
# For one address whatever the names: so many at once, then one a minute. An office behind one address stays below it.
ADDRESS_FAILURES = 30
ADDRESS_FORGIVES = dt.timedelta(minutes=1)
FORGOTTEN_AFTER = dt.timedelta(days=1)

# The row that counts an address alone: no name is empty.
ANY_NAME = ""
MAX_CHARS = 64


def begin_attempt(session: Session, name: str, address: str) -> int:
    """Counts an attempt as a wrong one, until `attempt_was_right` says otherwise.

    Args:
        session: of a writing transaction.
        name: as typed.
        address: where the attempt comes from.

    Returns:
        Seconds for which the name is locked from this address if the attempt turns out wrong; 0: it is not.

    Raises:
        TooManyAttemptsError: it is locked already; the password must not be looked at.
    """
    now = utc_now()
    named, anyone = _locked_rows(session, _key(name), address[:MAX_CHARS], now)
    if (until := max(row.locked_until or now for row in (named, anyone))) > now:
        raise _too_many(until - now)
    _count(named, anyone, now)
    if anyone.failures >= ADDRESS_FAILURES:
        anyone.locked_until = now + ADDRESS_FORGIVES
    if named.failures >= NAME_FAILURES:
        named.locked_until = now + _lock_after(named.failures)
    session.flush()
    return int((max(row.locked_until or now for row in (named, anyone)) - now).total_seconds())


def attempt_was_right(session: Session, name: str, address: str) -> None:
    """Forgets the failures of this name from this address, and takes the attempt back from those of the address."""
    address = address[:MAX_CHARS]
    still_locked = case((LoginFailure.failures > ADDRESS_FAILURES, LoginFailure.locked_until), else_=None)
    session.execute(
        update(LoginFailure)
        .where(LoginFailure.address == address, LoginFailure.name_key == ANY_NAME, LoginFailure.failures > 0)
        .values(failures=LoginFailure.failures - 1, locked_until=still_locked)
        .execution_options(**IN_DATABASE_ONLY)
    )
    session.execute(
        delete(LoginFailure)
        .where(LoginFailure.address == address, LoginFailure.name_key == _key(name))
        .execution_options(**IN_DATABASE_ONLY)
    )


def forget_old_failures(session: Session) -> None:
    """Removes what counts no more. One that is being counted right now is left."""
    old = (
        select(LoginFailure.name_key, LoginFailure.address)
        .where(LoginFailure.last_at < utc_now() - FORGOTTEN_AFTER)
        .with_for_update(skip_locked=True)
    )
    session.execute(
        delete(LoginFailure)
        .where(tuple_(LoginFailure.name_key, LoginFailure.address).in_(old))
        .execution_options(**IN_DATABASE_ONLY)
    )


def _count(named: LoginFailure, anyone: LoginFailure, now: dt.datetime) -> None:
    if now - named.last_at > FORGOTTEN_AFTER:
        named.failures = 0
    named.failures += 1
    named.last_at = now
    forgiven = (now - anyone.last_at) // ADDRESS_FORGIVES
    left = max(0, anyone.failures - forgiven)
    anyone.last_at = anyone.last_at + forgiven * ADDRESS_FORGIVES if left else now  # begun minutes are not lost
    anyone.failures = left + 1


def _locked_rows(session: Session, key: str, address: str, now: dt.datetime) -> tuple[LoginFailure, LoginFailure]:
    """The row of the name and that of the address, made if missing, locked in the order of their key."""
    new = {"address": address, "failures": 0, "locked_until": None, "last_at": now}
    insert_missing(session, LoginFailure, [new | {"name_key": each} for each in (ANY_NAME, key)])
    query = (
        select(LoginFailure)
        .where(LoginFailure.address == address, LoginFailure.name_key.in_((ANY_NAME, key)))
        .order_by(LoginFailure.name_key)
        .with_for_update()
    )
    anyone, named = session.scalars(query)
    return named, anyone


def _key(name: str) -> str:
    return person_key(name)[:MAX_CHARS] or "?"


def _lock_after(failures: int) -> dt.timedelta:
    doublings = min(failures - NAME_FAILURES, 10)
    return min(FIRST_LOCK * 2**doublings, LONGEST_LOCK)


def _too_many(wait: dt.timedelta) -> TooManyAttemptsError:
    seconds = int(wait.total_seconds()) + 1
    minutes = -(-seconds // 60)
    msg = f"Too many wrong passwords. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
    return TooManyAttemptsError(msg, seconds)
