"""Verdicts: what they write, what photos show then, what is sent again, what somebody else has decided."""

from itertools import pairwise

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.errors import ConflictError, NotAllowedError, NotFoundError
from db.labels import ensure_labels
from db.model_versions import version_label_ids
from db.reviews import Conflict, Said, counting_ids, record_verdicts
from db.schema import Label, Photo, PhotoHash, Review, ReviewAction, ReviewHint
from db.session import Database, utc_now
from tests.library_rows import add_user
from tests.review_rows import new_photos, say, shown_name, shown_of, tag, tagged_photos
from tests.store import add_version


def test_a_label_of_a_person_is_shown(database: Database) -> None:
    """Without a score: a person has none. What the model had said is kept with the verdict."""
    with database.transaction() as session:
        version_id = add_version(session)
        user = add_user(session, "ann", "reviewer")
        cat, dog, *_ = version_label_ids(session, version_id)
        (photo_id,) = tagged_photos(session, version_id, 1, score=0.4)

        outcome = say(session, user, [photo_id], label_id=dog, reason="not_sure")

        assert (outcome.photo_ids, outcome.conflicts, outcome.repeated) == ([photo_id], [], False)
        action = session.scalars(select(ReviewAction)).one()
        assert shown_of(session, [photo_id])[photo_id] == {
            "shown_label_id": dog,
            "shown_score": None,
            "shown_origin": "person",
            "shown_model_version_id": version_id,
            "not_sure": False,
            "margin": None,
            "review_state": "labelled",
            "reviewed_at": action.at,
        }
        review = session.scalars(select(Review)).one()
        assert (review.verdict, review.label_id, review.chosen_rank, review.reason) == ("correct", dog, 2, "not_sure")
        assert (review.model_version_id, review.model_label_id, review.model_score) == (version_id, cat, 0.4)


@pytest.mark.parametrize(
    ("verdict", "state", "origin", "shown"),
    [("none", "none", "person", None), ("unsure", "unsure", "model", "cat"), ("skip", None, "model", "cat")],
)
def test_verdicts_without_a_label(
    database: Database, verdict: str, state: str | None, origin: str, shown: str | None
) -> None:
    """With "none" nothing is shown; who cannot tell, or skips, changes no label."""
    with database.transaction() as session:
        version_id = add_version(session)
        (photo_id,) = tagged_photos(session, version_id, 1)
        before = shown_of(session, [photo_id])[photo_id]

        say(session, add_user(session, "ann", "reviewer"), [photo_id], verdict)

        after = shown_of(session, [photo_id])[photo_id]
        assert (after["review_state"], after["shown_origin"], shown_name(session, photo_id)) == (state, origin, shown)
        assert after["shown_score"] == (None if verdict == "none" else 0.9)
        assert (after == before) == (verdict == "skip")


@pytest.mark.parametrize(
    ("label", "verdict", "rank"), [("cat", "accept", 1), ("cup", "correct", 5), ("x", "correct", None)]
)
def test_a_verdict_tells_taken_labels_from_typed_ones(
    database: Database, label: str, verdict: str, rank: int | None
) -> None:
    """Accepted as it was, one of the five, or none of them."""
    with database.transaction() as session:
        (photo_id,) = tagged_photos(session, add_version(session), 1)

        say(session, add_user(session, "ann", "admin"), [photo_id], label_id=label_id(session, label))

        review = session.scalars(select(Review)).one()
        assert (review.verdict, review.chosen_rank) == (verdict, rank)


def test_a_photo_that_no_model_has_seen_takes_a_label(database: Database) -> None:
    """As imported ones; the model that sees it later is known beneath the person's word."""
    with database.transaction() as session:
        version_id = add_version(session)
        (photo_id,) = new_photos(session, 1)
        cat, dog, *_ = version_label_ids(session, version_id)

        say(session, add_user(session, "ann", "reviewer"), [photo_id], label_id=cat, source="import")
        tag(session, photo_id, version_id, [(dog, 0.9)])

        review = session.scalars(select(Review)).one()
        assert (review.verdict, review.model_version_id, review.model_score) == ("correct", None, None)
        assert shown_name(session, photo_id) == "cat"
        assert shown_of(session, [photo_id])[photo_id]["shown_model_version_id"] == version_id


