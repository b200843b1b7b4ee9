"""The list of labels with its counts, and what is offered while someone types."""

import time

import pytest
from sqlalchemy.orm import Session

from db.errors import NotFoundError
from db.label_changes import merge_labels, retire_label
from db.label_lists import PhotoCounts, count_label_photos, find_label, list_labels, suggest_labels
from db.labels import ensure_labels
from db.model_versions import version_label_ids
from db.session import Database
from db.users import local_admin
from tests.review_rows import say, tagged_photos
from tests.store import add_version


def names(session: Session, typed: str, limit: int = 12) -> list[str]:
    """The names that are offered."""
    return [found.name for found in suggest_labels(session, local_admin(session), typed, limit)]


def test_the_list_has_names_that_were_merged_and_what_lies_below(database: Database) -> None:
    """In the order of names; retired ones only when asked for."""
    with database.transaction() as session:
        user = local_admin(session)
        pug, hound, old = ensure_labels(session, [["dog", "pug"], ["hound"], ["dog", "old"]])
        dog = find_label(session, "DOG").id
        merge_labels(session, user, [hound], dog)
        retire_label(session, user, old)

        found = list_labels(session)

        assert [(each.name, each.also, each.children, each.parent_id) for each in found] == [
            ("dog", ["hound"], 1, None),
            ("pug", [], 0, dog),
        ]
        assert [each.name for each in list_labels(session, search="hou")] == ["dog"]
        assert [each.name for each in list_labels(session, include_retired=True)] == ["dog", "old", "pug"]
        assert list_labels(session, search="og") == []
        assert [pug] == [each.label_id for each in list_labels(session, search="PU")]


def test_counts_tell_people_from_models(database: Database) -> None:
    """And follow a merge."""
    with database.transaction() as session:
        user = local_admin(session)
        version_id = add_version(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        photos = tagged_photos(session, version_id, 5)
        say(session, user, photos[:2], label_id=dog)
        say(session, user, photos[2:3], "none")
        say(session, user, photos[3:4], "unsure")

        assert count_label_photos(session) == {cat: PhotoCounts(0, 2), dog: PhotoCounts(2, 0)}
        assert count_label_photos(session, [dog]) == {dog: PhotoCounts(2, 0)}
        merge_labels(session, user, [dog], cat)
        assert count_label_photos(session) == {cat: PhotoCounts(2, 2)}


def test_labels_are_offered_by_the_beginning_of_any_word(database: Database) -> None:
    """Whatever case or Unicode form; names that begin so first; signs are no wildcards."""
    with database.transaction() as session:
        ensure_labels(session, [["golden retriever"], ["Retriever"], ["caf\u00e9-bar"], ["50% off"], ["a_b"], ["snow"]])

        assert names(session, "RETR") == ["Retriever", "golden retriever"]
        assert names(session, "cafe\u0301") == ["caf\u00e9-bar"]
        assert names(session, "bar") == ["caf\u00e9-bar"]
        assert names(session, "ret gold") == ["golden retriever"]
        assert names(session, "50%") == ["50% off"]
        assert names(session, "%") == []
        assert names(session, "a_") == ["a_b"]
        assert names(session, "now") == []
        assert len(names(session, "", limit=3)) == 3


def test_merged_names_find_their_label_and_retired_ones_nothing(database: Database) -> None:
    """Each label once, with the name by which it was found."""
    with database.transaction() as session:
        user = local_admin(session)
        hill, mountain, mound = ensure_labels(session, [["land", "hill"], ["land", "mountain"], ["mound"]])
        merge_labels(session, user, [hill, mound], mountain)

        found = suggest_labels(session, user, "hi")
        assert [(each.name, each.path, each.matched) for each in found] == [("mountain", ("land", "mountain"), "hill")]
        assert [each.matched for each in suggest_labels(session, user, "mo")] == ["mound"]
        retire_label(session, user, mountain)
        assert suggest_labels(session, user, "hi") == []


def test_with_nothing_typed_those_given_last_come_first(database: Database) -> None:
    """By this person, and not by an import."""
    with database.transaction() as session:
        user = local_admin(session)
        version_id = add_version(session)
        cat, dog, car, tree, cup = version_label_ids(session, version_id)
        photos = tagged_photos(session, version_id, 3)
        say(session, user, photos[:1], label_id=tree)
        say(session, user, photos[1:2], label_id=dog)
        say(session, user, photos[2:], label_id=cup, source="import")
        merge_labels(session, user, [dog], car)

        assert names(session, "") == ["car", "tree", "cat", "cup"]
        assert cat != dog


def test_ten_thousand_labels_are_searched_while_one_types(database: Database) -> None:
    """Within 20 ms; here with room for a busy machine."""
    with database.transaction() as session:
        ensure_labels(session, [[f"word {number % 500} of {number}"] for number in range(10_000)])
    with database.reading() as session:
        user = local_admin(session)
        times: list[float] = []
        for typed in ("", "w", "word 12", "77", "of 9", "nosuch"):
            began = time.perf_counter()
            suggest_labels(session, user, typed)
            times.append(time.perf_counter() - began)

    assert sorted(times)[3] < 0.1


def test_a_name_that_no_label_has_is_said(database: Database) -> None:
    """With what to do."""
    with database.reading() as session, pytest.raises(NotFoundError, match="phototag labels list"):
        find_label(session, "")
