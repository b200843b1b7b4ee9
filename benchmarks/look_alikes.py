"""What look-alikes cost with a million photos, and how many of the nearest their codes find.

    python benchmarks/look_alikes.py [--photos 1000000] [--rounds 40] [--postgres [URL]]
    python benchmarks/look_alikes.py --folder FOLDER [--backbone starter]

The first measures reading all codes, answers, and memory, with codes drawn at random, on SQLite unless --postgres is
given. The second compares the twenty nearest by code with the ten nearest by exact cosine, on the photos of a folder.
"""

import argparse
import os
import resource
import threading
import time
from pathlib import Path

import numpy as np
from databases import measure_one
from lease_store import show, timed
from sqlalchemy import insert, text

from db.errors import Refusal
from db.feature_codes import CODE_BITS, Features, code_vectors, make_codes
from db.look_alikes import LookAlikes
from db.migrate import upgrade
from db.schema import FeatureShard, Photo, PhotoFeatures
from db.session import Database, utc_now
from db.statements import table_of
from db.users import local_admin
from worker.artifact import PACKAGE_DIR, read_card
from worker.backbone import TinyBackbone
from worker.classifier import load_classifier
from worker.decoding import decode
from worker.limits import Limits
from worker.settings import WorkerSettings

SPACE = "a" * 64
SHARD = 64
STEP = 320  # shards that are written at once
PATIENT_S = 600.0


def main() -> None:
    """Measures one database, or one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--postgres", nargs="?", const="", help="URL of an empty database")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--backbone", choices=("tiny", "starter"), default="tiny")
    options = parser.parse_args()
    if options.folder is not None:
        compare(options.folder, options.backbone)
    else:
        measure_one(lambda name, database: measure(name, database, options.photos, options.rounds), options.postgres)


def measure(name: str, database: Database, photos: int, rounds: int) -> None:
    """Prints one line for each operation."""
    upgrade(database)
    fill(database, photos)
    with database.transaction() as session:
        admin = local_admin(session)
    print(f"{name}: {photos:,} photos")
    coding: list[float] = []
    features = np.abs(np.random.default_rng(1).standard_normal((SHARD, 7, 7, 512))).astype(np.float16)
    centre = code_vectors(features).mean(axis=0)
    for _ in range(rounds):
        timed(coding, lambda: make_codes(code_vectors(features), centre))
    show(f"codes of {SHARD}", coding)

    alikes = LookAlikes(database)
    pauses, before, began = Pauses(), memory(), time.perf_counter()
    with database.reading() as session:
        alikes.nearest(session, admin, 1)
    print(f"  {'first answer':22} {time.perf_counter() - began:9.2f} s")
    index = alikes._index_of(SPACE)  # noqa: SLF001 - to know when it has read all
    index.refreshed(PATIENT_S)
    print(f"  {'all codes read':22} {time.perf_counter() - began:9.2f} s, {(memory() - before) / 1e6:.0f} MB more")
    print(f"  {'longest pause of others':22} {1000 * pauses.end():8.0f} ms")
    answers: list[float] = []
    compared: list[float] = []
    codes = index.refreshed(PATIENT_S)
    for photo_id in range(1, rounds + 1):
        with database.reading() as session:
            timed(answers, lambda session=session, photo_id=photo_id: alikes.nearest(session, admin, photo_id))
        timed(compared, lambda photo_id=photo_id: codes.distances(codes.words[:, photo_id].tobytes()))
    show("an answer", answers)
    show("  of it comparing", compared)
    database.close()


class Pauses:
    """A thread that does next to nothing, and notes the longest time in which it could not."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> float:
        """The longest pause in seconds."""
        self._ended.set()
        self._thread.join()
        return self._longest

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.perf_counter()
            time.sleep(0.001)
            self._longest = max(self._longest, time.perf_counter() - began)


def memory() -> int:
    """Bytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def fill(database: Database, photos: int) -> None:
    """Photos with random codes, in shards of 64. Indexes of photos are left out: nothing here uses them."""
    with database.engine.begin() as connection:
        for index in table_of(Photo).indexes:
            index.drop(connection)
    for start in range(1, photos + 1, SHARD * STEP):
        ids = range(start, min(start + SHARD * STEP, photos + 1))
        with database.transaction() as session:
            photo = {"size_bytes": 1, "created_at": utc_now(), "has_previews": True, "not_sure": False}
            session.execute(insert(table_of(Photo)), [photo | {"id": n, "sha256": f"{n:064x}"} for n in ids])
            numbers = sorted({shard_of(n) for n in ids})
            shard = {"space": SPACE, "rows": SHARD, "created_at": utc_now()}
            session.execute(insert(table_of(FeatureShard)), [shard | {"id": n, "key": f"shard {n}"} for n in numbers])
            rows = [
                {
                    "photo_id": n,
                    "space": SPACE,
                    "shard_id": shard_of(n),
                    "row": n % SHARD,
                    "code": os.urandom(CODE_BITS // 8),
                }
                for n in ids
            ]
            session.execute(insert(table_of(PhotoFeatures)), rows)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))


def shard_of(photo_id: int) -> int:
    """The number of the photo's shard."""
    return 1 + (photo_id - 1) // SHARD


def compare(folder: Path, backbone: str) -> None:
    """Prints how many of the nearest ten are among the nearest twenty by code, about the centre of the first 16."""
    features = features_of(folder, backbone)
    vectors = code_vectors(features)
    centre = vectors[:16].mean(axis=0)
    exact = (vectors - centre) / np.maximum(np.linalg.norm(vectors - centre, axis=1, keepdims=True), 1e-9)
    cosines = exact @ exact.T - 2 * np.eye(len(exact), dtype=np.float32)
    words = np.frombuffer(b"".join(make_codes(vectors, centre)), np.uint64).reshape(len(vectors), -1)
    hits = 0
    for number, code in enumerate(words):
        bits = np.bitwise_count(words ^ code).sum(axis=1, dtype=np.int64)
        bits[number] = CODE_BITS + 1
        hits += len(set(np.argsort(bits, kind="stable")[:20]) & set(np.argsort(-cosines[number])[:10]))
    print(
        f"{len(vectors)} photos, {backbone}: {hits / (10 * len(vectors)):.1%} of the nearest ten are among twenty by code"
    )


def features_of(folder: Path, backbone: str) -> Features:
    """Features of the photos that can be decoded."""
    version = TinyBackbone()
    compute = version.features
    if backbone == "starter":
        card = read_card(PACKAGE_DIR / "starter").model_dump(mode="json")
        compute = load_classifier(WorkerSettings(), folder, "package:starter", card).features
    parts: list[Features] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            parts.append(compute(decode(path.read_bytes(), Limits(), previews=()).pixels[None]))
        except Refusal:
            continue
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
