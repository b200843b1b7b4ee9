"""The vocabulary."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.errors import InvalidNameError
from db.labels import ensure_labels, label_paths, name_key, normalise_name
from db.schema import Label
from db.session import Database


def test_paths_make_labels_under_their_parents(database: Database) -> None:
    """Shared parents are made once; ids come in the order asked for."""
    with database.transaction() as session:
        paths = [("animal", "dog", "pug"), ("animal", "cat"), ("cup",)]

        ids = ensure_labels(session, paths)

        assert label_paths(session, ids) == dict(zip(ids, paths, strict=True))
        assert list(label_paths(session, ids)) == ids
        assert count(session) == 5


def test_labels_are_found_again_whatever_their_spelling(database: Database) -> None:
    """Case, spaces and composed or decomposed letters make no second label; the first spelling stays."""
    with database.transaction() as session:
        first = ensure_labels(session, [["Caf\u00e9  au lait"]])

        again = ensure_labels(session, [[" CAFE\u0301 au\tlait "], ["caf\u00e9 au lait"]])

        assert again == first * 2
        assert label_paths(session, first) == {first[0]: ("Caf\u00e9 au lait",)}


def test_a_label_keeps_the_parent_it_has(database: Database) -> None:
    """A list that knows better moves nothing."""
    with database.transaction() as session:
        dog = ensure_labels(session, [["pet", "dog"]])

        assert ensure_labels(session, [["animal", "dog"], ["dog"]]) == dog * 2
        assert label_paths(session, dog) == {dog[0]: ("pet", "dog")}


def test_a_thousand_labels_take_a_few_statements(database: Database) -> None:
    """ImageNet's are made at the first start."""
    paths = [("thing", f"group {number % 40}", f"label {number}") for number in range(1000)]
    with database.transaction() as session:
        ids = ensure_labels(session, paths)

        assert len(set(ids)) == 1000
        assert label_paths(session, [ids[999]]) == {ids[999]: paths[999]}
        assert ensure_labels(session, paths) == ids


def test_parents_in_a_circle_end_somewhere(database: Database) -> None:
    """It cannot happen by `ensure_labels`; a page must not hang if it does."""
    with database.transaction() as session:
        child = ensure_labels(session, [["a", "b"]])[0]
        parent = ensure_labels(session, [["a"]])[0]
        session.get_one(Label, parent).parent_id = child
        session.flush()

        assert label_paths(session, [child]) == {child: ("a", "b")}


@pytest.mark.parametrize("name", ["", "  \t", "\x00", "x" * 201])
def test_names_without_content_are_refused(name: str) -> None:
    """And those that no page could show."""
    with pytest.raises(InvalidNameError, match="1 to 200"):
        normalise_name(name)


@pytest.mark.parametrize(
    ("name", "stored"), [(" a  b ", "a b"), ("a\nb\x00", "a b"), ("e\u0301", "\u00e9"), ("x\ud800", "x")]
)
def test_names_are_stored_in_one_form(name: str, stored: str) -> None:
    """Composed, on one line, without halves of characters."""
    assert normalise_name(name) == stored


def test_keys_fold_case_beyond_ascii() -> None:
    """As people compare names."""
    assert name_key("STRASSE") == name_key("stra\u00dfe")
    assert name_key("\u0130stanbul") != name_key("Ankara")


def count(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(Label)).one()
