"""Web and workers as separate processes on PostgreSQL and Redis given by URL, as docker-compose.yml starts them."""

import os
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import select

from db.activations import activate_version
from db.blobs import Blobs
from db.model_versions import active_version, get_version
from db.remote_store import RemoteStore
from db.schema import Item
from db.session import Database
from tests.integration.accepting import accept, states
from tests.integration.processes import ROOT, end, ended, start_worker, wait_until
from tests.samples import numbered_photo, photo_folder, zip_of
from tests.tinted import add_labelled, empty_tinted
from tests.tinted_runs import claim
from training.run import train

PHOTOS = 40


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_archive_sent_to_the_web_process_is_tagged_by_two_workers_elsewhere(
    postgres_database: Database, valkey_url: str, data_dir: Path
) -> None:
    """Web, an intake worker and two tagging workers share a database, a broker and a folder for blobs."""
    workers = [
        start_worker(data_dir, postgres_database.url, valkey_url, "tagging"),
        start_worker(data_dir, postgres_database.url, valkey_url, "tagging"),
        start_worker(data_dir, postgres_database.url, valkey_url, "intake"),
    ]
    web = _start_web(data_dir, postgres_database.url, valkey_url)
    with ended(web, *workers), closing(_logged_in(data_dir, postgres_database.url, valkey_url)) as client:
        archive = zip_of({f"photos/{number:02}.jpg": numbered_photo(number) for number in range(PHOTOS)})

        batch_id = _send(client, archive)

        wait_until(lambda: _progress(client, batch_id)["state"] == "finished", 90, "the batch is finished")
        assert _progress(client, batch_id)["counts"]["tagged"] == PHOTOS
        assert states(postgres_database, batch_id) == {"tagged": PHOTOS}
        csv = client.get(f"/api/batches/{batch_id}/results.csv").text
    assert csv.count(",tagged,") == PHOTOS
    assert "photos/07.jpg" in csv


def test_a_worker_without_a_broker_finds_its_work_in_the_database(database: Database, data_dir: Path) -> None:
    """No message ever says that there is work; polling does."""
    batch_id = accept(database, photo_folder(data_dir / "photos", 5))

    with ended(start_worker(data_dir, database.url, None)):
        wait_until(lambda: states(database, batch_id) == {"tagged": 5}, 60, "five photos are tagged")


def test_a_worker_on_another_machine_tags_with_a_version_that_was_trained_here(
    database: Database, tmp_path: Path
) -> None:
    """Two data directories share a database and an object store; the version's files are fetched from there."""
    here, there, store = (tmp_path / name for name in ("here", "there", "store"))
    for folder in (here, there, store):
        folder.mkdir()
    world = empty_tinted(database, here)
    shared = Blobs(RemoteStore(store.as_uri()), here / "staging")
    world = replace(world, place=replace(world.place, blobs=shared))
    add_labelled(world, range(45))
    train(world.place, claim(world))
    with database.transaction() as session:
        version, before = get_version(session, "head-1"), active_version(session)
        assert before is not None
        activate_version(session, version.id, expected_id=before.id, user=None, reason="test")

    with ended(start_worker(there, database.url, None, PHOTOTAG_BLOBS_URL=store.as_uri())):
        batch_id = accept(database, photo_folder(tmp_path / "photos", 5))
        wait_until(lambda: states(database, batch_id) == {"tagged": 5}, 90, "five photos are tagged")

    assert [path.name for path in (there / "models").iterdir()] == [version.artifact]
    with database.reading() as session:
        mine = select(Item.model_version_id).where(Item.batch_id == batch_id)
        assert set(session.scalars(mine)) == {version.id}


def test_a_flushed_broker_delays_and_loses_nothing(sqlite_database: Database, valkey_url: str, data_dir: Path) -> None:
    """The message goes, the rows stay."""
    with ended(start_worker(data_dir, sqlite_database.url, valkey_url)), redis.Redis.from_url(valkey_url) as broker:
        for number in range(3):
            batch_id = accept(sqlite_database, photo_folder(data_dir / f"photos-{number}", 5))
            broker.flushall()

            wait_until(lambda batch=batch_id: states(sqlite_database, batch) == {"tagged": 5}, 60, "photos are tagged")


@pytest.mark.slow
def test_a_worker_asked_to_stop_ends_soon_and_leaves_no_lease(
    sqlite_database: Database, valkey_url: str, data_dir: Path
) -> None:
    """SIGTERM in the middle of a folder: exit code 0 within 10 s, every photo tagged or ready."""
    batch_id = accept(sqlite_database, photo_folder(data_dir / "photos", 300, width=1600, height=1200))
    worker = start_worker(data_dir, sqlite_database.url, valkey_url, PHOTOTAG_CHUNK_SIZE="4")
    wait_until(lambda: states(sqlite_database, batch_id).get("tagged", 0) >= 4, 60, "tagging has begun")

    code = end(worker, timeout_s=10)

    assert code == 0
    assert set(states(sqlite_database, batch_id)) == {"tagged", "ready"}


def test_a_worker_refuses_a_database_that_is_older_than_the_code(
    empty_database: Database, valkey_url: str, data_dir: Path
) -> None:
    """One line that says what to run, exit code 1, and no half-started worker."""
    worker = start_worker(data_dir, empty_database.url, valkey_url)

    assert worker.wait(60) == 1
    assert "phototag migrate" in (data_dir / "worker.log").read_text().splitlines()[-1]


def _start_web(data_dir: Path, database_url: str, redis_url: str) -> "subprocess.Popen[bytes]":
    with (data_dir / "web.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ui", "web", "--port", "0", "--data-dir", str(data_dir)],
            cwd=ROOT,
            env=_environment(database_url, redis_url),
            stdout=log,
            stderr=log,
        )


def _logged_in(data_dir: Path, database_url: str, redis_url: str) -> httpx.Client:
    found: list[str] = []

    def serves() -> bool:
        found[:] = re.findall(r"http://127\.0\.0\.1:\d+", (data_dir / "web.log").read_text())
        try:
            return bool(found) and httpx.get(f"{found[0]}/health").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(serves, 60, "the pages are served")
    printed = subprocess.run(
        [sys.executable, "-m", "ui", "web", "--login-link", "--data-dir", str(data_dir)],
        cwd=ROOT,
        env=_environment(database_url, redis_url),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    link = re.search(r"/login\?token=\S+", printed)
    assert link, printed
    client = httpx.Client(base_url=found[0], timeout=30)
    assert client.get(link[0]).status_code == 303
    return client


def _send(client: httpx.Client, archive: bytes) -> str:
    batch = client.post("/api/batches", json={"name": "photos.zip", "count": 1, "bytes": len(archive)}).json()["id"]
    query = {"path": "photos.zip", "size": len(archive), "offset": 0}
    assert client.put(f"/api/batches/{batch}/files/1", params=query, content=archive).json()["done"]
    assert client.post(f"/api/batches/{batch}/seal", json={"count": 1}).status_code == 200
    return batch


def _progress(client: httpx.Client, batch_id: str) -> "dict[str, Any]":
    return client.get(f"/api/batches/{batch_id}").json()


def _environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PHOTOTAG_DATABASE_URL": database_url,
        "PHOTOTAG_REDIS_URL": redis_url,
        "PHOTOTAG_BACKBONE": "tiny",
    }
