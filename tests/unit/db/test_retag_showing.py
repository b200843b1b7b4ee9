"""Showing what a re-tag says, all or by pair, and exactly what was shown before after a roll back."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.activations import activate_version, roll_back
from db.errors import ConflictError
from db.label_changes import merge_labels
from db.model_versions import active_version, get_version, version_label_ids
from db.retag_preview import preview
from db.retag_showing import Applied, apply_some, restore_some
from db.reviews import undo
from db.schema import Label, ShownBefore
from db.session import Database
from db.users import local_admin
from tests.retag_machine import RetagMachine
from tests.retag_rows import activate_next, begin_retag, photo_ids, tag_normally, tagged_library, work_on_retag
from tests.review_rows import say, shown_of
from tests.store import without_disk_syncs

PHOTOS = 10


def test_what_flips_is_counted_by_pair(database: Database) -> None:
    """The greatest first, with samples; photos that keep their label are one count, and nothing is changed yet."""
    second = retagged(database, same=3)
    with database.reading() as session:
        found = preview(session)
        names = {row.id: row.name for row in session.execute(select(Label.id, Label.name))}

        shown = shown_of(session, photo_ids(session))
        assert (found.version_id, found.version, found.same) == (second, "second", 3)
        assert sum(flip.photos for flip in found.flips) == PHOTOS - 3
        assert [flip.photos for flip in found.flips] == sorted((flip.photos for flip in found.flips), reverse=True)
        for flip in found.flips:
            assert (flip.from_name, flip.to_name) == (names[flip.from_label_id], names[flip.to_label_id])
            assert len(flip.samples) == flip.photos
            assert {shown[photo_id]["shown_label_id"] for photo_id in flip.samples} == {flip.from_label_id}


def test_a_preview_is_of_the_active_version_and_of_models_words(database: Database) -> None:
    """Not of what a person has said, nor of what the active version has not tagged; without a version it is empty."""
    with database.reading() as session:
        assert preview(session).version is None
    retagged(database, count=4)
    with database.transaction() as session:
        say(session, local_admin(session), photo_ids(session)[:1], label_id=some_label(session))
        assert sum(flip.photos for flip in preview(session).flips) == 3
        activate_next(session, "third")
        assert preview(session).flips == []


def test_merged_labels_stand_for_their_target(database: Database) -> None:
    """Both ends of a pair; a flip between two that are one label now is none. The pair is applied with all of it."""
    second = retagged(database)
    with database.transaction() as session:
        cat, dog, car, tree, cup = version_label_ids(session, second)
        merge_labels(session, local_admin(session), [dog], car)

        merged = preview(session)

        assert merged.same == 2
        assert {(flip.from_label_id, flip.to_label_id): flip.photos for flip in merged.flips} == {
            (cat, car): 2,
            (car, tree): 2,
            (tree, cup): 2,
            (cup, cat): 2,
        }
    assert apply_some(database, second, pair=(cat, car)) == Applied(2, 0)


def test_all_of_it_is_applied_and_rolled_back_bit_for_bit(database: Database) -> None:
    """Label, score, margin and doubt; what is left behind is only what the version has said."""
    second = retagged(database)
    with database.reading() as session:
        before = shown_of(session, photo_ids(session))

    assert apply_some(database, second) == Applied(PHOTOS, 0)
    assert apply_some(database, second) == Applied(0, 0)

    with database.transaction() as session:
        applied = shown_of(session, photo_ids(session))
        assert {row["shown_model_version_id"] for row in applied.values()} == {second}
        assert {row["not_sure"] for row in applied.values()} == {True}
        assert all(applied[n]["shown_label_id"] != before[n]["shown_label_id"] for n in before)
        assert preview(session).flips == []
        roll_back(session, None)
    assert restore_some(database) == Applied(PHOTOS, 0)
    assert restore_some(database) == Applied(0, 0)
    with database.reading() as session:
        assert shown_of(session, photo_ids(session)) == before
        assert session.scalars(select(func.count()).select_from(ShownBefore)).one() == 0


def test_one_pair_is_applied_alone(database: Database) -> None:
    """The others go on showing what they showed."""
    second = retagged(database)
    with database.reading() as session:
        before = shown_of(session, photo_ids(session))
        flip = preview(session).flips[0]

    assert apply_some(database, second, pair=(flip.from_label_id, flip.to_label_id)).done == flip.photos

    with database.reading() as session:
        after = shown_of(session, photo_ids(session))
        changed = {photo_id for photo_id in before if before[photo_id] != after[photo_id]}
        assert changed == set(flip.samples)
        assert {after[photo_id]["shown_label_id"] for photo_id in changed} == {flip.to_label_id}
        assert flip not in preview(session).flips


def test_a_persons_word_stays_and_what_lies_beneath_it_follows(database: Database) -> None:
    """An undo after the re-tag finds the new version's word, one after the roll back the old one's."""
    second = retagged(database)
    with database.transaction() as session:
        admin, (first_photo, second_photo, *_) = local_admin(session), photo_ids(session)
        before = shown_of(session, [first_photo, second_photo])
        for photo_id in (first_photo, second_photo):
            say(session, admin, [photo_id], label_id=some_label(session))
        spoken = shown_of(session, [first_photo, second_photo])

    apply_some(database, second)

    with database.transaction() as session:
        for photo_id, row in shown_of(session, [first_photo, second_photo]).items():
            assert row == spoken[photo_id] | {"shown_model_version_id": second}
        undo(session, local_admin(session), token="undo 1")
        assert shown_of(session, [second_photo])[second_photo]["shown_model_version_id"] == second
        assert shown_of(session, [second_photo])[second_photo]["shown_origin"] == "model"
        roll_back(session, None)
    restore_some(database)
    with database.transaction() as session:
        assert shown_of(session, [second_photo])[second_photo] == before[second_photo]
        undo(session, local_admin(session), token="undo 2")
        assert shown_of(session, [first_photo])[first_photo] == before[first_photo]


def test_photos_that_were_tagged_again_meanwhile_are_restored_too(database: Database) -> None:
    """Sent again they showed the new version's word at once, without a re-tag."""
    tagged_library(database, 3)
    with database.transaction() as session:
        before = shown_of(session, photo_ids(session))
        second = activate_next(session, "second")
        tag_normally(session, [0, 2], second)
        assert {row["shown_model_version_id"] for row in shown_of(session, photo_ids(session)).values()} != {second}
        tag_normally(session, [9], second)
        new_photo = photo_ids(session)[-1]
        roll_back(session, None)

    assert restore_some(database).done == 2

    with database.reading() as session:
        after = shown_of(session, photo_ids(session))
        assert after.pop(new_photo)["shown_model_version_id"] == second
        assert after == before


