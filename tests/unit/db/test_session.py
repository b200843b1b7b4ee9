"""Transactions: all or nothing, writers that wait for each other, errors in our words."""

from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from db.errors import DatabaseUnavailableError, NotFoundError
from db.model_versions import get_version
from db.schema import User
from db.session import Database, db_now, utc_now
from db.users import local_admin
from tests.store import run_together


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """All or nothing."""
    with pytest.raises(NotFoundError), database.transaction() as session:  # noqa: PT012 - the block is what fails
        local_admin(session)
        get_version(session, "none")

    assert user_count(database) == 0


def test_reading_writes_nothing(database: Database) -> None:
    """Even if somebody tries."""
    with database.reading() as session:
        local_admin(session)

    assert user_count(database) == 0


def test_read_then_write_loses_no_update(database: Database) -> None:
    """Six writers that each read and then add: SQLite's own defaults lost most of these."""
    with database.transaction() as session:
        session.add(User(name="0", role="owner", created_at=utc_now()))
    errors: list[Exception] = []

    def count_up() -> None:
        try:
            for _ in range(10):
                with database.transaction() as session:
                    user = session.scalars(select(User).with_for_update()).one()
                    user.name = str(int(user.name) + 1)
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    run_together([count_up] * 6)

    assert errors == []
    with database.reading() as session:
        assert session.scalars(select(User.name)).one() == "60"


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    """A page is shown while a batch is accepted."""
    with database.transaction() as session:
        local_admin(session)
        assert user_count(database) == 0

    assert user_count(database) == 1


def test_the_databases_clock_is_close_to_ours(database: Database) -> None:
    """Seconds since 1970, with fractions, within what a test machine may be late."""
    with database.reading() as session:
        assert session.scalars(select(db_now(session))).one() == pytest.approx(utc_now().timestamp(), abs=5)


def test_a_database_that_is_away_is_said_in_our_words(tmp_path: Path) -> None:
    """What happened, and what to do."""
    for url in (f"sqlite:///{tmp_path}/no/such/folder/x.sqlite3", "postgresql+psycopg://nobody@127.0.0.1:1/none"):
        database = Database(url)
        with pytest.raises(DatabaseUnavailableError, match="PHOTOTAG_DATABASE_URL"), database.reading() as session:
            session.execute(text("SELECT 1"))
        database.close()


def user_count(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(User)).one()
