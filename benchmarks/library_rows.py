"""A library of generated photos for benchmarks/library.py: batches, cameras, names and labels go together as in life."""

import bisect
import datetime as dt
import hashlib
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.batches import create_batch
from db.labels import ensure_labels
from db.model_versions import activate, register_version
from db.names import file_name_key, words_of
from db.photos import DRAW_DIGITS
from db.schema import Camera, Item, Photo, PhotoWord, User
from db.session import Database, utc_now
from db.statements import table_of
from db.users import local_admin

BATCHES = 60
CAMERAS = 40
LABELS = 1000
OWNERS = 3
YEARS = 22
GROUP = 20_000
FIRST_DAY = dt.datetime(2004, 1, 1)  # noqa: DTZ001 - of cameras, which know no zone
PATTERNS = ("IMG_{n:04}.JPG", "DSC_{n:04}.JPG", "P10{n:05}.JPG", "DSCF{n:04}.JPG", "{day:%Y%m%d_%H%M%S}.jpg")
PLACES = "rome berlin reykjavík lisbon beach garden wedding birthday hike winter".split()
EXIF = json.dumps({"lens": "EF 24-70mm f/2.8", "exposure_s": 0.008, "f_number": 5.6, "iso": 100, "focal_length_mm": 35})
TABLES = (Photo, PhotoWord, Item)


def fill_empty(database: Database, rows: int) -> bool:
    """Writes the library into a database without photos; returns whether it had none."""
    with database.reading() as session:
        is_empty = session.scalar(select(Photo.id).limit(1)) is None
    if is_empty:
        fill(database, rows)
    return is_empty


def fill(database: Database, rows: int, seed: int = 7) -> None:
    """Writes the library; indexes are made afterwards, as a restored backup does."""
    chance = random.Random(seed)
    with database.transaction() as session:
        label_ids, camera_ids, batch_ids = _few(session, chance)
    dropped = _drop_indexes(database)
    numbers = itertools.count(1)
    for group in _groups(_photos(chance, rows, label_ids, camera_ids, batch_ids), GROUP):
        photos = [photo for photo, _ in group]
        words = [(word, photo["id"]) for photo in photos for word in words_of(photo["name"])]
        items = [item for photo, batches in group for item in _items(photo, batches, numbers)]
        with database.transaction() as session:
            write(session, Photo, list(photos[0]), [tuple(photo.values()) for photo in photos])
            write(session, PhotoWord, ["word", "photo_id"], sorted(words))
            write(session, Item, list(items[0]), [tuple(item.values()) for item in items])
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT setval('photos_id_seq', (SELECT max(id) FROM photos))"))
        for statement in dropped:
            connection.execute(text(statement))


def _few(session: Session, chance: random.Random) -> tuple[list[int], list[int], list[str]]:
    """Labels under two levels of parents, cameras, and batches of an admin and some owners."""
    paths = [(f"kind {n % 8}", f"family {n % 40}", f"label {n}") for n in range(LABELS)]
    label_ids = ensure_labels(session, paths)
    version = register_version(session, "bench", "built-in", "package:bench", {"threshold": 0.3}, label_ids)
    activate(session, version.id, None, "benchmark")
    cameras = [Camera(name=f"Maker {n % 7} Model {n}") for n in range(CAMERAS)]
    owners = [User(name=f"owner {n}", role="owner", created_at=utc_now()) for n in range(OWNERS)]
    session.add_all([*cameras, *owners])
    session.flush()
    owner_ids = [local_admin(session).id] * 3 + [owner.id for owner in owners]
    batches = [
        create_batch(session, chance.choice(owner_ids), f"batch {n}", priority=5, state="finished")
        for n in range(BATCHES)
    ]
    return label_ids, [camera.id for camera in cameras], [batch.id for batch in batches]


