"""What the filters offer is what a person's photos have: however few, however many."""

import pytest
from sqlalchemy.orm import Session

import db.library_choices
from db.batches import create_batch
from db.library_choices import FEW, list_cameras, list_formats
from db.schema import Camera, User
from db.session import Database
from db.users import local_admin
from tests.library_rows import add_photos, add_places, add_user

CAMERAS = 6


def fill(session: Session) -> tuple[User, User]:
    """An owner of 40 photos of the first two cameras and of one photo, the oldest of its camera; one without photos."""
    cameras = [Camera(name=f"camera {9 - number}") for number in range(CAMERAS)]
    session.add_all([*cameras, Camera(name="camera of no photo")])
    owner, other, newcomer = add_user(session, "owner"), add_user(session, "other"), add_user(session, "newcomer")
    session.flush()
    mine, theirs = (create_batch(session, user.id, "b", priority=5).id for user in (owner, other))
    ids = add_photos(
        session,
        [
            {"camera_id": camera.id, "format": f"F{place % 4}"}
            for place, camera in enumerate(cameras)
            for _ in range(20)
        ],
    )
    add_photos(session, [{"format": "GIF"}, {"format": None}])
    add_places(session, mine, [*ids[:40], ids[60]])
    add_places(session, theirs, ids)
    return owner, newcomer


@pytest.mark.parametrize("few", [FEW, 0], ids=["looked up", "tried"])
@pytest.mark.parametrize("tried", [10_000, CAMERAS], ids=["all", "one of each"])
def test_an_owner_is_offered_what_their_photos_have(
    database: Database, few: int, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a camera that took only one photo of theirs, which is not among those of it that are tried."""
    monkeypatch.setattr(db.library_choices, "FEW", few)
    monkeypatch.setattr(db.library_choices, "TRIED", tried)
    with database.transaction() as session:
        owner, newcomer = fill(session)

        assert [camera.name for camera in list_cameras(session, owner)] == ["camera 6", "camera 8", "camera 9"]
        assert list_formats(session, owner) == ["F0", "F1", "F3"]
        assert (list_cameras(session, newcomer), list_formats(session, newcomer)) == ([], [])


def test_who_sees_all_photos_is_offered_all_that_any_has(database: Database) -> None:
    """A camera or a format that no photo has is not offered, nor is a photo without one."""
    with database.transaction() as session:
        assert (list_cameras(session, local_admin(session)), list_formats(session, local_admin(session))) == ([], [])
        fill(session)

        names = [camera.name for camera in list_cameras(session, local_admin(session))]
        assert names == [f"camera {number}" for number in range(4, 10)]
        assert list_formats(session, local_admin(session)) == ["F0", "F1", "F2", "F3", "GIF"]