def test_roll_backs_of_several_activations_are_restored_in_turn(database: Database) -> None:
    """The last first, also when nothing was restored in between; a version that comes back begins anew."""
    second = retagged(database)
    with database.reading() as session:
        by_first = shown_of(session, photo_ids(session))
    apply_some(database, second)
    with database.transaction() as session:
        by_second = shown_of(session, photo_ids(session))
        third = activate_next(session, "third")
    begin_retag(database)
    with database.transaction() as session:
        work_on_retag(session, third, shift=2)
    apply_some(database, third)
    with database.transaction() as session:
        roll_back(session, None)
    restore_some(database)
    with database.transaction() as session:
        assert shown_of(session, photo_ids(session)) == by_second
        activate(session, third)
    apply_some(database, third)
    with database.transaction() as session:
        roll_back(session, None)
        roll_back(session, None)

    assert restore_some(database) == Applied(2 * PHOTOS, 0)

    with database.reading() as session:
        assert shown_of(session, photo_ids(session)) == by_first


def test_a_version_that_is_activated_again_without_a_roll_back_is_one_step_more(database: Database) -> None:
    """Rolled back, photos show the version between, not what they showed before the first time."""
    second = retagged(database)
    apply_some(database, second)
    with database.transaction() as session:
        by_second = shown_of(session, photo_ids(session))
        first = get_version(session, "first").id
        activate(session, first)
    assert apply_some(database, first).done == PHOTOS
    with database.transaction() as session:
        assert shown_of(session, photo_ids(session)) != by_second
        roll_back(session, None)

    assert restore_some(database) == Applied(PHOTOS, 0)

    with database.reading() as session:
        assert shown_of(session, photo_ids(session)) == by_second