def _photos(
    chance: random.Random, rows: int, label_ids: list[int], camera_ids: list[int], batch_ids: list[str]
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Each photo with the batches it is in."""
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(label_ids))))
    sizes = [100 ** chance.random() for _ in batch_ids]
    ends = [rows * part / sum(sizes) for part in itertools.accumulate(sizes)]
    photo_id = 0
    for number, (batch_id, end) in enumerate(zip(batch_ids, ends, strict=True)):
        month = FIRST_DAY + dt.timedelta(days=chance.gauss(365 * YEARS * number / len(batch_ids), 400))
        era = number * len(camera_ids) // len(batch_ids)
        cameras = [min(max(era + chance.randrange(-4, 5), 0), len(camera_ids) - 1) for _ in range(3)]
        favourites = chance.sample(label_ids, 10)
        while photo_id < int(end + 0.5):
            photo_id += 1
            label_id = label_ids[bisect.bisect_left(weights, chance.random() * weights[-1])]
            if chance.random() < 0.3:
                label_id = chance.choice(favourites)
            camera = chance.choice(cameras)
            day = month + dt.timedelta(seconds=int(chance.expovariate(1 / 60 / 86400)))
            again = [chance.choice(batch_ids)] if chance.random() < 0.05 else []
            yield _photo(chance, photo_id, label_id, camera, camera_ids, day), list({batch_id, *again})


def _photo(
    chance: random.Random, photo_id: int, label_id: int, camera: int, camera_ids: list[int], day: dt.datetime
) -> dict[str, Any]:
    refused = chance.random() < 0.03
    unsure = chance.random() < 0.25
    scanned = chance.random() < 0.08
    score = chance.random() * 0.3 if unsure else 0.3 + 0.7 * chance.random() ** 0.5
    name = f"{chance.choice(PLACES)} {photo_id % 1000}.jpg" if scanned else None
    sha256 = hashlib.sha256(str(photo_id).encode()).hexdigest()
    name = name or PATTERNS[camera % len(PATTERNS)].format(n=photo_id * 7 % 10_000, day=day)
    known = None if refused else "HEIC" if camera > CAMERAS * 0.8 else "JPEG" if chance.random() < 0.96 else "PNG"
    return {
        "id": photo_id,
        "sha256": sha256,
        "size_bytes": 3_000_000 + photo_id,
        "created_at": "2025-06-01 00:00:00.000000",
        "name": name,
        "name_key": file_name_key(name),
        "state": "refused" if refused else "tagged",
        "dated_at": day.isoformat(sep=" ", timespec="microseconds"),
        "format": known,
        "width": 4032,
        "height": 3024,
        "taken_at": None if scanned else day.isoformat(sep=" ", timespec="microseconds"),
        "camera_id": None if scanned else camera_ids[camera],
        "exif": EXIF,
        "has_previews": not refused,
        "shown_label_id": None if refused else label_id,
        "shown_score": None if refused else score,
        "shown_origin": None if refused else "model",
        "not_sure": unsure and not refused,
        "margin": None if refused else score * chance.random(),
        "draw": int(sha256[:DRAW_DIGITS], 16),
        "shown_model_version_id": None if refused else 1,
    }


def _items(photo: dict[str, Any], batch_ids: list[str], numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    for batch_id in batch_ids:
        yield {
            "batch_id": batch_id,
            "archive_number": 0,
            "position": next(numbers),
            "path": f"folder/{photo['name']}",
            "photo_id": photo["id"],
            "state": photo["state"],
            "priority": 5,
            "suspect": False,
            "strikes": 0,
            "attempt": 1,
            "not_before": 0.0,
            "finished_at": "2025-06-01 00:00:00.000000",
        }


def write(session: Session, row: type, columns: Sequence[str], values: Iterable[tuple[Any, ...]]) -> None:
    """The fastest way of each database: one compiled statement, or COPY."""
    name = table_of(row).name
    connection: Any = session.connection().connection.driver_connection
    if session.get_bind().dialect.name == "sqlite":
        marks = ",".join("?" * len(columns))
        connection.execute("PRAGMA cache_size=-500000")  # the keys of words come in any order
        connection.executemany(f"INSERT INTO {name} ({','.join(columns)}) VALUES ({marks})", values)
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} ({','.join(columns)}) FROM STDIN") as copy:
        for value in values:
            copy.write_row(value)


def _drop_indexes(database: Database) -> list[str]:
    """Takes the indexes away and returns the statements that make them again."""
    if database.is_sqlite:
        found = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {}"
    else:
        found = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN {}"
            " AND indexname NOT LIKE 'pk_%' AND indexname NOT LIKE 'uq_%'"
        )
    names = tuple(str(table_of(row).name) for row in TABLES)
    with database.engine.begin() as connection:
        rows = connection.execute(text(found.format(names))).all()
        for name, _ in rows:
            connection.execute(text(f"DROP INDEX {name}"))
    return [statement for _, statement in rows]


def _groups(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while group := list(itertools.islice(iterator, size)):
        yield group
