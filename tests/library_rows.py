"""Photos for tests of the library, written as rows: thousands in a second, and with whatever values a test wants."""

import datetime as dt
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from db.batches import create_batch
from db.labels import ensure_labels
from db.names import file_name_key, words_of
from db.schema import Camera, Item, Photo, PhotoWord, User
from db.session import Database, utc_now
from tests.store import sha256_of

EPOCH = dt.datetime(2020, 1, 1)
FORMATS = ("JPEG", "JPEG", "JPEG", "HEIC", "PNG")
LABELS = (("animal",), ("animal", "dog"), ("animal", "dog", "poodle"), ("animal", "cat"), ("car",))
NAMES = ("IMG_{}.jpg", "DSC{}.JPG", "holiday rome {}.jpg", "Straße {}.png")
UNTAGGED = ("untagged", "refused", "failed")


class Library(NamedTuple):
    """What the photos of `fill_library` refer to."""

    label_ids: list[int]
    camera_ids: list[int]
    batch_ids: list[str]
    owners: list[User]


def add_user(session: Session, name: str, role: str = "owner") -> User:
    """A person of this role."""
    user = User(name=name, role=role, created_at=utc_now())
    session.add(user)
    session.flush()
    return user


def add_photos(session: Session, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Ids of photos with these columns, in order; the others as those of a tagged JPEG. Words are those of the name."""
    first = (session.execute(text("SELECT max(id) FROM photos")).scalar() or 0) + 1
    complete = [_photo_row(first + number, row) for number, row in enumerate(rows)]
    session.execute(insert(Photo), complete)
    words = [{"word": word, "photo_id": row["id"]} for row in complete for word in words_of(row["name"])]
    session.execute(insert(PhotoWord), words)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT setval('photos_id_seq', (SELECT max(id) FROM photos))"))
    return [row["id"] for row in complete]


def add_places(session: Session, batch_id: str, photo_ids: Iterable[int]) -> None:
    """A tagged item of the batch for each photo."""
    rows = [
        {
            "batch_id": batch_id,
            "position": photo_id,
            "path": f"{photo_id}.jpg",
            "photo_id": photo_id,
            "state": "tagged",
            "priority": 5,
            "finished_at": utc_now(),
        }
        for photo_id in photo_ids
    ]
    session.execute(insert(Item), rows)


def fill_library(session: Session, photos: int, seed: int = 1, exif: dict[str, Any] | None = None) -> Library:
    """Photos of every kind, with many equal values; two owners with two batches each, some photos in both."""
    chance = random.Random(seed)
    label_ids = ensure_labels(session, LABELS)
    cameras = [Camera(name=f"Maker {number}") for number in range(5)]
    session.add_all(cameras)
    session.flush()
    camera_ids = [camera.id for camera in cameras]
    rows = [_any_row(chance, number, label_ids, camera_ids) | {"exif": exif} for number in range(photos)]
    photo_ids = add_photos(session, rows)
    owners = [add_user(session, f"owner {number}") for number in range(2)]
    batch_ids = [create_batch(session, owner.id, "b", priority=5).id for owner in owners for _ in range(2)]
    for batch_id in batch_ids:
        add_places(session, batch_id, sorted(chance.sample(photo_ids, photos // 3)))
    return Library(label_ids, camera_ids, batch_ids, owners)


def analyse(database: Database) -> None:
    """Lets the planner know the rows, as autovacuum does before long."""
    statement = "ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def _photo_row(photo_id: int, row: dict[str, Any]) -> dict[str, Any]:
    name = row.get("name", f"IMG_{photo_id}.jpg")
    return {
        "id": photo_id,
        "sha256": sha256_of(photo_id),
        "size_bytes": 1000,
        "created_at": utc_now(),
        "name": name,
        "name_key": file_name_key(name),
        "state": "tagged",
        "dated_at": EPOCH,
        "format": "JPEG",
        "width": 640,
        "height": 480,
        "taken_at": None,
        "camera_id": None,
        "has_previews": True,
        "shown_label_id": None,
        "shown_score": None,
        "shown_origin": "model" if row.get("shown_label_id") else None,
        "not_sure": False,
    } | row


def _any_row(chance: random.Random, number: int, label_ids: list[int], camera_ids: list[int]) -> dict[str, Any]:
    tagged = chance.random() < 0.9
    score = round(chance.random(), 1)
    taken_at = EPOCH + dt.timedelta(hours=chance.randrange(24 * 30))
    return {
        "name": chance.choice(NAMES).format(number // 3),
        "state": "tagged" if tagged else chance.choice(UNTAGGED),
        "dated_at": taken_at,
        "taken_at": taken_at,
        "format": chance.choice(FORMATS),
        "camera_id": chance.choice([None, *camera_ids]),
        "shown_label_id": chance.choice(label_ids) if tagged else None,
        "shown_score": score if tagged else None,
        "not_sure": tagged and score < 0.3,
    }
