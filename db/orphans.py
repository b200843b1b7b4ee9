"""Finds what nobody deleted: photos that no batch has, bytes that no row refers to, what killed processes left.

Accepting stores bytes before rows, and whoever is killed in between leaves the bytes. None of it is in a hurry: what is
young is left alone, and after each part of a look comes a pause as long as it took.
"""

import datetime as dt
import itertools
import re
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.deleting import GROUP_ITEMS, HAS_ITEMS, delete_photos_without_items
from db.feature_schema import FEATURES, VARIANTS
from db.schema import Archive, FeatureShard, ModelVersion, Photo
from db.session import Database, utc_now

# An archive that is refused as a whole takes back its items; the same photo may come again at once.
PHOTO_AGE_S = 3600.0
BYTES_AGE_S = 24 * 3600.0
PHOTOS_PER_LOOK = 5000
KEYS_PER_LOOK = 1000

# Whatever else a person keeps in these folders is left alone.
_BLOB = re.compile(r"(?:blobs|previews/\d+)/[0-9a-f]{2}/([0-9a-f]{64})(?:\.webp)?")
_SHARD = re.compile(rf"(?:{FEATURES}|{VARIANTS})/[0-9a-f]{{1,16}}/[0-9a-f-]{{36}}\.safetensors")
_SHARED = re.compile(r"artifacts/([0-9a-f]{64})/[a-z0-9]+\.[a-z]+")
_ARTIFACT = re.compile(r"[0-9a-f]{64}|new-[^/]+")
_TORN = re.compile(rf"(?:blobs|previews|{FEATURES}|{VARIANTS})/.*/\.[^/]+\.[0-9a-f]{{32}}")

Asked = Callable[[], bool]


def never() -> bool:
    """For callers that are not asked to stop."""
    return False


def delete_orphan_photos(database: Database, *, older_than_s: float = PHOTO_AGE_S, stopping: Asked = never) -> int:
    """Deletes photos that no batch has; returns how many."""
    before = utc_now() - dt.timedelta(seconds=older_than_s)
    deleted = after = 0
    while not stopping():
        began = time.monotonic()
        with database.reading() as session:
            look = select(Photo.id).where(Photo.id > after).order_by(Photo.id).limit(PHOTOS_PER_LOOK)
            photo_ids = session.scalars(look).all()
            if not photo_ids:
                break
            orphan = Photo.id.between(photo_ids[0], photo_ids[-1]), Photo.created_at < before, ~HAS_ITEMS
            orphans = session.scalars(select(Photo.id).where(*orphan)).all()
        for start in range(0, len(orphans), GROUP_ITEMS):
            with database.transaction() as session:
                deleted += delete_photos_without_items(session, orphans[start : start + GROUP_ITEMS])
        after = photo_ids[-1]
        time.sleep(time.monotonic() - began)
    return deleted


def delete_orphan_bytes(
    database: Database, blobs: Blobs, *, older_than_s: float = BYTES_AGE_S, stopping: Asked = never
) -> int:
    """Deletes blobs, previews, shards and shared files of versions that no row refers to; returns how many."""
    before = time.time() - older_than_s
    keys = itertools.chain.from_iterable(map(blobs.list_keys, ("blobs", "previews", FEATURES, VARIANTS, "artifacts")))
    deleted = 0
    while not stopping() and (look := list(itertools.islice(keys, KEYS_PER_LOOK))):
        began = time.monotonic()
        with database.reading() as session:
            orphans = _orphans(session, look)
        deleted += sum(blobs.delete_older(key, before) for key in orphans)
        time.sleep(time.monotonic() - began)
    return deleted


def remove_stale_staging(staging_dir: Path, *, older_than_s: float = BYTES_AGE_S) -> int:
    """Deletes what killed processes were receiving or unpacking on this machine, but for uploads; returns how many."""
    before = time.time() - older_than_s
    stale = [
        path
        for path in (staging_dir.iterdir() if staging_dir.is_dir() else ())
        if path.name != "uploads" and _touched_at(path) < before  # those are resumed, and go with their batch
    ]
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(stale)


def remove_orphan_artifacts(database: Database, models_dir: Path, *, older_than_s: float = BYTES_AGE_S) -> int:
    """Deletes files of versions on this machine that no row names: training was killed before it; returns how many."""
    before = time.time() - older_than_s
    ours = [path for path in (models_dir.iterdir() if models_dir.is_dir() else ()) if _ARTIFACT.fullmatch(path.name)]
    old = [path for path in ours if _touched_at(path) < before]
    with database.reading() as session:
        wanted = set(session.scalars(select(ModelVersion.artifact)))
    orphans = [path for path in old if path.name not in wanted]
    for path in orphans:
        shutil.rmtree(path, ignore_errors=True)
    return len(orphans)


def _orphans(session: Session, keys: Collection[str]) -> list[str]:
    sha256s = {key: found[1] for key in keys if (found := _BLOB.fullmatch(key))}
    shards = {key for key in keys if _SHARD.fullmatch(key)}
    wanted = set(session.scalars(select(Photo.sha256).where(Photo.sha256.in_(set(sha256s.values())))))
    waiting = Archive.sha256.in_(set(sha256s.values())), Archive.state.in_(("ready", "leased"))
    wanted.update(filter(None, session.scalars(select(Archive.sha256).where(*waiting))))
    shards.difference_update(session.scalars(select(FeatureShard.key).where(FeatureShard.key.in_(shards))))
    artifacts = {key: found[1] for key in keys if (found := _SHARED.fullmatch(key))}
    versions = select(ModelVersion.artifact).where(ModelVersion.artifact.in_(set(artifacts.values())))
    wanted.update(session.scalars(versions))
    torn = [key for key in keys if _TORN.fullmatch(key)]
    named = [key for key, sha256 in (sha256s | artifacts).items() if sha256 not in wanted]
    return [*named, *shards, *torn]


def _touched_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
