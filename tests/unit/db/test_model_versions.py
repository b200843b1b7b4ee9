"""Model versions and the one that is active."""

import threading

import pytest
from sqlalchemy.orm import Session

from db.errors import ConflictError, NotFoundError
from db.labels import ensure_labels
from db.model_versions import activate, active_version, get_version, list_versions, register_version, version_label_ids
from db.schema import ModelVersion
from db.session import Database


def test_a_version_knows_its_labels_in_the_order_of_its_outputs(database: Database) -> None:
    """Also when the order is not that of the ids."""
    with database.transaction() as session:
        ids = ensure_labels(session, [["a"], ["b"], ["c"]])[::-1]

        version = register_version(session, "one", "built-in", "package:one", {"x": 1}, ids)

        assert version_label_ids(session, version.id) == ids
        assert get_version(session, "one").card == {"x": 1}


def test_registering_twice_is_registering_once(database: Database) -> None:
    """Two processes that start together."""
    with database.transaction() as session:
        first = add(session, "one")

        assert add(session, "one").id == first.id
        assert [version.name for version in list_versions(session)] == ["one"]


def test_a_name_stands_for_one_card(database: Database) -> None:
    """Another card under the same name is refused."""
    with database.transaction() as session:
        add(session, "one")

        with pytest.raises(ConflictError, match="new name"):
            register_version(session, "one", "built-in", "package:one", {"another": True}, [])


def test_the_newest_version_comes_first(database: Database) -> None:
    """In lists."""
    with database.transaction() as session:
        add(session, "one")
        add(session, "two")

        assert [version.name for version in list_versions(session)] == ["two", "one"]


def test_an_unknown_name_is_not_found(database: Database) -> None:
    """The message names it."""
    with database.reading() as session, pytest.raises(NotFoundError, match="'three'"):
        get_version(session, "three")


def test_activation_needs_the_version_that_was_seen(database: Database) -> None:
    """Compare and set: whoever decided on an older state must look again."""
    with database.transaction() as session:
        one, two = add(session, "one"), add(session, "two")
        assert active_version(session) is None
        assert not activate(session, two.id, one.id, "nothing is active yet")

        assert activate(session, one.id, None, "first start")
        assert not activate(session, two.id, None, "too late")
        assert activate(session, two.id, one.id, "better")
        assert not activate(session, one.id, one.id, "seen too long ago")

        active = active_version(session)
        assert active is not None
        assert active.name == "two"


def test_of_two_first_activations_one_wins(database: Database) -> None:
    """At the same time, in two transactions."""
    with database.transaction() as session:
        versions = [add(session, name).id for name in ("one", "two")]
    won: list[bool] = []
    barrier = threading.Barrier(2)

    def start(version_id: int) -> None:
        barrier.wait()
        with database.transaction() as session:
            won.append(activate(session, version_id, None, "first start"))

    threads = [threading.Thread(target=start, args=(version_id,)) for version_id in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False, True]


def add(session: Session, name: str) -> ModelVersion:
    return register_version(
        session, name, "built-in", f"package:{name}", {"threshold": 0.5}, ensure_labels(session, [["a"]])
    )
