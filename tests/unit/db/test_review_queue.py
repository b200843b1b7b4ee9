"""The queues of review: who waits for what reason, in which order, and that no photo is on two screens."""

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.errors import NotAllowedError
from db.labels import ensure_labels
from db.library_filter import LibraryFilter
from db.model_versions import version_label_ids
from db.review_candidates import AUDIT, FEW_EXAMPLES, REASONS, Reason
from db.review_counts import grid_labels, most_counted, queue_counts
from db.review_leases import release
from db.review_queue import MIX, claim_grid, claim_photos
from db.reviews import undo
from db.schema import Photo, ReviewAction, ReviewHint, ReviewLease, User
from db.session import Database, utc_now
from tests.library_rows import add_user
from tests.review_rows import new_photos, say, tag, tagged_photos
from tests.store import add_version, run_together

PLAIN = LibraryFilter()


def test_photos_that_models_are_not_sure_of_come_by_their_margin(database: Database) -> None:
    """The smallest first; sure ones do not come."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        ids = new_photos(session, 4)
        for photo_id, second in zip(ids, (0.1, 0.3, 0.2, 0.05), strict=True):
            tag(session, photo_id, version_id, [(cat, 0.4 if photo_id != ids[3] else 0.9), (dog, second)])
        not_in_audit(session, ids)

        assert claimed(session, ann, "not_sure") == [ids[1], ids[2], ids[0]]


def test_hints_come_by_their_urgency_until_they_are_settled(database: Database) -> None:
    """Each reason by itself; a decided photo comes again if the hint is younger."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        ids = tagged_photos(session, version_id, 4)
        not_in_audit(session, ids)
        say(session, ann, ids[2:], "none")
        for photo_id, urgency in zip(ids, (0.1, 0.3, 0.2, 0.9), strict=True):
            hint(session, photo_id, "mislabelled", urgency)
        say(session, ann, ids[3:], "none")
        hint(session, ids[0], "contradiction", 1.0)

        assert claimed(session, ann, "mislabelled") == [ids[1], ids[2], ids[0]]
        assert claimed(session, ann, "contradiction") == [ids[0]]
        assert claimed(session, ann, "disagree") == []


def test_versions_that_disagree_are_told_by_the_less_certain_one(database: Database) -> None:
    """The one of which both are most certain first; labels that were merged do not differ."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        other_id = add_version(session, "other", active=False)
        _, dog, car, *_ = version_label_ids(session, version_id)
        ids = tagged_photos(session, version_id, 4, score=0.8)
        not_in_audit(session, ids)
        cat = ensure_labels(session, [["cat"]])[0]
        for photo_id, label_id, score in zip(ids, (dog, car, cat, dog), (0.5, 0.9, 0.9, 0.6), strict=True):
            tag(session, photo_id, other_id, [(label_id, score)])

        assert claimed(session, ann, "disagree") == [ids[1], ids[3], ids[0]]
        assert session.scalars(select(ReviewHint.urgency).order_by(ReviewHint.photo_id)).all() == [0.5, 0.8, 0.6]


def test_labels_with_few_examples_ask_for_more(database: Database) -> None:
    """Most certain first; not once people have labelled enough."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        ids = new_photos(session, 4)
        for photo_id, label_id, score in zip(ids, (cat, dog, cat, dog), (0.6, 0.9, 0.7, 0.8), strict=True):
            tag(session, photo_id, version_id, [(label_id, score)])
        not_in_audit(session, ids)
        assert claimed(session, ann, "few", count=3) == [ids[1], ids[3], ids[2]]

        examples = new_photos(session, FEW_EXAMPLES)
        say(session, ann, examples[1:], label_id=dog)
        assert claimed(session, ann, "few") == [ids[1], ids[3], ids[2], ids[0]]
        say(session, ann, examples, label_id=dog)
        assert claimed(session, ann, "few") == [ids[2], ids[0]]


