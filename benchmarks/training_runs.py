"""Training runs on photos whose features are there, each in a process of its own as the training worker starts it.

    python -m benchmarks.training_runs [--photos 2000] [--recipes default,gap,flatten,gap-adam] [--only sqlite|postgres]

Photos are rows with generated features of VGG16's shape (7, 7, 512) in shards of 64 and labels that a person gave; the
starter version is active. Prints a JSON line for each run: seconds from its start to its end, by stage as its row says it.
`begins` is the start of the process, `exam` all from the first answer to the last row: answers, doubts, the version's files.
`processor` is what the process used of the cores, where others use them too.
The first run of a library computes the features of the canary photos, so it loads the network: here the one that is named
`first`, by the first recipe.

2,000 photos on 2 cores with nothing else at work on them, one run each; seconds:

                                 in all    of the processor    begins    head    exam
    SQLite        default, first    9.0                10.3       1.9     0.4     6.3
                  default           3.4                 3.9       1.8     0.5     0.9
                  gap               3.8                 4.8       1.9     0.7     1.0
                  flatten           7.7                10.5       1.9     4.5     1.0
                  gap-adam         11.9                13.9       1.9     7.7     2.1
    PostgreSQL    default, first    9.7                10.7       2.1     0.4     6.5
                  default           4.1                 4.5       2.1     0.5     1.1
                  gap               4.4                 5.5       2.1     0.9     1.1
                  flatten           8.3                11.0       2.2     4.8     1.0
                  gap-adam         13.4                15.2       2.1     8.6     2.4

At a load of 7 to 10 the same runs lasted two to four times as long, `flatten` 33 s. What PostgreSQL's server used of the
processor is not counted. `begins` is imports, scikit-learn's and the database's first. These photos have no previews: where
they have, deciding which are held out takes some 10 ms for each that is new, once.
"""

import argparse
import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from sqlalchemy import select

from benchmarks.databases import measure_both, vacuum
from benchmarks.processor import processor_s
from db.batches import NewItem, add_items, create_batch, seal_batch
from db.blobs import open_blobs
from db.features import record_shard, store_shard
from db.labels import ensure_labels
from db.migrate import upgrade
from db.model_versions import active_version
from db.near_duplicates import record_hashes
from db.reviews import Said, record_verdicts
from db.schema import Photo
from db.session import Database
from db.settings import DataSettings
from db.training_runs import claim_run, start_run
from db.training_views import RunDetails, get_run
from db.users import local_admin
from training.networks import network_of
from training.recipe import load_recipe
from training.run_keeper import run_command
from worker.card import Card
from worker.first_version import ensure_versions
from worker.settings import WorkerSettings

SHARD, GROUP, LABELS = 64, 1024, 10
# Enough alike within a label that heads are right about four times in five; no two photos are near-duplicates.
KIND, OWN, PLACE = 0.15, 1.0, 1.0
LOOK_EVERY_S = 0.05


def main() -> None:
    """Prints one JSON line for each database and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--recipes", default="default,gap,flatten,gap-adam")
    parser.add_argument("--only", choices=("sqlite", "postgres"), default="")
    options = parser.parse_args()
    os.environ["PHOTOTAG_OFFLINE"] = "1"
    names = options.recipes.split(",")
    measure_both(lambda name, database: measure(name, database, options.photos, names), None, None, options.only)


def measure(name: str, database: Database, photos: int, recipes: list[str]) -> None:
    """Fills a database, and trains by each recipe."""
    with tempfile.TemporaryDirectory() as folder:
        data = DataSettings(data_dir=Path(folder))
        upgrade(database)
        fill(database, data, photos)
        vacuum(database)
        for number, recipe in enumerate([recipes[0], *recipes]):
            used = processor_s()
            details, seconds = train(database, data.data_dir, recipe)
            report = details.report or {}
            found = {
                "database": name, "recipe": recipe if number else f"{recipe}, first", "photos": photos,
                "held_out": report["candidate"]["photos"], "left_out": report["left_out"],
                "top1": report["candidate"]["top1"], "epochs": len(details.curves),
                "seconds": round(sum(seconds.values()), 1), "processor": round(processor_s() - used, 1),
                "stages": {stage: round(value, 1) for stage, value in seconds.items()},
            }  # fmt: skip
            print(json.dumps(found), flush=True)


def fill(database: Database, data: DataSettings, photos: int) -> None:
    """Photos with hashes, features and labels."""
    settings, blobs, chance = WorkerSettings(), open_blobs(data), np.random.default_rng(7)
    ensure_versions(database, settings, data, lambda _received, _total: None)
    with database.reading() as session:
        version = active_version(session)
    if version is None:
        msg = "A version was expected to be active, although one was just registered."
        raise RuntimeError(msg)
    network = network_of(settings, data.data_dir, Card.model_validate(version.card))
    kinds = chance.normal(size=(LABELS, 1, 1, network.feature_shape[-1]))
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "generated", priority=5)
        labels = ensure_labels(session, [[f"kind {number}"] for number in range(LABELS)])
    for first in range(0, photos, GROUP):
        numbers = range(first, min(first + GROUP, photos))
        hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
        with database.transaction() as session:
            items = [NewItem(number, f"{number}.jpg", sha, 1) for number, sha in zip(numbers, hashes, strict=True)]
            add_items(session, batch.id, items)
            ids = {row.sha256: row.id for row in session.execute(select(Photo.sha256, Photo.id))}
            for start in range(0, len(numbers), SHARD):
                part = numbers[start : start + SHARD]
                own = chance.normal(size=(len(part), 1, 1, network.feature_shape[-1]))
                places = chance.normal(size=(len(part), *network.feature_shape))
                features = np.maximum(KIND * kinds[np.array(part) % LABELS] + OWN * own + PLACE * places, 0)
                stored = store_shard(blobs, network.space, features.astype(np.float16))
                record_shard(session, network.space, stored, [ids[hashes[number - first]] for number in part])
            said = [
                Said(ids[sha], "label", labels[number % LABELS]) for number, sha in zip(numbers, hashes, strict=True)
            ]
            record_verdicts(session, local_admin(session), said, token=f"{first}", source="import")
            phashes = chance.integers(-(2**63), 2**63, size=len(numbers))
            record_hashes(session, {ids[sha]: int(phash) for sha, phash in zip(hashes, phashes, strict=True)})
    with database.transaction() as session:
        seal_batch(session, batch.id)


def train(database: Database, data_dir: Path, recipe: str) -> tuple[RunDetails, dict[str, float]]:
    """A run to its end, and the seconds of each of its stages."""
    environment = {**os.environ, "PHOTOTAG_DATABASE_URL": database.url}
    with database.transaction() as session:
        start_run(session, local_admin(session), load_recipe(recipe).model_dump(mode="json"), "never")
        run = claim_run(session, "benchmark", 3600)
    if run is None:
        msg = "The run was expected to be the next one."
        raise RuntimeError(msg)
    seconds: dict[str, float] = defaultdict(float)
    before = time.perf_counter()
    process = subprocess.Popen(run_command(str(data_dir))(run), env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(LOOK_EVERY_S)
        with database.reading() as session:
            details = get_run(session, run.id)
        now = time.perf_counter()
        if details.run.is_open:
            seconds[details.run.stage or "begins"] += now - before
            before = now
    with database.reading() as session:
        details = get_run(session, run.id)
    if details.run.state != "done":
        msg = f"The run was expected to be done. Received: {details.run.state}: {details.run.reason}"
        raise RuntimeError(msg)
    seconds[details.run.stage] += time.perf_counter() - before
    return details, seconds


if __name__ == "__main__":
    main()
