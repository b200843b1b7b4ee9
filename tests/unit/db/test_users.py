"""Accounts: names, roles, and that the last admin stays."""

import threading

import pytest
from sqlalchemy import func, select

from db.errors import ConflictError, InvalidNameError, NotFoundError
from db.schema import User
from db.session import Database
from db.users import add_user, disable_user, enable_user, find_user, list_users, local_admin, set_role


def test_there_is_one_local_admin(database: Database) -> None:
    """However often it is asked for."""
    with database.transaction() as session:
        first = local_admin(session)
    with database.transaction() as session:
        assert local_admin(session).id == first.id
        assert session.scalars(select(func.count()).select_from(User)).one() == 1
    assert (first.name, first.role) == ("admin", "admin")


def test_a_name_is_one_person_s_in_whatever_case_it_is_written(database: Database) -> None:
    """Composed or not, with spaces around or not."""
    with database.transaction() as session:
        zoe = add_user(session, "  Zoe\u0308   Strauß ", "owner")
    assert zoe.name == "Zo\xeb Strauß"

    for taken in ("zo\xeb strauß", "ZOE\u0308 STRAUSS", "Zo\xeb Strauß", "ADMIN"):
        with database.transaction() as session, pytest.raises(ConflictError, match="taken"):
            add_user(session, taken, "owner")
    with database.reading() as session:
        assert find_user(session, "ZO\xcb  strauss").id == zoe.id
        assert [user.name for user in list_users(session)] == ["admin", "Zo\xeb Strauß"]


def test_a_name_is_found_whatever_space_it_has(database: Database) -> None:
    """One that does not break lines is written and looked for as any other."""
    with database.transaction() as session:
        cem = add_user(session, "Cem\xa0Kaya", "owner")

        assert find_user(session, "cem kaya").id == find_user(session, "Cem\xa0Kaya").id == cem.id
        with pytest.raises(ConflictError, match="taken"):
            add_user(session, "Cem Kaya", "owner")


@pytest.mark.parametrize("name", ["", "   ", "a" * 65, "a\nb", "a\tb", "a\0b", "a\u200db", "\u202eann", "\ud800"])
def test_a_name_that_cannot_be_read_is_refused(sqlite_database: Database, name: str) -> None:
    """Empty, too long, or with characters that cannot be seen."""
    with sqlite_database.transaction() as session, pytest.raises(InvalidNameError, match="visible"):
        add_user(session, name, "owner")


def test_two_who_add_the_same_name_at_once_make_one_person(database: Database) -> None:
    """One is told that it is taken."""
    with database.transaction() as session:
        local_admin(session)
    outcomes: list[str] = []

    def add(name: str) -> None:
        try:
            with database.transaction() as session:
                add_user(session, name, "owner")
            outcomes.append("added")
        except ConflictError:
            outcomes.append("taken")

    threads = [threading.Thread(target=add, args=(name,)) for name in ("Ann", "ANN", "ann", "aNN")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(outcomes) == ["added", "taken", "taken", "taken"]


def test_the_last_admin_can_be_neither_disabled_nor_demoted(database: Database) -> None:
    """A disabled one does not count; with another one it works."""
    with database.transaction() as session:
        local = local_admin(session).id
        ann = add_user(session, "ann", "admin").id
        disable_user(session, local)

    with database.transaction() as session:
        with pytest.raises(ConflictError, match="last admin"):
            disable_user(session, ann)
        with pytest.raises(ConflictError, match="last admin"):
            set_role(session, ann, "owner")

        enable_user(session, local)
        assert set_role(session, ann, "reviewer").role == "reviewer"
        with pytest.raises(ConflictError, match="last admin"):
            disable_user(session, local)


def test_two_admins_who_disable_each_other_at_once_leave_one(database: Database) -> None:
    """Whichever comes second is refused."""
    with database.transaction() as session:
        local = local_admin(session).id
        both = [add_user(session, name, "admin").id for name in ("ann", "bob")]
        disable_user(session, local)
    for _ in range(10):
        with database.transaction() as session:
            for user_id in both:
                enable_user(session, user_id)
        start = threading.Barrier(2)
        outcomes: list[str] = []

        def disable(user_id: int, start: threading.Barrier = start, outcomes: list[str] = outcomes) -> None:
            start.wait()
            try:
                with database.transaction() as session:
                    disable_user(session, user_id)
                outcomes.append("disabled")
            except ConflictError:
                outcomes.append("refused")

        threads = [threading.Thread(target=disable, args=(user_id,)) for user_id in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert sorted(outcomes) == ["disabled", "refused"]


def test_the_command_line_s_account_stays_an_admin(sqlite_database: Database) -> None:
    """Whoever can open the data directory may do everything there."""
    with sqlite_database.transaction() as session:
        add_user(session, "ann", "admin")
        with pytest.raises(ConflictError, match="command line"):
            set_role(session, local_admin(session).id, "owner")


def test_what_is_not_there_is_said(sqlite_database: Database) -> None:
    """Neither people nor roles are made up."""
    with sqlite_database.transaction() as session:
        for call in (lambda: disable_user(session, 99), lambda: find_user(session, "nobody")):
            with pytest.raises(NotFoundError, match="phototag users list"):
                call()
        with pytest.raises(ConflictError, match="owner, reviewer, admin"):
            add_user(session, "ann", "root")
        with pytest.raises(ConflictError, match="owner, reviewer, admin"):
            set_role(session, local_admin(session).id, "root")