def test_photos_of_the_audit_come_through_no_other_queue(database: Database) -> None:
    """In the order of chance; once decided they are photos like others."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        ids = tagged_photos(session, version_id, 4, score=0.3)
        for photo_id, draw in zip(ids, (AUDIT - 1, 7, AUDIT, AUDIT + 9), strict=True):
            session.execute(update(Photo).where(Photo.id == photo_id).values(draw=draw))
            hint(session, photo_id, "contradiction", 0.5)
        label_id = version_label_ids(session, version_id)[0]
        everywhere: Sequence[Reason] = ("contradiction", "not_sure", "few", "never")

        assert claimed(session, ann, "audit") == [ids[1], ids[0]]
        for reason in everywhere:
            assert sorted(claimed(session, ann, reason)) == ids[2:]
        assert sorted(grid(session, ann, label_id)) == ids[2:]
        assert claimed(session, ann, "never") == [ids[2], ids[3]]
        assert queue_counts(session, ann, PLAIN) == {
            **dict.fromkeys(REASONS, 0),
            **dict.fromkeys(everywhere, 2),
            "audit": 2,
        }

        say(session, ann, ids[:1], "none")
        hint(session, ids[0], "mislabelled", 0.5)
        assert claimed(session, ann, "audit") == [ids[1]]
        assert claimed(session, ann, "mislabelled") == [ids[0]]


def test_second_opinions_are_given_only_when_asked_for(database: Database) -> None:
    """What people could not tell, the oldest first; not in the mix."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        ids = tagged_photos(session, version_id, 3)
        for photo_id in (ids[2], ids[0]):
            say(session, ann, [photo_id], "unsure")
        say(session, ann, [ids[1]], "none")

        assert claimed(session, ann, "second_opinion") == [ids[2], ids[0]]
        assert claimed(session, ann, "mixed") == []


def test_a_photo_is_on_one_screen_only(database: Database) -> None:
    """Of another person or of another tab, until it is given back, decided, or the lease runs out."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        bob = add_user(session, "bob", "admin")
        ids = tagged_photos(session, version_id, 6)
        in_order(session, ids)
        first = claimed(session, ann, "never", count=2)
        assert first == ids[:2]
        assert claimed(session, bob, "never", count=2) == ids[2:4]
        assert claimed(session, ann, "never", seat="other tab", count=9) == ids[4:]
        assert claimed(session, bob, "never", count=9, keep=ids[2:4]) == []

        assert claimed(session, ann, "never", count=1, keep=ids[1:2]) == ids[:1]
        release(session, ann, "seat")
        assert claimed(session, bob, "never", count=9, keep=ids[2:4]) == ids[:2]
        session.execute(update(ReviewLease).where(ReviewLease.photo_id == ids[2]).values(until=ReviewLease.until - 181))
        assert claimed(session, ann, "never", count=9) == [ids[2]]
        say(session, bob, ids[:2], "none")
        release(session, bob, "seat")
        assert claimed(session, ann, "never", count=9, keep=[ids[2]]) == [ids[3]]


def test_leases_are_prolonged_while_photos_stay_on_the_screen(database: Database) -> None:
    """Not those that another has by now."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        ids = tagged_photos(session, version_id, 2)
        in_order(session, ids)
        bob = add_user(session, "bob", "reviewer")
        claimed(session, ann, "never", count=2)
        session.execute(update(ReviewLease).values(until=ReviewLease.until - 170))
        session.execute(update(ReviewLease).where(ReviewLease.photo_id == ids[0]).values(until=0))
        before = session.scalars(select(ReviewLease.until).where(ReviewLease.photo_id == ids[1])).one()
        assert claimed(session, bob, "never", count=2) == ids[:1]

        claimed(session, ann, "never", count=0, keep=ids)

        rows = {row.photo_id: row for row in session.execute(select(ReviewLease.__table__))}
        assert rows[ids[0]].user_id == bob.id
        assert rows[ids[1]].until == pytest.approx(before + 170, abs=20)


