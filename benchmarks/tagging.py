"""Tagging a folder end to end against the bare network's forward passes, side by side.

    python benchmarks/tagging.py FOLDER [--rounds 3] [--photos 96] [--chunk 16]

Each round runs both on the same photos, one after the other, so that the machine's drift meets both. The pipeline's
rate is taken from the rows, from the first finished chunk to the last; the network's from its calls on decoded
arrays, without decoding. Start-up and loading are in neither.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import select

from db.schema import Item
from db.session import Database
from db.settings import DataSettings

BARE = """
import json, sys, time
import numpy as np
from pathlib import Path
from worker.decoding import decode
from worker.limits import Limits
from worker.vgg16 import Vgg16Backbone
from worker.weights import seeded_weights
paths, chunk = json.loads(sys.argv[1]), int(sys.argv[2])
pixels = np.stack([decode(Path(path).read_bytes(), Limits(), previews=()).pixels for path in paths])
backbone = Vgg16Backbone(seeded_weights(), "benchmark", chunk_size=chunk)
backbone.features(pixels[:chunk])
start = time.perf_counter()
for first in range(0, len(pixels), chunk):
    backbone.features(pixels[first : first + chunk])
print(len(pixels) / (time.perf_counter() - start))
"""


def main() -> None:
    """Prints one JSON line a round, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--chunk", type=int, default=16)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    paths = paths[: options.photos]
    ratios: list[float] = []
    for number in range(options.rounds):
        network, pipeline = bare_rate(paths, options.chunk), pipeline_rate(paths, options.chunk)
        ratios.append(pipeline / network)
        print(json.dumps({"round": number, "network": network, "phototag": pipeline, "ratio": ratios[-1]}), flush=True)
    print(json.dumps({"photos": len(paths), "chunk": options.chunk, "median_ratio": statistics.median(ratios)}))


def bare_rate(paths: list[Path], chunk: int) -> float:
    """Photos a second of the network alone."""
    arguments = [sys.executable, "-c", BARE, json.dumps([str(path) for path in paths]), str(chunk)]
    return float(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def pipeline_rate(paths: list[Path], chunk: int) -> float:
    """Photos a second of `phototag tag`, an empty data directory each time."""
    with tempfile.TemporaryDirectory() as data_dir:
        environment = {**os.environ, "PHOTOTAG_OFFLINE": "1", "PHOTOTAG_CHUNK_SIZE": str(chunk)}
        command = [sys.executable, "-m", "ui", "tag", "--data-dir", data_dir, *(str(path) for path in paths)]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        database = Database(DataSettings(data_dir=Path(data_dir)).resolved_database_url)
        with database.reading() as session:
            finished = session.scalars(select(Item.finished_at).where(Item.state == "tagged")).all()
        database.close()
    first, last = min(finished), max(finished)
    return sum(moment > first for moment in finished) / (last - first).total_seconds()


if __name__ == "__main__":
    main()
