"""Computes features of changed variants of photos and keeps them, so that the next run reads them."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

import numpy as np

from db.blobs import Blobs
from db.feature_codes import pooled
from db.feature_spaces import variant_space
from db.features import store_variants
from db.session import Database
from training.feature_making import SHARD, Shard, decoded_chunks, keep_shard
from training.networks import Network
from training.variants import draw_variant
from worker.decoder_pool import DecoderPool
from worker.hanging import ends_when_hung
from worker.heads import Floats


def make_variants(
    database: Database,
    blobs: Blobs,
    network: Network,
    lacking: Mapping[int, AbstractSet[int]],
    on_variants: Callable[[int], None],
) -> dict[int, dict[int, Floats]]:
    """Computes and keeps the features of these variants; returns their means (channels,) by number and photo id.

    A photo is decoded once for all of its variants. Those whose bytes are gone or cannot be decoded are left out, with a
    line in the log. What is kept stays, however this ends.

    Args:
        database: where addresses of features are kept, a file of 64 variants a transaction.
        blobs: where files are.
        network: loaded here.
        lacking: by the variant's number, ids of photos whose features of it are missing, or lie in a file that is gone
            or damaged.
        on_variants: told how many more are done.

    Raises:
        ArtifactError: the network's weights are missing.
        DecoderPoolError: no decoder process can be started.
    """
    means: dict[int, dict[int, Floats]] = {number: {} for number in lacking}
    shards = {number: Shard() for number in lacking}
    photo_ids = sorted(set[int]().union(*lacking.values()))
    backbone, settings = network.load(), network.settings
    with DecoderPool(settings.limits, settings.decoders or 1, previews=()) as pool:
        for chunk in decoded_chunks(database, blobs, pool, photo_ids, lambda _lost: None):
            for number, shard in shards.items():
                photos = [(place, photo) for place, photo in chunk if place.photo_id in lacking[number]]
                if not photos:
                    continue
                pixels = np.stack([draw_variant(photo.pixels, place.sha256, number) for place, photo in photos])
                with ends_when_hung(settings.chunk_limit_s):
                    features = backbone.features(pixels)  # (n, h, w, c)
                ids = [place.photo_id for place, _ in photos]
                means[number].update(zip(ids, pooled(features), strict=True))
                shard.photo_ids += ids
                shard.features.append(features)
                if len(shard.photo_ids) >= SHARD:
                    keep_shard(database, blobs, variant_space(network.space, number), shard, store_variants)
                    shards[number] = Shard()
                on_variants(len(ids))
    for number, shard in shards.items():
        if shard.photo_ids:
            keep_shard(database, blobs, variant_space(network.space, number), shard, store_variants)
    return means
