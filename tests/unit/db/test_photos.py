"""What the library finds photos by: written when they are accepted, and again when they end."""

import datetime as dt

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.batches import NewItem, add_items, create_batch
from db.facts import PhotoFacts
from db.items import Refused, claim_items, finish_items, sweep
from db.names import words_of
from db.predictions import Tagged
from db.schema import Camera, Photo, PhotoWord
from db.session import Database
from db.users import local_admin
from tests.store import add_version, fill_batch, pass_time, sha256_of, tag_all

FACTS = PhotoFacts(
    "JPEG",
    4000,
    3000,
    dt.datetime(2019, 8, 12, 18, 30, 5),
    camera="Canon EOS 40D",
    latitude=64.15,
    longitude=-21.94,
    exif={"lens": "EF 50 mm", "iso": 200},
)


def test_a_photo_has_the_name_and_the_words_of_its_first_place(database: Database) -> None:
    """The same bytes at another place are the same photo."""
    with database.transaction() as session:
        accept(session, "2019/Iceland/IMG_2041 Reykjavík.JPG")
        accept(session, "copy.jpg")

        photo = session.scalars(select(Photo)).one()
        assert (photo.name, photo.name_key) == ("IMG_2041 Reykjavík.JPG", "img_2041 reykjavík.jpg")
        assert photo.state == "untagged"
        assert photo.dated_at == photo.created_at.replace(tzinfo=None)
        assert set(session.scalars(select(PhotoWord.word))) == {"img", "2041", "reykjavík", "jpg"}


def test_words_are_folded_bounded_and_each_there_once() -> None:
    """Neither a long name nor a strange one may fill the index."""
    assert words_of("Straße_STRASSE.jpg") == ["jpg", "strasse"]
    assert words_of("--__..") == []
    assert words_of("x" * 300) == ["x" * 40]
    assert len(words_of(" ".join(map(str, range(100))))) == 12


def test_what_the_camera_says_is_kept_once_tagged(database: Database) -> None:
    """Its date orders the library; two photos of one camera share its row."""
    with database.transaction() as session:
        version_id = add_version(session)
        fill_batch(session, 2)
        items = claim_items(session, "w", 9, 60)
        tagged = [one for one in tag_all(session, items, version_id) if isinstance(one, Tagged)]
        results = [Tagged(one.item_id, one.attempt, one.photo_id, version_id, FACTS, one.top) for one in tagged]

        finish_items(session, "w", results)

        photos = session.scalars(select(Photo).execution_options(populate_existing=True)).all()
        (camera,) = session.scalars(select(Camera)).all()
        assert camera.name == "Canon EOS 40D"
        assert {photo.camera_id for photo in photos} == {camera.id}
        assert {(photo.state, photo.dated_at, photo.taken_at) for photo in photos} == {
            ("tagged", FACTS.taken_at, FACTS.taken_at)
        }
        assert [(photo.latitude, photo.longitude, photo.exif) for photo in photos] == [(64.15, -21.94, FACTS.exif)] * 2


@pytest.mark.parametrize(("code", "state"), [("UNREADABLE", "refused"), ("BLOB_MISSING", "failed")])
def test_a_photo_that_is_not_tagged_says_how_it_ended(database: Database, code: str, state: str) -> None:
    """Its neighbour is tagged."""
    with database.transaction() as session:
        version_id = add_version(session)
        fill_batch(session, 2)
        bad, good = claim_items(session, "w", 9, 60)

        finish_items(session, "w", [Refused(bad.item_id, bad.attempt, code), *tag_all(session, [good], version_id)])

        assert states(session) == {bad.photo_id: state, good.photo_id: "tagged"}


def test_a_tagged_photo_stays_tagged_when_a_later_item_of_it_fails(database: Database) -> None:
    """Its file is gone from one place; what is known of it is not."""
    with database.transaction() as session:
        version_id = add_version(session)
        fill_batch(session, [1])
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 9, 60), version_id))
        fill_batch(session, [1])
        (item,) = claim_items(session, "w", 9, 60)

        finish_items(session, "w", [Refused(item.item_id, item.attempt, "SOURCE_GONE")])

        assert states(session) == {item.photo_id: "tagged"}


def test_a_photo_that_kills_its_workers_has_failed(database: Database) -> None:
    """Given up by the sweep, not by a worker."""
    with database.transaction() as session:
        add_version(session)
        fill_batch(session, [1])
        for _ in range(4):
            assert claim_items(session, "w", 9, 60)
            pass_time(session, 100)
            sweep(session)

        assert list(states(session).values()) == ["failed"]


def accept(session: Session, path: str) -> None:
    """Photo 1 at `path`, in a batch of its own."""
    batch = create_batch(session, local_admin(session).id, "holiday", priority=5)
    add_items(session, batch.id, [NewItem(0, path, sha256_of(1), 1000)])


def states(session: Session) -> dict[int, str]:
    return {row.id: row.state for row in session.execute(select(Photo.id, Photo.state))}
