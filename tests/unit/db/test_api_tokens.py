"""API tokens: shown once, kept as a hash, over when they should be."""

import datetime as dt

import pytest
from sqlalchemy import select, update

from db.api_tokens import find_bearer, list_api_tokens, new_api_token, note_use, revoke_api_token
from db.errors import ConflictError, InvalidNameError, NotFoundError
from db.schema import ApiToken, User
from db.session import Database, utc_now
from db.users import add_user, disable_user, enable_user, set_role

DAY = dt.timedelta(days=1)


@pytest.fixture
def ann(database: Database) -> User:
    """Whose tokens they are."""
    with database.transaction() as session:
        return add_user(session, "ann", "reviewer")


def test_a_token_names_its_person_and_what_it_is_for(database: Database, ann: User) -> None:
    """With the role that the person has now, not with that of the day it was made."""
    with database.transaction() as session:
        _, text = new_api_token(session, ann.id, "laptop", ["submit", "read"])
        set_role(session, ann.id, "owner")

    with database.reading() as session:
        bearer = find_bearer(session, text)
        assert bearer is not None
        assert (bearer.user.id, bearer.user.role, bearer.scopes) == (ann.id, "owner", {"read", "submit"})
        assert find_bearer(session, text[:-1]) is None
        assert find_bearer(session, "") is None
        (stored,) = session.scalars(select(ApiToken.token_sha256)).all()
        assert stored not in text
        assert find_bearer(session, stored) is None
    assert text.startswith("phototag_")
    assert len(text) > 40


def test_a_token_ends(database: Database, ann: User) -> None:
    """By time, by being revoked, and with its person; enabling brings none back."""
    with database.transaction() as session:
        texts = {name: new_api_token(session, ann.id, name, ["read"], 30 * DAY)[1] for name in ("a", "b", "c")}
        old = update(ApiToken).where(ApiToken.name == "a")
        session.execute(old.values(expires_at=utc_now() - DAY))
        revoke_api_token(session, ann.id, "b")

    def working() -> list[str]:
        with database.reading() as session:
            return [name for name, text in texts.items() if find_bearer(session, text)]

    assert working() == ["c"]
    with database.reading() as session:
        assert [token.name for token in list_api_tokens(session, ann.id)] == ["c"]
    with database.transaction() as session:
        disable_user(session, ann.id)
    assert working() == []
    with database.transaction() as session:
        enable_user(session, ann.id)
    assert working() == []


def test_a_token_of_a_disabled_person_does_not_work_even_if_it_was_left(database: Database, ann: User) -> None:
    """The person's row is asked each time."""
    with database.transaction() as session:
        _, text = new_api_token(session, ann.id, "laptop", ["read"])
        session.execute(update(User).where(User.id == ann.id).values(disabled_at=utc_now()))

        assert find_bearer(session, text) is None
        with pytest.raises(ConflictError, match="disabled"):
            new_api_token(session, ann.id, "another", ["read"])


def test_the_name_of_a_token_that_is_over_is_free_again(database: Database, ann: User) -> None:
    """One that works keeps its name to itself; another person's is another name."""
    with database.transaction() as session:
        new_api_token(session, ann.id, "laptop", ["read"])
        with pytest.raises(ConflictError, match="Revoke it first"):
            new_api_token(session, ann.id, "laptop", ["read"])
        new_api_token(session, add_user(session, "bob", "owner").id, "laptop", ["read"])

        revoke_api_token(session, ann.id, "laptop")
        with pytest.raises(NotFoundError):
            revoke_api_token(session, ann.id, "laptop")
        new_api_token(session, ann.id, "laptop", ["read"])


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", ""], ["read,admin"]])
def test_a_scope_that_does_not_exist_is_refused(database: Database, ann: User, scopes: list[str]) -> None:
    """So is a token for nothing."""
    with database.transaction() as session, pytest.raises(ConflictError, match="read, submit, review"):
        new_api_token(session, ann.id, "laptop", scopes)


def test_a_name_that_cannot_be_read_is_refused(database: Database, ann: User) -> None:
    """As with people."""
    with database.transaction() as session, pytest.raises(InvalidNameError):
        new_api_token(session, ann.id, "\u202e", ["read"])


def test_a_use_is_written_down_once_in_five_minutes(database: Database, ann: User) -> None:
    """Not once for each request."""
    with database.transaction() as session:
        token, text = new_api_token(session, ann.id, "laptop", ["read"])
    due: list[bool] = []
    for minutes in (0, 1, 4, 6):
        with database.transaction() as session:
            used = token.last_used_at and utc_now() - dt.timedelta(minutes=minutes)
            session.execute(update(ApiToken).values(last_used_at=used))
        with database.transaction() as session:
            bearer = find_bearer(session, text)
            assert bearer is not None
            due.append(bearer.is_due)
            note_use(session, bearer.token_id)
        with database.reading() as session:
            token = session.scalars(select(ApiToken)).one()

    assert due == [True, False, False, True]