def test_skipped_photos_come_again_the_next_day(database: Database) -> None:
    """To others at once, and to whoever takes the skip back."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        bob = add_user(session, "bob", "reviewer")
        ids = tagged_photos(session, version_id, 2)
        in_order(session, ids)
        say(session, ann, ids[:1], "skip")

        assert claimed(session, ann, "never") == ids[1:]
        release(session, ann, "seat")
        assert claimed(session, bob, "never") == ids
        release(session, bob, "seat")
        undo(session, ann, token="u")
        assert claimed(session, ann, "never") == ids

        say(session, ann, ids[:1], "skip")
        long_ago = utc_now() - dt.timedelta(hours=25)
        session.execute(update(ReviewAction).values(at=long_ago))
        assert claimed(session, ann, "never") == ids


def test_reasons_take_turns_in_the_mix(database: Database) -> None:
    """Where one is empty the next has its turn; a photo comes once, whatever speaks for it."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        ids = tagged_photos(session, version_id, 60, score=0.3)
        in_order(session, ids[20:])
        session.execute(update(Photo).where(Photo.id.in_(ids[:20])).values(draw=Photo.id))
        for reason, some in (("contradiction", ids[20:30]), ("mislabelled", ids[30:40]), ("disagree", ids[40:50])):
            for photo_id in some:
                hint(session, photo_id, reason, 0.5)

        found = claim_photos(session, ann, "seat", queue="mixed", chosen=PLAIN, keep=(), count=len(MIX))
        reasons = [queued.reason for queued in found]
        turn = next(n for n in range(len(MIX)) if reasons == [*MIX[n:], *MIX[:n]])
        assert turn < len(MIX)

        rest = claim_photos(session, ann, "b", queue="mixed", chosen=PLAIN, keep=(), count=99)
        assert sorted(queued.photo_id for queued in (*found, *rest)) == ids
        assert {reason for _, reason in rest} == set(MIX)
        assert {n for n, reason in rest if reason == "audit"} <= set(ids[:20])


