"""Batches for the tests of the pages: sent by HTTP, tagged without a worker through the functions that a worker uses."""

import httpx

from db.blobs import open_blobs
from db.facts import PhotoFacts
from db.items import Finished, Refused, claim_items, finish_items
from db.labels import ensure_labels
from db.model_versions import register_version
from db.predictions import Tagged
from db.settings import DataSettings
from tests.samples import encoded, picture
from tests.stack import Pages

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
