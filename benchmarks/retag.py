"""Re-tagging from generated features through a real worker process; then what flips is counted, applied and rolled back.

    python -m benchmarks.retag [--photos 100000] [--backbone tiny|vgg16] [--only sqlite|postgres]

The second version is the first one under another name, with its labels in reverse order, so that nearly all photos flip.
Features lie in shards of 64 rows. The time of the re-tag is taken from the call that starts it to the last item, with a
worker that is ready; `worker's processor` is what that process used, its start included.

100,000 photos, tiny, one run each on 2 cores with other programs at work on them (load 8 to 11); seconds:

                  start    re-tag    worker's processor    preview    apply    rollback
    SQLite          1.5      41.0                  17.6        0.2     47.5        60.7
    PostgreSQL      5.1      60.1                  12.6        0.2     56.1        49.7

Another run with SQLite, at a load of 6 to 8, took 41.3 s for the re-tag, 29.4 to apply and 22.2 to roll back.

10,000 photos, tiny, one run each on 2 cores with four to six other programs at work on them (load 8 to 11):

                                                         SQLite    PostgreSQL
    claimed and written 32 at a time                     48.3 s        64.4 s
    in groups of 256, what was picked found by id        14.2 s         9.3 s

Of the worker's processor a photo takes 0.28 ms with SQLite, where it took 0.86, and 0.24 with PostgreSQL, whose server is
not in it, where it took 0.80 (4,000 photos). It does not grow with their number: 30,000 took SQLite 30.9 s.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select, update

from benchmarks.databases import measure_both, vacuum
from benchmarks.processor import processor_s
from db.activations import activate_version, roll_back
from db.batches import NewItem, add_items, create_batch, seal_batch
from db.blobs import open_blobs
from db.features import record_shard, store_shard
from db.migrate import upgrade
from db.model_versions import active_version, register_version, version_label_ids
from db.predictions import Tagged, write_predictions
from db.retag_preview import preview
from db.retag_showing import Applied, apply_some, restore_some
from db.retags import start_retag
from db.schema import Batch, Item, Photo
from db.session import Database
from db.settings import DataSettings
from db.statements import count_changed
from db.users import local_admin
from db.workers import live_workers
from worker.active import ActiveClassifier
from worker.artifact import PACKAGE_DIR, publish_artifact, read_artifact
from worker.first_version import ensure_versions
from worker.settings import WorkerSettings

SHARD, GROUP = 64, 1024
WORKER_STARTS_WITHIN_S = 120.0


def main() -> None:
    """Prints one JSON line for each database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--backbone", choices=("tiny", "vgg16"), default="tiny")
    parser.add_argument("--only", choices=("sqlite", "postgres"), default="")
    options = parser.parse_args()
    os.environ["PHOTOTAG_OFFLINE"] = "1"
    if options.backbone == "tiny":
        os.environ["PHOTOTAG_BACKBONE"] = "tiny"
    measure_both(lambda name, database: measure(name, database, options.photos), None, None, options.only)


def measure(name: str, database: Database, photos: int) -> None:
    """Fills a database, re-tags it, applies all and rolls back; prints the seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        data = DataSettings(data_dir=Path(folder))
        upgrade(database)
        shape = fill(database, data, photos)
        second = activate_reversed(database, data.data_dir)
        vacuum(database)
        used = processor_s()
        worker = start_worker(database, data.data_dir)
        try:
            wait_for_worker(database)
            seconds: dict[str, Any] = {"start": 0.0}
            began = time.perf_counter()
            with database.transaction() as session:
                batch_id = start_retag(session, local_admin(session)).id
            seconds["start"] = time.perf_counter() - began
            wait_for_batch(database, batch_id)
            seconds["retag"] = time.perf_counter() - began
        finally:
            worker.terminate()
            worker.wait()
        seconds["worker's processor"] = processor_s() - used
        seconds |= show_and_take_back(database, second)
    rounded = {what: round(value, 2) for what, value in seconds.items()}
    print(json.dumps({"database": name, "photos": photos, "features": shape, "seconds": rounded}), flush=True)


def fill(database: Database, data: DataSettings, photos: int) -> list[int]:
    """Photos with features, which the first version has tagged; returns the shape of a photo's features."""
    settings = WorkerSettings()
    ensure_versions(database, settings, data, lambda _received, _total: None)
    active = ActiveClassifier(database, settings, data.data_dir)
    active.follow()
    rng, blobs = np.random.RandomState(7), open_blobs(data)
    blank = np.zeros((1, 224, 224, 3), np.uint8)
    shape = active.loaded.features(blank).shape[1:]
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "generated", priority=5)
    for first in range(0, photos, GROUP):
        numbers = range(first, min(first + GROUP, photos))
        with database.transaction() as session:
            hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
            add_items(
                session, batch.id, [NewItem(n, f"{n}.jpg", sha, 1) for n, sha in zip(numbers, hashes, strict=True)]
            )
            query = select(Photo.sha256, Photo.id).where(Photo.sha256.in_(hashes))
            ids = {row.sha256: row.id for row in session.execute(query)}
            photo_ids = [ids[sha] for sha in hashes]
            for start in range(0, len(photo_ids), SHARD):
                part = photo_ids[start : start + SHARD]
                features = np.maximum(rng.standard_normal((len(part), *shape)), 0).astype(np.float16)
                record_shard(session, active.space, store_shard(blobs, active.space, features), part)
                write_predictions(session, tagged(active, part, features))
            count_changed(session, update(Item).where(Item.photo_id.in_(photo_ids)).values(state="tagged"))
    with database.transaction() as session:
        seal_batch(session, batch.id)
    return list(shape)


