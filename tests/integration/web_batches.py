"""Batches for the tests of the pages: sent by HTTP; tagged by workers, or without one through the functions they use."""

import httpx
from sqlalchemy import update

from db.batches import NewItem, add_items, create_batch, seal_batch
from db.blobs import open_blobs
from db.facts import PhotoFacts
from db.items import Finished, Refused, claim_items, finish_items
from db.labels import ensure_labels
from db.model_versions import register_version
from db.predictions import Tagged
from db.schema import Item
from db.settings import DataSettings
from db.users import local_admin
from tests.samples import encoded, picture
from tests.stack import Pages, wait_until

WORKER = "test-worker"


def send_batch(client: httpx.Client, files: dict[str, bytes], name: str = "holiday") -> str:
    """Sends and seals a batch; returns its id."""
    created = client.post("/api/batches", json={"name": name, "count": len(files)})
    assert created.status_code == 201, created.text
    batch = created.json()["id"]
    for number, (path, data) in enumerate(files.items(), 1):
        query = {"path": path, "size": len(data), "offset": 0}
        answer = client.put(f"/api/batches/{batch}/files/{number}", params=query, content=data)
        assert answer.status_code == 200, answer.text
    assert client.post(f"/api/batches/{batch}/seal", json={"count": len(files)}).status_code == 200
    return batch


def finished_batch(client: httpx.Client, files: dict[str, bytes], name: str = "holiday") -> str:
    """As `send_batch`, where workers run; returns when they have finished it."""
    batch = send_batch(client, files, name)
    wait_until(lambda: client.get(f"/api/batches/{batch}").json()["state"] == "finished", "the batch is finished", 90)
    return batch


def tag_all(pages: Pages, batch: str, failed: int = 0) -> None:
    """Tags whatever is ready as a dog; of `batch` the first `failed` photos fail by our fault."""
    blobs = open_blobs(DataSettings(data_dir=pages.data_dir, blobs_url=None))
    webp = encoded(picture(32, 24), "WEBP")
    with pages.database.transaction() as session:
        dog, cat = ensure_labels(session, [("dog",), ("cat",)])
        version = register_version(session, "test", "built-in", "package:test", {"notice": ""}, [dog, cat])
        claimed = claim_items(session, WORKER, 500, 60)
        results: list[Finished] = []
        for item in claimed:
            blobs.write_preview(item.sha256, 320, webp)
            if item.batch_id == batch and failed:
                failed -= 1
                results.append(Refused(item.item_id, item.attempt, "MODEL_ERROR"))
                continue
            facts = PhotoFacts("JPEG", 640, 480)
            top = [(dog, 0.9), (cat, 0.1)]
            results.append(Tagged(item.item_id, item.attempt, item.photo_id, version.id, facts, top))
        finish_items(session, WORKER, results)


def held_batch(pages: Pages, files: dict[str, bytes]) -> str:
    """A running batch of the local admin whose photos no worker may take yet; returns its id."""
    blobs = open_blobs(DataSettings(data_dir=pages.data_dir, blobs_url=None))
    items = [
        NewItem(position=number, path=path, sha256=blobs.add_bytes(data), size_bytes=len(data))
        for number, (path, data) in enumerate(files.items(), 1)
    ]
    with pages.database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "held", priority=2)
        add_items(session, batch.id, items)
        session.execute(update(Item).where(Item.batch_id == batch.id).values(not_before=1e12))
        seal_batch(session, batch.id)
        return batch.id


def release(pages: Pages, batch: str, up_to: int) -> None:
    """Lets workers take the photos up to a position."""
    some = Item.batch_id == batch, Item.position <= up_to, Item.state == "ready"
    with pages.database.transaction() as session:
        session.execute(update(Item).where(*some).values(not_before=0.0))
