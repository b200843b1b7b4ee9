"""A photo's page: what is known of the photo, and what each person may see of it."""

import datetime as dt

import pytest
from sqlalchemy import update

from db.batches import NewItem, add_archive, add_items, create_batch, seal_batch
from db.errors import NotFoundError
from db.items import Refused, claim_items, finish_items
from db.photo_view import photo_view
from db.schema import Camera, Item, Photo, PhotoHash
from db.session import Database, utc_now
from db.users import local_admin
from tests.library_rows import add_places, add_user
from tests.store import add_version, fill_batch, sha256_of, tag_all


def test_a_photo_is_shown_with_all_that_is_known_of_it(database: Database) -> None:
    """Facts, each version's labels, the shown label and who said it, look-alikes."""
    with database.transaction() as session:
        fill_batch(session, 3)
        version_id = add_version(session)
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 9, 60), version_id))
        camera = Camera(name="Nikon D70")
        session.add(camera)
        session.flush()
        known = {"camera_id": camera.id, "latitude": 48.5, "longitude": -9.0, "exif": {"iso": 100}, "name": "0.jpg"}
        session.execute(update(Photo).where(Photo.id == 1).values(known))
        none = {"quarter_1": 0, "quarter_2": 0, "quarter_3": 0}
        groups = {1: 1, 2: 1, 3: None}
        session.add_all(PhotoHash(photo_id=n, phash=n, quarter_0=n, **none, group_id=groups[n]) for n in groups)
        session.flush()

        view = photo_view(session, local_admin(session), 1)

        assert (view.photo_id, view.name, view.sha256, view.size_bytes) == (1, "0.jpg", sha256_of(0), 1000)
        assert (view.format, view.width, view.height, view.has_previews) == ("JPEG", 640, 480, True)
        assert (view.camera, view.latitude, view.longitude, view.exif) == ("Nikon D70", 48.5, -9.0, {"iso": 100})
        assert [version for version, _ in view.predictions] == ["first"]
        assert [score for _, score in view.predictions[0].labels] == pytest.approx([0.9, 0.45, 0.3, 0.225, 0.18])
        assert (view.shown, view.shown_score) == view.predictions[0].labels[0]
        assert (view.shown_origin, view.shown_version, view.not_sure) == ("model", "first", False)
        assert view.look_alikes == 2
        assert photo_view(session, local_admin(session), 3).look_alikes == 1


def test_versions_are_shown_the_newest_first(database: Database) -> None:
    """Each with its own five labels."""
    with database.transaction() as session:
        for name in ("first", "second"):
            version_id = add_version(session, name, active=name == "first")
            fill_batch(session, [0])
            finish_items(session, "w", tag_all(session, claim_items(session, "w", 9, 60), version_id))

        view = photo_view(session, local_admin(session), 1)

        assert [(version, len(labels)) for version, labels in view.predictions] == [("second", 5), ("first", 5)]


def test_places_tell_where_a_photo_came_from_and_what_happened_there(database: Database) -> None:
    """In an archive, read in place, refused, gone; told in the order of time."""
    with database.transaction() as session:
        admin_id = local_admin(session).id
        one = create_batch(session, admin_id, "holiday", priority=5).id
        add_archive(session, one, 1, "old.zip", sha256=sha256_of(99))
        add_items(session, one, [NewItem(0, "a/b.jpg", sha256_of(0), 1, archive_number=1)])
        two = create_batch(session, admin_id, "folder", priority=5).id
        add_items(session, two, [NewItem(0, "c.jpg", sha256_of(0), 1, source_path="/photos/c.jpg")])
        seal_batch(session, two)
        first, second = claim_items(session, "w", 9, 60)
        finish_items(session, "w", tag_all(session, [first], add_version(session)))
        finish_items(session, "w", [Refused(second.item_id, second.attempt, "UNREADABLE", "cut off")])
        later = utc_now() + dt.timedelta(hours=1)
        session.execute(update(Item).where(Item.id == second.item_id).values(gone_at=later))

        view = photo_view(session, local_admin(session), first.photo_id)

        newest, oldest = view.places
        assert (oldest.batch_id, oldest.batch, oldest.path, oldest.archive) == (one, "holiday", "a/b.jpg", "old.zip")
        assert (oldest.in_place, oldest.state, oldest.version, oldest.gone_at) == (False, "tagged", "first", None)
        assert (newest.batch, newest.archive, newest.in_place) == ("folder", None, True)
        assert (newest.state, newest.code, newest.detail, newest.gone_at) == ("refused", "UNREADABLE", "cut off", later)
        told = [event.what for event in view.history]
        assert sorted(told[:2]) == [
            "accepted in the batch “folder” as c.jpg",
            "accepted in the batch “holiday” as a/b.jpg",
        ]
        assert sorted(told[2:4]) == [
            "refused: the file is damaged or cut off (cut off)",
            "tagged by the version first",
        ]
        assert told[4:] == ["no longer found at c.jpg"]


def test_what_is_not_theirs_is_not_found(database: Database) -> None:
    """An owner sees a photo through a place of their own, and only that place; a reviewer sees all."""
    with database.transaction() as session:
        fill_batch(session, 2)
        owner = add_user(session, "owner")
        theirs = create_batch(session, owner.id, "theirs", priority=5).id
        add_places(session, theirs, [1])

        assert [place.batch for place in photo_view(session, owner, 1).places] == ["theirs"]
        assert len(photo_view(session, add_user(session, "reviewer", "reviewer"), 1).places) == 2
        for photo_id in (2, 3):
            with pytest.raises(NotFoundError, match=str(photo_id)):
                photo_view(session, owner, photo_id)