@pytest.mark.parametrize("most", [0, 30_000])
def test_filters_of_the_library_apply(database: Database, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """In every queue, whether the filter's photos are gathered or the queue is followed."""
    for name in ("FEW_PHOTOS", "FEW_NEAR", "FEW_OF_ALL"):
        monkeypatch.setattr(f"db.review_scope.{name}", most)
    with database.transaction() as session:
        version_id, ann = begin(session)
        ids = tagged_photos(session, version_id, 8, score=0.3)
        not_in_audit(session, ids)
        session.execute(update(Photo).where(Photo.id.in_(ids[:2])).values(draw=1))
        session.execute(update(Photo).where(Photo.id.in_([ids[0], ids[3], ids[5]])).values(format="PNG"))
        for photo_id in ids:
            hint(session, photo_id, "disagree", photo_id / 1e6)
        say(session, ann, ids[5:6], "unsure")
        label_id = version_label_ids(session, version_id)[0]
        for chosen in (LibraryFilter(format="PNG"), replace(PLAIN, format="PNG", label_id=label_id, name="")):
            queues: dict[Reason, list[int]] = {
                "not_sure": [ids[3]],
                "disagree": [ids[3]],
                "few": [ids[3]],
                "never": [ids[3]],
                "audit": [ids[0]],
                "second_opinion": [ids[5]],
            }
            for reason, wanted in queues.items():
                assert claimed(session, ann, reason, chosen=chosen) == wanted, reason
                assert queue_counts(session, ann, chosen)[reason] == 1
            assert grid(session, ann, label_id, chosen=chosen) == [ids[3]]
            assert grid_labels(session, ann, chosen) == [(label_id, "cat", 1)]
        assert claimed(session, ann, "mixed", chosen=LibraryFilter(name="nosuch")) == []


def test_the_grid_goes_on_behind_the_last_photo(database: Database) -> None:
    """Most certain first, of exactly this label."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        ids = new_photos(session, 5)
        for photo_id, score in zip(ids, (0.5, 0.9, 0.7, 0.7, 0.8), strict=True):
            tag(session, photo_id, version_id, [(dog if photo_id == ids[4] else cat, score)])
        not_in_audit(session, ids)
        session.execute(update(Photo).where(Photo.id == ids[4]).values(shown_label_id=dog))

        first = grid(session, ann, cat, count=2)
        assert first == [ids[1], ids[3]]
        assert grid(session, ann, cat, keep=first, after=(0.7, ids[3])) == [ids[2], ids[0]]


def test_labels_of_the_grid_are_those_with_undecided_photos(database: Database) -> None:
    """With their numbers, the most first; a full queue is counted no further than asked."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        cats = tagged_photos(session, version_id, 3)
        dogs = new_photos(session, 4)
        for photo_id in dogs:
            tag(session, photo_id, version_id, [(dog, 0.9)])
        not_in_audit(session, [*cats, *dogs])
        say(session, ann, dogs[:2], label_id=cat)

        assert grid_labels(session, ann, PLAIN) == [(cat, "cat", 3), (dog, "dog", 2)]
        assert queue_counts(session, ann, PLAIN)["never"] == 5
        assert queue_counts(session, ann, PLAIN, limit=4)["never"] == 4
        assert queue_counts(session, ann, LibraryFilter(format="JPEG"), limit=0)["never"] == 0
        assert most_counted(PLAIN) > most_counted(LibraryFilter(format="JPEG"))


def test_owners_get_no_photos(database: Database) -> None:
    """Not even their own."""
    with database.transaction() as session:
        begin(session)
        olga = add_user(session, "olga")

        for call in (
            lambda: claimed(session, olga, "mixed"),
            lambda: grid(session, olga, 1),
            lambda: queue_counts(session, olga, PLAIN),
            lambda: grid_labels(session, olga, PLAIN),
        ):
            with pytest.raises(NotAllowedError):
                call()


def test_many_who_claim_at_once_share_no_photo(database: Database) -> None:
    """And leave none out: two people with two tabs each."""
    with database.transaction() as session:
        version_id, ann = begin(session)
        bob = add_user(session, "bob", "reviewer")
        ids = tagged_photos(session, version_id, 80, score=0.3)
    found: list[int] = []
    errors: list[Exception] = []

    def claim(user: User, seat: str) -> None:
        mine: list[int] = []
        try:
            while True:
                with database.transaction() as session:
                    queue = claimed(session, user, "mixed", seat=seat, keep=mine, count=3)
                if not queue:
                    break
                mine += queue
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)
        found.extend(mine)

    run_together(partial(claim, user, seat) for user, seat in itertools.product((ann, bob), ("one", "two")))

    assert errors == []
    assert sorted(found) == ids
    with database.reading() as session:
        assert session.scalars(select(func.count()).select_from(ReviewLease)).one() == len(ids)


def begin(session: Session) -> tuple[int, User]:
    """An active version, and a reviewer."""
    return add_version(session), add_user(session, "ann", "reviewer")


def claimed(session: Session, user: User, queue: Any, **more: Any) -> list[int]:
    """The photos that a seat gets."""
    options: dict[str, Any] = {"chosen": PLAIN, "keep": (), "count": 99} | more
    seat = options.pop("seat", "seat")
    return [queued.photo_id for queued in claim_photos(session, user, seat, queue=queue, **options)]


def grid(session: Session, user: User, label_id: int, **more: Any) -> list[int]:
    """The photos of a page of the grid."""
    options: dict[str, Any] = {"chosen": PLAIN, "keep": (), "count": 99} | more
    return claim_grid(session, user, "seat", label_id=label_id, **options)


def not_in_audit(session: Session, photo_ids: Sequence[int]) -> None:
    """As nineteen of twenty photos."""
    session.execute(update(Photo).where(Photo.id.in_(photo_ids)).values(draw=AUDIT + 1))


def in_order(session: Session, photo_ids: Sequence[int]) -> None:
    """Not in the audit, and drawn in the order of their ids."""
    session.execute(update(Photo).where(Photo.id.in_(photo_ids)).values(draw=AUDIT + Photo.id))


def hint(session: Session, photo_id: int, reason: str, urgency: float) -> None:
    """A hint of now."""
    session.add(ReviewHint(photo_id=photo_id, reason=reason, urgency=urgency, at=utc_now()))
    session.flush()