def test_a_photo_that_a_third_version_has_tagged_since_a_roll_back_keeps_its_word(database: Database) -> None:
    """The others show again what they showed before."""
    tagged_library(database, 3)
    with database.transaction() as session:
        before = shown_of(session, photo_ids(session))
        tag_normally(session, [0, 1], activate_next(session, "second"))
        roll_back(session, None)
        third = activate_next(session, "third")
        tag_normally(session, [0], third, shift=2)
        by_third = next(iter(photo_ids(session)))

    assert restore_some(database).left == 0

    with database.reading() as session:
        after = shown_of(session, photo_ids(session))
    assert after.pop(by_third)["shown_model_version_id"] == third
    assert after == {n: row for n, row in before.items() if n != by_third}


def test_what_was_not_finished_goes_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a short time only a group is done; a roll back in the middle restores what was applied, an apply waits for it."""
    monkeypatch.setattr("db.retag_showing.GROUP", 3)
    second = retagged(database)
    with database.reading() as session:
        before = shown_of(session, photo_ids(session))

    assert apply_some(database, second, limit_s=0) == Applied(3, 7)
    assert apply_some(database, second, limit_s=0) == Applied(3, 4)
    with database.transaction() as session:
        roll_back(session, None)
        assert shown_of(session, photo_ids(session)) != before
    assert restore_some(database, limit_s=0) == Applied(3, 3)
    with database.transaction() as session:
        activate(session, second)
    assert apply_some(database, second, limit_s=0) == Applied(3, 7)

    with database.reading() as session:
        ids = photo_ids(session)
        assert [row["shown_model_version_id"] == second for _, row in sorted(shown_of(session, ids).items())] == [
            *[True] * 3,
            *[False] * 7,
        ]


def test_only_the_active_version_is_applied(database: Database) -> None:
    """Whoever looks at an old preview must look again."""
    second = retagged(database, count=2)
    with database.transaction() as session:
        before = shown_of(session, photo_ids(session))
        roll_back(session, None)

    with pytest.raises(ConflictError, match="Active: first"):
        apply_some(database, second)

    with database.reading() as session:
        assert shown_of(session, photo_ids(session)) == before


def retagged(database: Database, count: int = PHOTOS, *, same: int = 0) -> int:
    """Photos that show the first version's word; the second is active and says another label of all but `same`."""
    tagged_library(database, count)
    with database.transaction() as session:
        second = activate_next(session, "second")
    begin_retag(database)
    with database.transaction() as session:
        work_on_retag(session, second, same, shift=0)
        work_on_retag(session, second)
    return second


def activate(session: Session, version_id: int) -> None:
    before = active_version(session)
    assert before is not None
    activate_version(session, version_id, expected_id=before.id, user=None, reason="test")


def some_label(session: Session) -> Any:
    return session.scalars(select(Label.id).order_by(Label.id.desc()).limit(1)).one()


def test_photos_show_what_counts_whatever_was_applied_and_rolled_back(database: Database) -> None:
    """Any sequence of tagging, verdicts, undos, activations, re-tags, applied pairs and roll backs, held to a model."""

    class Machine(RetagMachine):
        pass

    Machine.database = without_disk_syncs(database) if database.is_sqlite else database
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=(HealthCheck.too_slow,),
            database=None,
        ),
    )
