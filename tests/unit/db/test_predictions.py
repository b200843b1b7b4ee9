"""Predictions and the shown label: first come stays, the active version is shown, a person's word is never changed."""

import datetime as dt

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.facts import PhotoFacts
from db.items import claim_items, finish_items, finish_known
from db.labels import ensure_labels
from db.model_versions import activate, version_label_ids
from db.predictions import Tagged
from db.schema import Label, Photo, Prediction
from db.session import Database
from tests.store import FACTS, add_batch, add_version, fill_batch, tag_all, top_of


def test_the_top_five_are_kept_by_rank(database: Database) -> None:
    """A sixth is not."""
    with database.transaction() as session:
        version_id = add_version(session)
        photo = tag_one(session, version_id, extra=True)

        rows = session.execute(select(Prediction.rank, Prediction.label_id, Prediction.score).order_by(Prediction.rank))

        expected = top_of(photo.id, version_label_ids(session, version_id))
        assert [tuple(row) for row in rows] == [(n, *labelled) for n, labelled in enumerate(expected, start=1)]


def test_a_version_with_few_labels_has_that_many(database: Database) -> None:
    """Fewer than five."""
    with database.transaction() as session:
        version_id = add_version(session)
        tag_one(session, version_id, labels=2)

        assert len(session.scalars(select(Prediction)).all()) == 2


def test_facts_of_decoding_are_stored_with_the_photo(database: Database) -> None:
    """The camera's time without zone, as it came."""
    taken_at = dt.datetime(2024, 2, 29, 23, 59, 58)
    facts = PhotoFacts("HEIC", 4032, 3024, taken_at, "FIRST_FRAME_ONLY", has_previews=True)
    with database.transaction() as session:
        photo = tag_one(session, add_version(session), facts=facts)

        assert (photo.format, photo.width, photo.height) == ("HEIC", 4032, 3024)
        assert photo.taken_at == taken_at
        assert (photo.notes, photo.has_previews) == ("FIRST_FRAME_ONLY", True)
        assert session.scalars(select(Photo.id).where(Photo.taken_at == taken_at)).one() == photo.id


def test_a_photo_that_was_not_decoded_keeps_its_facts(database: Database) -> None:
    """Its features were known."""
    with database.transaction() as session:
        version_id = add_version(session)
        tag_one(session, version_id, facts=FACTS)
        photo = tag_one(session, version_id, facts=None)

        assert (photo.format, photo.width, photo.has_previews) == ("JPEG", 640, True)


def test_the_first_label_is_shown(database: Database) -> None:
    """With its score, where it comes from, and whether it is sure."""
    with database.transaction() as session:
        version_id = add_version(session)
        photo = tag_one(session, version_id, score=0.3)

        label_id, score = top_of(photo.id, version_label_ids(session, version_id), 0.3)[0]
        assert (photo.shown_label_id, photo.shown_score) == (label_id, pytest.approx(score))
        assert (photo.shown_origin, photo.shown_model_version_id, photo.not_sure) == ("model", version_id, True)


def test_what_a_version_has_said_stays(database: Database) -> None:
    """The same photo in another batch, with a score that differs by rounding."""
    with database.transaction() as session:
        version_id = add_version(session)
        tag_one(session, version_id, score=0.9)
        photo = tag_one(session, version_id, score=0.8)

        assert photo.shown_score == 0.9
        scores = session.scalars(select(Prediction.score).order_by(Prediction.rank)).all()
        assert scores == [0.9 / rank for rank in range(1, 6)]


def test_the_active_version_is_shown_and_another_is_not(database: Database) -> None:
    """A straggler that still works with the old version changes no shown label; its predictions are kept."""
    with database.transaction() as session:
        old, new = add_version(session, "old"), add_version(session, "new", active=False)
        tag_one(session, old, score=0.6)
        assert activate(session, new, old, "better")
        photo = tag_one(session, new, score=0.9)
        assert (photo.shown_model_version_id, photo.shown_score) == (new, 0.9)

        straggler = tag_one(session, old, score=0.6)

        assert (straggler.shown_model_version_id, straggler.shown_score) == (new, 0.9)
        assert set(session.scalars(select(Prediction.model_version_id))) == {old, new}


def test_a_rollback_shows_the_old_version_again(database: Database) -> None:
    """Without new predictions: what it has said is known."""
    with database.transaction() as session:
        old, new = add_version(session, "old"), add_version(session, "new", active=False)
        tag_one(session, old, score=0.3)
        activate(session, new, old, "better")
        tag_one(session, new, score=0.9)
        activate(session, old, new, "worse after all")
    add_batch(database, [1])

    with database.transaction() as session:
        finish_known(session, "w", claim_items(session, "w", 9, 60), old)

        photo = session.scalars(select(Photo)).one()
        assert (photo.shown_model_version_id, photo.shown_score, photo.not_sure) == (old, 0.3, True)


def test_a_persons_word_is_never_changed(database: Database) -> None:
    """By tagging, by another version, or by what is known."""
    with database.transaction() as session:
        first, second = add_version(session, "first"), add_version(session, "second", active=False)
        photo = tag_one(session, first)
        photo.shown_label_id = ensure_labels(session, [["what a person said"]])[0]
        photo.shown_origin, photo.shown_score, photo.not_sure = "person", None, False
        session.flush()
        activate(session, second, first, "better")

        tag_one(session, second)
        tag_one(session, first)
    add_batch(database, [1])
    with database.transaction() as session:
        finish_known(session, "w", claim_items(session, "w", 9, 60), second)

        shown = session.scalars(select(Label.name).join(Photo, Photo.shown_label_id == Label.id)).one()
        assert shown == "what a person said"
        photo = session.scalars(select(Photo)).one()
        assert (photo.shown_origin, photo.shown_score, photo.not_sure) == ("person", None, False)


def test_scores_that_are_no_numbers_are_never_written(database: Database) -> None:
    """A network that returns NaN is a fault, not a prediction."""
    add_batch(database, [1])
    with database.transaction() as session:
        items = claim_items(session, "w", 9, 60)
        results = tag_all(session, items, add_version(session), score=float("nan"))

        with pytest.raises(ValueError, match="JSON"):
            finish_items(session, "w", results)


def tag_one(
    session: Session,
    version_id: int,
    *,
    score: float = 0.9,
    facts: PhotoFacts | None = FACTS,
    labels: int = 5,
    extra: bool = False,
) -> Photo:
    """Tags photo 1 in a batch of its own."""
    fill_batch(session, [1])
    (item,) = claim_items(session, "w", 9, 60)
    top = top_of(item.photo_id, version_label_ids(session, version_id), score)[:labels]
    if extra:
        top.append((top[0][0], 0.001))
    tagged = Tagged(item.item_id, item.attempt, item.photo_id, version_id, facts, top, not_sure=score < 0.5)
    assert finish_items(session, "w", [tagged]) == {item.item_id}
    session.expire_all()
    return session.scalars(select(Photo)).one()
