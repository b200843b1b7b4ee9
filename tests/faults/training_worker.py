"""A training worker as a real process, its runs, and what holds of what they leave behind, whatever happened to them."""

import os
import signal
import subprocess
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select

from db.collecting import collect_garbage
from db.feature_spaces import version_spaces
from db.features import ShardFile, read_shard
from db.garbage import SPACE
from db.model_versions import list_versions
from db.orphans import delete_orphan_bytes, remove_orphan_artifacts
from db.schema import FeatureShard, Garbage, HoldoutAnswer, TrainingRun
from db.spare_spaces import canaries_key, forget_spare_spaces
from db.training_runs import start_run
from db.users import local_admin
from tests.integration.command_line import environment
from tests.integration.processes import ROOT, end
from tests.tinted import Tinted
from training.recipe import load_recipe
from ui.programs import program
from worker.classifier import load_classifier

PATIENCE_S = 240.0


def ask(world: Tinted, recipe: str = "gap", **changes: Any) -> int:
    """The id of a run that waits."""
    values = load_recipe(recipe).model_dump(mode="json") | changes
    with world.database.transaction() as session:
        return start_run(session, local_admin(session), values, "auto").id


@contextmanager
def worker(world: Tinted, **settings: str) -> Generator[subprocess.Popen[bytes]]:
    """A training worker."""
    data_dir = world.place.data_dir
    with (data_dir / "training.log").open("ab") as log:
        process = subprocess.Popen(
            program("ui", "worker", "--queues", "training", "--data-dir", str(data_dir)),
            cwd=ROOT, env=environment(**settings), stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            end(process)


def run_of(world: Tinted, run_id: int) -> TrainingRun:
    """The row as it is now."""
    with world.database.reading() as session:
        return session.get_one(TrainingRun, run_id)


def is_over(world: Tinted, run_id: int) -> bool:
    """Whether it has ended, well or not."""
    return run_of(world, run_id).state not in ("queued", "running")


def trained(world: Tinted) -> list[str]:
    """Names of versions that runs have made."""
    with world.database.reading() as session:
        return [version.name for version in list_versions(session) if version.origin == "trained"]


def check_whole(world: Tinted) -> None:
    """Holds at any moment: versions load and belong to runs that are done, as do answers; features have files and an end."""
    with world.database.reading() as session:
        versions = [version for version in list_versions(session) if version.origin == "trained"]
        done = set(session.scalars(select(TrainingRun.version_id).where(TrainingRun.state == "done")))
        answered = set(session.scalars(select(HoldoutAnswer.run_id).distinct()))
        finished = set(session.scalars(select(TrainingRun.id).where(TrainingRun.state == "done")))
        shards = session.execute(select(FeatureShard.key, FeatureShard.rows, FeatureShard.space)).all()
        going = set(session.scalars(select(Garbage.key).where(Garbage.kind == SPACE)))
        spaces = version_spaces(session)
    assert {version.id for version in versions} == done
    assert answered <= finished
    assert {shard.space for shard in shards} <= spaces | going, "features that no version reads and nobody collects"
    for shard in shards:
        read_shard(world.blobs, ShardFile(shard.key, shard.rows))
    for version in versions:
        load_classifier(world.place.settings, world.place.data_dir, version.artifact, version.card)


def check_collected(world: Tinted) -> None:
    """Once the janitor has been there a day later, nothing is left but what versions read and are made of."""
    database, blobs, models = world.database, world.blobs, world.place.data_dir / "models"
    forget_spare_spaces(database, blobs, older_than_s=-1)
    collect_garbage(database, blobs, grace_s=-1)
    delete_orphan_bytes(database, blobs, older_than_s=-1)
    remove_orphan_artifacts(database, models, older_than_s=-1)

    with database.reading() as session:
        shards = session.execute(select(FeatureShard.key, FeatureShard.space)).all()
        spaces = version_spaces(session)
        artifacts = {version.artifact for version in list_versions(session) if version.origin == "trained"}
    assert {shard.space for shard in shards} <= spaces
    assert set(blobs.list_keys("features")) == {shard.key for shard in shards}
    assert set(blobs.list_keys("canaries")) <= {canaries_key(space) for space in spaces}
    assert {path.name for path in models.glob("*")} == artifacts


def children_of(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    children = [int(line) for line in listed.stdout.split()]
    return [*children, *(grandchild for child in children for grandchild in children_of(child))]


def are_gone(pids: Collection[int]) -> bool:
    """Whether none of the processes is there any more, whoever is their parent by now."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def kill(*pids: int) -> None:
    """SIGKILL, to processes that may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