def tagged(active: ActiveClassifier, photo_ids: list[int], features: np.ndarray) -> list[Tagged]:
    """What the first version says of the features."""
    classifier, labels = active.loaded, active.label_ids
    tops = classifier.top5(classifier.predict(features))
    return [
        Tagged(0, 1, photo_id, active.loaded_version_id, None, [(labels[n], score) for n, score in top])
        for photo_id, top in zip(photo_ids, tops, strict=True)
    ]


def activate_reversed(database: Database, data_dir: Path) -> int:
    """The first version under another name, which calls things otherwise; returns its id."""
    with database.transaction() as session:
        first = active_version(session)
        if first is None:
            msg = "No version is active, although one was just registered."
            raise RuntimeError(msg)
        found = read_artifact((PACKAGE_DIR / first.artifact.removeprefix("package:")).resolve())
        artifact, card = publish_artifact(data_dir, found.card.model_copy(update={"name": "second"}), found.head)
        label_ids = version_label_ids(session, first.id)[::-1]
        raw = card.model_dump(mode="json")
        second = register_version(session, "second", "trained", artifact, raw, label_ids)
        activate_version(session, second.id, expected_id=first.id, user=None, reason="benchmark")
        return second.id


def start_worker(database: Database, data_dir: Path) -> "subprocess.Popen[bytes]":
    """A tagging worker without a broker."""
    environment = {**os.environ, "PHOTOTAG_DATABASE_URL": database.url}
    command = [sys.executable, "-m", "worker", "--queues", "tagging", "--data-dir", str(data_dir)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_worker(database: Database) -> None:
    """Returns when the worker says that it lives."""
    deadline = time.monotonic() + WORKER_STARTS_WITHIN_S
    while time.monotonic() < deadline:
        with database.reading() as session:
            if live_workers(session):
                return
        time.sleep(0.2)
    msg = f"The worker was expected to be ready within {WORKER_STARTS_WITHIN_S:g} s."
    raise TimeoutError(msg)


def wait_for_batch(database: Database, batch_id: str) -> None:
    """Returns when nothing of it is open."""
    state = ""
    while state != "finished":
        time.sleep(0.2)
        with database.reading() as session:
            state = session.scalars(select(Batch.state).where(Batch.id == batch_id)).one()


def show_and_take_back(database: Database, version_id: int) -> dict[str, Any]:
    """Seconds of preview, of applying all, and of the roll back with what it restores."""
    seconds: dict[str, Any] = {}
    began = time.perf_counter()
    with database.reading() as session:
        found = preview(session)
    seconds["preview"] = time.perf_counter() - began
    began = time.perf_counter()
    done = apply_some(database, version_id, limit_s=3600)
    seconds["apply"] = time.perf_counter() - began
    with database.reading() as session:
        shown = session.scalars(select(func.count()).where(Photo.shown_model_version_id == version_id)).one()
    if done != Applied(shown, 0) or sum(flip.photos for flip in found.flips) + found.same != shown:
        msg = f"All photos were expected to show the second version's word. Received: {done}, {shown}"
        raise RuntimeError(msg)
    began = time.perf_counter()
    with database.transaction() as session:
        roll_back(session, None)
    if restore_some(database, limit_s=3600).done != shown:
        msg = "All photos were expected to show again what they showed before."
        raise RuntimeError(msg)
    seconds["rollback"] = time.perf_counter() - began
    return seconds


if __name__ == "__main__":
    main()
