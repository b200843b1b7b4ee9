"""Labels that a person sends back to review: they go first, and stay until somebody has looked."""

import datetime as dt

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.audit import list_audit
from db.doubts import MOST_FOUND, REASON, SENT_BACK, Doubt, raise_doubts, send_back
from db.library_filter import LibraryFilter
from db.model_versions import version_label_ids
from db.review_queue import claim_photos
from db.reviews import undo
from db.schema import Photo, ReviewHint, User
from db.session import Database, utc_now
from tests.library_rows import add_user
from tests.review_rows import say, tagged_photos
from tests.store import add_version


def test_what_is_sent_back_heads_the_queue(database: Database) -> None:
    """Before what a search found, however sure it was; told in the log with who did it."""
    with database.transaction() as session:
        ann, photos, cat = labelled(session, 3)
    raise_doubts(database, [Doubt(photos[0], cat, 1.0), Doubt(photos[1], cat, 0.5)], utc_now())

    with database.transaction() as session:
        assert hints(session) == {photos[0]: MOST_FOUND, photos[1]: 0.5}
        assert send_back(session, ann, photos[1:]) == 2

        assert hints(session) == {photos[0]: MOST_FOUND, photos[1]: SENT_BACK, photos[2]: SENT_BACK}
        assert queue(session, ann) == [photos[2], photos[1], photos[0]]
        entry = list_audit(session)[0]
        assert (entry.action, entry.subject, entry.user) == ("review.send_back", "2 photos", "ann")


def test_only_what_people_have_labelled_is_sent_back(database: Database) -> None:
    """Not what only a model has tagged, what was said to be none, what was taken back, and what is gone."""
    with database.transaction() as session:
        ann, (kept, none, undone, gone), cat = labelled(session, 4)
        unseen, *_ = tagged_photos(session, add_version(session, "other", active=False), 1)
        say(session, ann, [undone], label_id=cat)
        undo(session, ann, token="undo 1")
        undo(session, ann, token="undo 2")
        say(session, ann, [kept], label_id=cat)
        say(session, ann, [none], "none")
        session.execute(delete(Photo).where(Photo.id == gone))

        sent = send_back(session, ann, [kept, none, undone, gone, unseen, kept])

        assert (sent, hints(session).keys()) == (1, {kept})


def test_sending_nothing_back_leaves_no_trace(database: Database) -> None:
    """No hint, nothing in the log."""
    with database.transaction() as session:
        ann, *_ = labelled(session, 1)

        assert send_back(session, ann, [10**9]) == 0

        assert [entry.action for entry in list_audit(session) if entry.action == "review.send_back"] == []


def test_a_search_takes_nothing_back_that_a_person_sent(database: Database) -> None:
    """Found again it stays as urgent; not found it stays as well, while an older doubt goes."""
    with database.transaction() as session:
        ann, (sent, doubted, other), cat = labelled(session, 3)
    raise_doubts(database, [Doubt(doubted, cat, 0.7)], utc_now())
    with database.transaction() as session:
        send_back(session, ann, [sent, other])

    raise_doubts(database, [Doubt(other, cat, 0.6)], utc_now() + dt.timedelta(seconds=1))

    with database.reading() as session:
        assert hints(session) == {sent: SENT_BACK, other: SENT_BACK}


def test_a_verdict_settles_it_and_it_can_be_sent_back_again(database: Database) -> None:
    """Also by one who looked at the photo for another reason; a doubt that was settled comes back too."""
    with database.transaction() as session:
        ann, (first, second), cat = labelled(session, 2)
        send_back(session, ann, [first, second])
        say(session, ann, [first], label_id=cat, reason=REASON)
        say(session, ann, [second], label_id=cat)
        assert (hints(session), queue(session, ann)) == ({}, [])

        assert send_back(session, ann, [first]) == 1

        assert hints(session) == {first: SENT_BACK}
        assert queue(session, ann) == [first]


def labelled(session: Session, count: int) -> tuple[User, list[int], int]:
    """A reviewer, photos that they gave the first label of the active version, and that label."""
    ann = add_user(session, "ann", "reviewer")
    version_id = add_version(session)
    photos, cat = tagged_photos(session, version_id, count), version_label_ids(session, version_id)[0]
    say(session, ann, photos, label_id=cat)
    return ann, photos, cat


def hints(session: Session) -> dict[int, float]:
    """What waits, with its urgency."""
    waits = ReviewHint.reason == REASON, ~ReviewHint.settled
    return {row.photo_id: row.urgency for row in session.execute(select(ReviewHint).where(*waits)).scalars()}


def queue(session: Session, user: User) -> list[int]:
    """The photos of the queue "looks mislabelled", as a reviewer gets them."""
    found = claim_photos(session, user, "seat", queue=REASON, chosen=LibraryFilter(), keep=(), count=9)
    return [one.photo_id for one in found]
