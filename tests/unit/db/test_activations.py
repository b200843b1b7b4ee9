"""Activations: compare and set, a history that only grows, and the way back."""

import threading

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.activations import activate_version, list_activations, roll_back
from db.audit import list_audit
from db.errors import ConflictError
from db.model_versions import active_version
from db.schema import ActiveVersion
from db.session import Database
from db.users import local_admin
from tests.store import add_version


def test_an_activation_is_remembered_with_who_and_why(database: Database) -> None:
    """In the history, and in the audit log."""
    with database.transaction() as session:
        one, two = versions(session, "one", "two")

        to(session, one, None, "first start")
        activate_version(session, two, expected_id=one, user=local_admin(session), reason="better")

        newest, oldest = list_activations(session)
        assert (newest.version, newest.before, newest.reason, newest.undone) == ("two", "one", "better", False)
        assert newest.user == local_admin(session).name
        assert (oldest.version, oldest.before, oldest.user) == ("one", None, None)
        logged = [(entry.action, entry.subject, entry.details) for entry in list_audit(session)]
        assert logged[0] == ("models.activate", "two", {"before": "one", "reason": "better"})


def test_whoever_decided_on_an_older_state_must_look_again(database: Database) -> None:
    """Nothing is changed and nothing is remembered, whether the expected version is another one or none."""
    with database.transaction() as session:
        one, two, three = versions(session, "one", "two", "three")
        to(session, one, None)
        to(session, two, one)

        for expected_id in (one, None, three):
            with pytest.raises(ConflictError, match="“two”"):
                to(session, three if expected_id != three else one, expected_id)
        with pytest.raises(ConflictError, match="already"):
            to(session, two, two)

        assert active_name(session) == "two"
        assert len(list_activations(session)) == 2


def test_a_roll_back_goes_back_step_by_step(database: Database) -> None:
    """A roll back is not rolled back; after it, an activation is one more step."""
    with database.transaction() as session:
        one, two, three = versions(session, "one", "two", "three")
        to(session, one, None)
        to(session, two, one)
        to(session, three, two)

        back = roll_back(session, None)
        assert (active_name(session), back.reason) == ("two", "rolled back from three")
        to(session, three, two)
        assert roll_back(session, None, expected_id=three).undoes_id is not None
        roll_back(session, None)
        assert active_name(session) == "one"
        with pytest.raises(ConflictError, match="nothing to go back to"):
            roll_back(session, None)

        assert [(row.version, row.undone) for row in list_activations(session)] == [
            *[("one", False), ("two", False), ("three", True), ("two", False)],
            *[("three", True), ("two", True), ("one", False)],
        ]


def test_a_roll_back_leaves_the_version_that_was_seen(database: Database) -> None:
    """A second click on the same button is refused instead of going back twice."""
    with database.transaction() as session:
        one, two, three = versions(session, "one", "two", "three")
        to(session, one, None)
        to(session, two, one)
        to(session, three, two)
        roll_back(session, None, expected_id=three)

        with pytest.raises(ConflictError, match="“two”"):
            roll_back(session, None, expected_id=three)

        assert active_name(session) == "two"


def test_a_change_from_elsewhere_is_not_rolled_back(database: Database) -> None:
    """The active version is none that was activated here last: somebody has to look."""
    with database.transaction() as session:
        one, two, three = versions(session, "one", "two", "three")
        to(session, one, None)
        to(session, two, one)
        session.get_one(ActiveVersion, 1).model_version_id = three
        session.flush()

        with pytest.raises(ConflictError, match="“three”"):
            roll_back(session, None)


def test_of_many_activations_at_once_one_wins(database: Database) -> None:
    """All have seen the same version."""
    with database.transaction() as session:
        one, *others = versions(session, "one", "two", "three", "four")
        to(session, one, None)
    won: list[int] = []
    barrier = threading.Barrier(len(others))

    def start(version_id: int) -> None:
        barrier.wait()
        try:
            with database.transaction() as session:
                to(session, version_id, one)
            won.append(version_id)
        except ConflictError:
            pass

    threads = [threading.Thread(target=start, args=(version_id,)) for version_id in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as session:
        assert won == [session.scalars(select(ActiveVersion.model_version_id)).one()]
        assert len(list_activations(session)) == 2


def versions(session: Session, *names: str) -> list[int]:
    return [add_version(session, name, active=False) for name in names]


def to(session: Session, version_id: int, expected_id: int | None, reason: str = "test") -> None:
    activate_version(session, version_id, expected_id=expected_id, user=None, reason=reason)


def active_name(session: Session) -> str | None:
    version = active_version(session)
    return version.name if version else None
