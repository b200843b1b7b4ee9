"""Computes features of photos that lack them: decoded in helper processes, as tagging does, and kept as it keeps them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from db.blobs import Blobs, full_disk_noticed
from db.errors import BlobMissingError, Refusal
from db.feature_codes import pooled
from db.features import ShardFile, forget_features, record_shard, store_shard
from db.near_duplicates import record_hashes
from db.places import Place, best_places
from db.session import Database
from training.networks import Network
from worker.decoder_pool import DecoderPool
from worker.decoder_process import Source
from worker.decoding import Decoded
from worker.hanging import ends_when_hung
from worker.heads import Features, Floats

log = logging.getLogger(__name__)

Store = Callable[[Blobs, str, Features], ShardFile]

# Photos given to the network at once, and kept in one file.
CHUNK = 16
SHARD = 64


@dataclass
class Shard:
    """Photos that will be one file.

    Attributes:
        features: of some of them each, (n, h, w, c).
        hashes: perceptual hashes by photo id.
    """

    photo_ids: list[int] = field(default_factory=list[int])
    features: list[Features] = field(default_factory=list[Features])
    hashes: dict[int, int] = field(default_factory=dict[int, int])


def make_features(
    database: Database,
    blobs: Blobs,
    network: Network,
    photo_ids: Sequence[int],
    on_photos: Callable[[int], None],
) -> dict[int, Floats]:
    """Computes and keeps the features of these photos; returns their means (channels,) by photo id.

    Photos whose bytes are gone or cannot be decoded are left out, with a line in the log. What is kept stays, however
    this ends: the next one has less to do.

    Args:
        database: where addresses of features are kept, a file of 64 photos a transaction.
        blobs: where files are.
        network: loaded here.
        photo_ids: photos whose features are missing, or lie in a file that is gone or damaged.
        on_photos: told how many more are done.

    Raises:
        ArtifactError: the network's weights are missing.
        DecoderPoolError: no decoder process can be started.
    """
    means: dict[int, Floats] = {}
    backbone = network.load()
    shard = Shard()
    settings = network.settings
    with DecoderPool(settings.limits, settings.decoders or 1, previews=()) as pool:
        for chunk in decoded_chunks(database, blobs, pool, photo_ids, on_photos):
            pixels = np.stack([photo.pixels for _, photo in chunk])  # (n, 224, 224, 3)
            with ends_when_hung(settings.chunk_limit_s):
                features = backbone.features(pixels)  # (n, h, w, c)
            ids = [place.photo_id for place, _ in chunk]
            means.update(zip(ids, pooled(features), strict=True))
            shard.photo_ids += ids
            shard.features.append(features)
            shard.hashes |= {place.photo_id: n for place, photo in chunk if (n := photo.facts.phash) is not None}
            if len(shard.photo_ids) >= SHARD:
                keep_shard(database, blobs, network.space, shard)
                shard = Shard()
            on_photos(len(chunk))
    if shard.photo_ids:
        keep_shard(database, blobs, network.space, shard)
    return means


def decoded_chunks(
    database: Database, blobs: Blobs, pool: DecoderPool, photo_ids: Sequence[int], on_photos: Callable[[int], None]
) -> Iterator[list[tuple[Place, Decoded]]]:
    """Decoded photos, so many as the network takes at once. `on_photos` is told of those that cannot be decoded."""
    with database.reading() as session:
        places = list(best_places(session, photo_ids, None))
    chunk: list[tuple[Place, Decoded]] = []
    on_photos(len(photo_ids) - len(places))
    for place, decoded in pool.decode_all(_sources(blobs, places, on_photos)):
        if isinstance(decoded, Refusal):
            log.warning("Photo %d has no features and cannot be decoded: %s", place.photo_id, decoded)
            on_photos(1)
            continue
        chunk.append((place, decoded))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _sources(blobs: Blobs, places: Sequence[Place], on_photos: Callable[[int], None]) -> Iterator[tuple[Place, Source]]:
    for place in places:
        try:
            path = Path(place.source_path) if place.source_path else blobs.local_path(place.sha256)
            content = path if path is not None else blobs.read(place.sha256)
        except BlobMissingError as error:
            log.warning("Photo %d has no features, and its bytes are gone: %s", place.photo_id, error)
            on_photos(1)
            continue
        yield place, Source(content, place.sha256)


def keep_shard(database: Database, blobs: Blobs, space: str, shard: Shard, store: Store = store_shard) -> None:
    """Writes the features to a file, and says where each photo's are; it had none, or lost them."""
    with full_disk_noticed():
        stored = store(blobs, space, np.concatenate(shard.features))
    with database.transaction() as session:
        forget_features(session, space, shard.photo_ids)
        record_shard(session, space, stored, shard.photo_ids)
        record_hashes(session, shard.hashes)