def test_the_same_stroke_sent_again_is_written_once(database: Database) -> None:
    """By its token, even if it says something else; another person's same token is theirs."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 3)
        ann, bob = add_user(session, "ann", "reviewer"), add_user(session, "bob", "reviewer")
        said = [Said(photo_id, "none") for photo_id in photo_ids]
        first = record_verdicts(session, ann, said[:2], token="t", source="grid")

        again = record_verdicts(session, ann, [Said(photo_ids[0], "unsure")], token="t", source="grid")
        other = record_verdicts(session, bob, said[2:], token="t", source="grid")

        assert (again.action_id, again.photo_ids, again.repeated) == (first.action_id, photo_ids[:2], True)
        assert (other.photo_ids, other.repeated) == (photo_ids[2:], False)
        assert session.scalars(select(func.count()).select_from(Review)).one() == 3


def test_what_somebody_else_decided_meanwhile_is_left_out(database: Database) -> None:
    """The others go through; who decided and what is told, also when the stroke is sent again."""
    with database.transaction() as session:
        version_id = add_version(session)
        photo_ids = tagged_photos(session, version_id, 2)
        ann, bob = add_user(session, "ann", "reviewer"), add_user(session, "bob", "reviewer")
        say(session, ann, photo_ids[:1], label_id=label_id(session, "dog"))
        said = [Said(photo_id, "none", seen=0) for photo_id in photo_ids]

        outcome = record_verdicts(session, bob, said, token="t", source="grid")
        again = record_verdicts(session, bob, said, token="t", source="grid")

        assert (outcome.photo_ids, outcome.conflicts) == (
            photo_ids[1:],
            [Conflict(photo_ids[0], "ann", "label", "dog")],
        )
        assert (again.photo_ids, again.conflicts) == (outcome.photo_ids, outcome.conflicts)
        assert shown_name(session, photo_ids[0]) == "dog"


def test_a_stroke_of_which_nothing_is_left_writes_no_action(database: Database) -> None:
    """All decided by others, or deleted."""
    with database.transaction() as session:
        (photo_id,) = tagged_photos(session, add_version(session), 1)
        say(session, add_user(session, "ann", "reviewer"), [photo_id], "none")
        bob = add_user(session, "bob", "reviewer")

        outcome = say(session, bob, [photo_id, 987_654], "unsure", seen=0)

        assert (outcome.action_id, outcome.photo_ids) == (None, [])
        assert outcome.conflicts == [Conflict(photo_id, "ann", "none", None)]
        assert session.scalars(select(func.count()).where(ReviewAction.user_id == bob.id)).one() == 0


def test_a_conflict_tells_what_counts_now(database: Database) -> None:
    """That they cannot tell is not that no label fits, and a merged label is told as what it stands for."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 2)
        ann, bob = add_user(session, "ann", "reviewer"), add_user(session, "bob", "reviewer")
        cat, feline = label_id(session, "cat"), label_id(session, "feline")
        say(session, ann, photo_ids[:1], "unsure")
        say(session, ann, photo_ids[1:], label_id=cat)
        session.execute(update(Label).where(Label.id == cat).values(merged_into_id=feline))

        outcome = say(session, bob, photo_ids, "none", seen=0)

        assert outcome.conflicts == [
            Conflict(photo_ids[0], "ann", "unsure", None),
            Conflict(photo_ids[1], "ann", "label", "feline"),
        ]
        counting = counting_ids(session, [*photo_ids, 987_654])
        assert counting == {
            **dict(session.execute(select(Review.photo_id, Review.id).where(Review.photo_id.in_(photo_ids))).all()),
            987_654: 0,
        }


