"""Undo: each action once, in turn, and photos show again what they showed before."""

import datetime as dt

import pytest
from sqlalchemy import func, select, update

from db.errors import ConflictError, NotAllowedError, NotFoundError
from db.labels import ensure_labels
from db.model_versions import activate, version_label_ids
from db.photo_view import photo_view
from db.reviews import undo, undoable
from db.schema import Label, Review, ReviewAction, ReviewHint
from db.session import Database
from tests.library_rows import add_user
from tests.review_rows import say, shown_name, shown_of, tag, tagged_photos
from tests.store import add_version


def test_strokes_are_taken_back_from_the_last_one(database: Database) -> None:
    """Without limit; then there is nothing left. What others did is theirs."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 3)
        ann, bob = add_user(session, "ann", "reviewer"), add_user(session, "bob", "reviewer")
        before = shown_of(session, photo_ids)
        actions = [say(session, ann, [photo_id], "none").action_id for photo_id in photo_ids]
        assert undoable(session, ann)
        assert not undoable(session, bob)

        undone = [undo(session, ann, token=f"u{n}") for n in range(3)]

        assert [one.undone_action_id for one in undone] == actions[::-1]
        assert [one.photo_ids for one in undone] == [[photo_id] for photo_id in photo_ids[::-1]]
        assert shown_of(session, photo_ids) == before
        assert not undoable(session, ann)
        with pytest.raises(NotFoundError, match="nothing"):
            undo(session, ann, token="u3")


def test_a_page_is_taken_back_in_one_stroke(database: Database) -> None:
    """200 photos, each as it was."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 200, score=0.3)
        ann = add_user(session, "ann", "reviewer")
        before = shown_of(session, photo_ids)
        say(session, ann, photo_ids, "none", source="grid")
        assert shown_of(session, photo_ids) != before

        assert undo(session, ann, token="u").photo_ids == photo_ids

        assert shown_of(session, photo_ids) == before


def test_the_same_undo_sent_again_is_one(database: Database) -> None:
    """By its token, or by naming the action again."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 2)
        ann = add_user(session, "ann", "reviewer")
        say(session, ann, photo_ids[:1], "none")
        last = say(session, ann, photo_ids[1:], "none").action_id
        first = undo(session, ann, token="u")

        assert undo(session, ann, token="u") == first
        assert undo(session, ann, token="another", action_id=last) == first

        assert session.scalars(select(func.count()).where(ReviewAction.undoes_id.is_not(None))).one() == 1


def test_what_others_said_since_stays(database: Database) -> None:
    """And what they said before counts again."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 2)
        ann, bob = add_user(session, "ann", "reviewer"), add_user(session, "bob", "reviewer")
        dog, car = ensure_labels(session, [["dog"], ["car"]])
        say(session, bob, photo_ids[:1], label_id=dog)
        say(session, ann, photo_ids, label_id=car)
        say(session, bob, photo_ids[1:], "none")

        undo(session, ann, token="u")

        assert shown_name(session, photo_ids[0]) == "dog"
        assert shown_of(session, photo_ids)[photo_ids[1]]["review_state"] == "none"


def test_only_strokes_on_pages_are_taken_back_by_one_key(database: Database) -> None:
    """An import is named; an undo is not taken back, nor somebody else's action."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 1)
        ann, bob = add_user(session, "ann", "reviewer"), add_user(session, "bob", "admin")
        imported = say(session, ann, photo_ids, "none", source="import").action_id
        assert not undoable(session, ann)
        with pytest.raises(NotFoundError, match="nothing"):
            undo(session, ann, token="u")
        with pytest.raises(NotFoundError, match=str(imported)):
            undo(session, bob, token="u", action_id=imported)

        undone = undo(session, ann, token="u", action_id=imported)

        assert undone.undone_action_id == imported
        with pytest.raises(ConflictError, match="An undo"):
            undo(session, ann, token="v", action_id=undone.action_id)


def test_a_token_is_of_one_kind(database: Database) -> None:
    """A client that mixes them up is told so."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 1)
        ann = add_user(session, "ann", "reviewer")
        say(session, ann, photo_ids, "none")
        token = session.scalars(select(ReviewAction.token)).one()

        with pytest.raises(ConflictError, match="verdicts"):
            undo(session, ann, token=token)
        with pytest.raises(NotAllowedError):
            undo(session, add_user(session, "olga"), token="u")


