"""What a worker hands in of a photo that was deleted meanwhile: its neighbours are written, and it leaves nothing."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from db.blobs import open_blobs
from db.collecting import collect_garbage
from db.deleting import begin_deleting, delete_batch
from db.errors import BlobMissingError
from db.features import ShardFile, read_features, read_shard
from db.items import claim_items
from db.schema import FeatureShard, Photo, Prediction
from db.session import Database
from db.settings import DataSettings
from tests.store import add_batch, add_version, sha256_of, states_of, tag_all
from worker.writing import ChunkWriter, FinishedChunk

SPACE = "a" * 64


@pytest.mark.parametrize("deleted", [[0], [0, 1]])
def test_a_chunk_with_deleted_photos_is_written_without_them(
    database: Database, data_dir: Path, deleted: list[int]
) -> None:
    """Predictions, features and previews; after the collection no byte of theirs is left."""
    blobs = open_blobs(DataSettings(data_dir=data_dir))
    batch_ids = [add_batch(database, [number]) for number in (0, 1)]
    with database.transaction() as session:
        version_id = add_version(session)
        items = claim_items(session, "w", 9, 60)
        results = tag_all(session, items, version_id)
    chunk = FinishedChunk(
        results=results,
        space=SPACE,
        photo_ids=[item.photo_id for item in items],
        features=np.ones((len(items), 1, 1, 4), np.float16),
        previews={item.sha256: {320: b"webp", 1024: b"webp"} for item in items},
    )
    for number in deleted:
        with database.transaction() as session:
            begin_deleting(session, batch_ids[number])
        delete_batch(database, batch_ids[number])
    collect_garbage(database, blobs, grace_s=0)  # the worker was slow: the bytes of then are gone already

    writer = ChunkWriter(database, blobs, "w", retry_s=1)
    writer.put(chunk, lambda: None)
    writer.close()
    collect_garbage(database, blobs, grace_s=0)

    kept = [number for number in (0, 1) if number not in deleted]
    with database.reading() as session:
        photos = dict(session.execute(select(Photo.sha256, Photo.id)).all())
        assert set(session.scalars(select(Prediction.photo_id))) == set(photos.values())
        assert read_features(session, blobs, SPACE, list(photos.values())).keys() == set(photos.values())
        assert states_of(session) == ({"tagged": len(kept)} if kept else {})
        shards = session.scalars(select(FeatureShard)).all()
    assert photos.keys() == {sha256_of(number) for number in kept}
    assert len(shards) == bool(kept)
    for shard in shards:
        assert np.isnan(read_shard(blobs, ShardFile(shard.key, shard.rows))).any(axis=(1, 2, 3)).sum() == len(deleted)
    for number in deleted:
        with pytest.raises(BlobMissingError):
            blobs.read_preview(sha256_of(number), 320)
    for number in kept:
        assert blobs.read_preview(sha256_of(number), 1024) == b"webp"
    assert list(data_dir.rglob("features/**/*.safetensors")) == [data_dir / shard.key for shard in shards]