def test_a_verdict_that_was_seen_is_replaced(database: Database) -> None:
    """A second opinion on what counts now; without `seen` nobody asks."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 2)
        say(session, add_user(session, "ann", "reviewer"), photo_ids, "unsure")
        seen = session.scalars(select(Review.id).where(Review.photo_id == photo_ids[0])).one()
        bob = add_user(session, "bob", "reviewer")

        assert say(session, bob, photo_ids[:1], "none", seen=seen).photo_ids == photo_ids[:1]
        assert say(session, bob, photo_ids[1:], "none").photo_ids == photo_ids[1:]

        assert {row["review_state"] for row in shown_of(session, photo_ids).values()} == {"none"}


def test_a_merged_label_stands_for_its_target(database: Database) -> None:
    """Whichever of the two the person takes, and whichever the model says: the same label, so it is accepted."""
    with database.transaction() as session:
        version_id = add_version(session)
        cat, feline = label_id(session, "cat"), label_id(session, "feline")
        (photo_id,) = tagged_photos(session, version_id, 1)
        session.execute(update(Label).where(Label.id == cat).values(merged_into_id=feline))

        say(session, add_user(session, "ann", "reviewer"), [photo_id], label_id=cat)

        review = session.scalars(select(Review)).one()
        assert (review.verdict, review.label_id, review.model_label_id, review.chosen_rank) == (
            "accept",
            feline,
            cat,
            1,
        )
        assert shown_name(session, photo_id) == "feline"


def test_labels_that_are_not_given_any_more_are_refused(database: Database) -> None:
    """A retired one, one that is merged into a retired one, and one that is not there."""
    with database.transaction() as session:
        (photo_id,) = tagged_photos(session, add_version(session), 1)
        ann = add_user(session, "ann", "reviewer")
        cat, dog = label_id(session, "cat"), label_id(session, "dog")
        session.execute(update(Label).where(Label.id == cat).values(retired_at=utc_now()))
        session.execute(update(Label).where(Label.id == dog).values(merged_into_id=cat))

        for retired in (cat, dog):
            with pytest.raises(ConflictError, match=r"retired.*'cat'"):
                say(session, ann, [photo_id], label_id=retired)
        with pytest.raises(NotFoundError, match="999"):
            say(session, ann, [photo_id], label_id=999)

        assert session.scalars(select(ReviewAction)).all() == []


def test_a_label_goes_with_the_verdict_label_alone(database: Database) -> None:
    """Anything else is a mistake of the caller."""
    with database.transaction() as session:
        (photo_id,) = tagged_photos(session, add_version(session), 1)
        ann = add_user(session, "ann", "reviewer")

        with pytest.raises(ValueError, match="label_id"):
            say(session, ann, [photo_id], "label")
        with pytest.raises(ValueError, match="label_id"):
            say(session, ann, [photo_id], "none", label_id=label_id(session, "cat"))


def test_owners_do_not_review(database: Database) -> None:
    """Only reviewers and admins do."""
    with database.transaction() as session:
        (photo_id,) = tagged_photos(session, add_version(session), 1)

        with pytest.raises(NotAllowedError, match="owner"):
            say(session, add_user(session, "olga"), [photo_id], "none")


def test_a_page_of_photos_is_one_action(database: Database) -> None:
    """Of two verdicts on one photo the last is taken."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 200)
        ann = add_user(session, "ann", "reviewer")
        said = [Said(photo_id, "unsure") for photo_id in photo_ids]

        outcome = record_verdicts(session, ann, [*said, Said(photo_ids[0], "none")], token="t", source="grid")

        assert outcome.photo_ids == sorted(photo_ids)
        assert len(session.scalars(select(ReviewAction)).all()) == 1
        states = [row["review_state"] for row in shown_of(session, photo_ids).values()]
        assert (states.count("unsure"), states.count("none")) == (199, 1)


def test_duplicates_that_show_another_label_are_looked_at_once(database: Database) -> None:
    """Those of its group, but for photos told apart; the photo itself is not, and nothing is raised a second time."""
    with database.transaction() as session:
        version_id = add_version(session)
        ann = add_user(session, "ann", "reviewer")
        one, two, apart, alone = tagged_photos(session, version_id, 4)
        (same,) = new_photos(session, 1)
        tag(session, same, version_id, [(label_id(session, "dog"), 0.9)])
        for photo_id in (one, two, same, apart):
            told_apart_at = utc_now() if photo_id == apart else None
            quarters = {f"quarter_{n}": 0 for n in range(4)}
            session.add(PhotoHash(photo_id=photo_id, phash=1, group_id=one, told_apart_at=told_apart_at, **quarters))
        session.flush()

        say(session, ann, [one, alone], label_id=label_id(session, "dog"))

        raised = session.execute(select(ReviewHint.photo_id, ReviewHint.reason, ReviewHint.urgency)).all()
        assert [tuple(row) for row in raised] == [(two, "contradiction", 0.9)]

        say(session, ann, [two], label_id=label_id(session, "cat"))
        say(session, ann, [one], label_id=label_id(session, "dog"))

        found = session.scalars(select(ReviewHint).order_by(ReviewHint.photo_id)).all()
        assert [(hint.photo_id, hint.settled) for hint in found] == [(one, True), (two, True), (same, False)]


def test_verdicts_go_with_their_photo(database: Database) -> None:
    """What was done stays known; of whom is no more."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 2)
        ann = add_user(session, "ann", "reviewer")
        outcome = say(session, ann, photo_ids, "none")
        session.delete(session.get_one(Photo, photo_ids[0]))
        session.flush()

        assert session.scalars(select(Review.photo_id)).all() == photo_ids[1:]
        assert session.scalars(select(ReviewAction.id)).all() == [outcome.action_id]


def test_reviews_of_a_photo_are_numbered_in_their_order(database: Database) -> None:
    """The last one is the one that counts."""
    with database.transaction() as session:
        (photo_id,) = tagged_photos(session, add_version(session), 1)
        ann = add_user(session, "ann", "reviewer")
        for verdict in ("none", "unsure", "none"):
            say(session, ann, [photo_id], verdict)

        ids = session.execute(select(Review.id, Review.action_id).order_by(Review.id)).all()
        assert all(first.action_id < second.action_id for first, second in pairwise(ids))
        assert shown_of(session, [photo_id])[photo_id]["review_state"] == "none"


def label_id(session: Session, name: str) -> int:
    """The label of this name; made if there is none."""
    return ensure_labels(session, [[name]])[0]