def test_a_newer_version_is_shown_after_an_undo(database: Database) -> None:
    """It has tagged the photo while the person's word stood; what it says is what would be shown."""
    with database.transaction() as session:
        old, new = add_version(session, "old"), add_version(session, "new", active=False)
        cat, dog, *_ = version_label_ids(session, old)
        (photo_id,) = tagged_photos(session, old, 1)
        ann = add_user(session, "ann", "reviewer")
        say(session, ann, [photo_id], "none")
        activate(session, new, old, "better")
        tag(session, photo_id, new, [(dog, 0.4), (cat, 0.3)])
        assert shown_of(session, [photo_id])[photo_id]["shown_label_id"] is None

        undo(session, ann, token="u")

        row = shown_of(session, [photo_id])[photo_id]
        assert (row["shown_label_id"], row["shown_score"], row["shown_origin"]) == (dog, 0.4, "model")
        assert (row["shown_model_version_id"], row["not_sure"]) == (new, True)
        assert row["margin"] == pytest.approx(0.1)


def test_a_label_that_was_merged_meanwhile_is_shown_as_its_target(database: Database) -> None:
    """Whether the person or the model had said it."""
    with database.transaction() as session:
        version_id = add_version(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        feline, hound = ensure_labels(session, [["feline"], ["hound"]])
        (photo_id,) = tagged_photos(session, version_id, 1)
        ann = add_user(session, "ann", "reviewer")
        say(session, ann, [photo_id], label_id=dog)
        say(session, ann, [photo_id], "none")
        for merged, target in ((cat, feline), (dog, hound)):
            session.execute(update(Label).where(Label.id == merged).values(merged_into_id=target))

        undo(session, ann, token="u1")
        assert shown_name(session, photo_id) == "hound"
        undo(session, ann, token="u2")
        assert shown_name(session, photo_id) == "feline"


def test_hints_count_again_when_what_settled_them_is_undone(database: Database) -> None:
    """One that is younger than the verdict counts anyway."""
    with database.transaction() as session:
        old, new = add_version(session, "old"), add_version(session, "new", active=False)
        cat, dog, *_ = version_label_ids(session, old)
        (photo_id,) = tagged_photos(session, old, 1)
        tag(session, photo_id, new, [(dog, 0.4)])
        ann = add_user(session, "ann", "reviewer")
        settled = select(ReviewHint.settled)
        assert session.scalars(settled).one() is False

        say(session, ann, [photo_id], label_id=cat)
        assert session.scalars(settled).one() is True
        undo(session, ann, token="u")
        assert session.scalars(settled).one() is False

        say(session, ann, [photo_id], label_id=cat)
        later = session.scalars(select(ReviewAction.at).order_by(ReviewAction.id.desc()).limit(1)).one()
        session.execute(update(ReviewHint).values(at=later + dt.timedelta(seconds=1), settled=False))
        say(session, ann, [photo_id], "skip")
        assert session.scalars(settled).one() is False


def test_the_history_of_a_photo_tells_verdicts_and_undos(database: Database) -> None:
    """Who, what and when, in plain words."""
    with database.transaction() as session:
        version_id = add_version(session)
        (photo_id,) = tagged_photos(session, version_id, 1)
        ann, bob = add_user(session, "ann", "reviewer"), add_user(session, "bob", "reviewer")
        cat, dog, *_ = version_label_ids(session, version_id)
        for user, verdict, label in (
            (ann, "skip", None),
            (ann, "label", cat),
            (bob, "label", dog),
            (bob, "none", None),
        ):
            say(session, user, [photo_id], verdict, label_id=label)
        say(session, ann, [photo_id], "unsure")
        undo(session, ann, token="u")
        undo(session, bob, token="u")
        undo(session, bob, token="v")

        view = photo_view(session, ann, photo_id)

        assert [event.what for event in view.history] == [
            "ann skipped it",
            "accepted by ann: “cat”",
            "labelled by bob: “dog”",
            "none of the labels fits, said bob",
            "ann could not tell what it is",
            "ann took back: ann could not tell what it is",
            "bob took back: none of the labels fits, said bob",
            "bob took back: labelled by bob: “dog”",
        ]
        assert (view.shown, view.shown_origin) == ("cat", "person")


def test_undo_leaves_verdicts_where_they_are(database: Database) -> None:
    """It is one more row, for each photo of the action."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 2)
        ann = add_user(session, "ann", "reviewer")
        say(session, ann, photo_ids, "none", source="alike")
        undo(session, ann, token="u")

        rows = session.execute(select(Review.photo_id, Review.verdict).order_by(Review.id))
        assert [tuple(row) for row in rows] == [(n, verdict) for verdict in ("none", "undo") for n in photo_ids]
        assert session.scalars(select(ReviewAction.source).order_by(ReviewAction.id)).all() == ["alike", "alike"]
