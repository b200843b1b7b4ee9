"""Features, kept as immutable shards: one safetensors file per finished chunk, and where each photo's row lies."""

import logging
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.errors import BlobMissingError, FeaturesMissingError
from db.schema import FeatureShard, PhotoFeatures
from db.session import utc_now
from db.statements import insert_missing, table_of

log = logging.getLogger(__name__)

TENSOR = "features"

Features = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A stored file of features that no row refers to yet."""

    key: str
    rows: int


def store_shard(blobs: Blobs, space: str, array: Features) -> ShardFile:
    """Writes features (n, h, w, c) to a file. No transaction should be open: it waits for the disk or the network."""
    if array.dtype != np.float16:
        msg = f"Features are rounded to float16 before anything reads them. Received: {array.dtype}"
        raise TypeError(msg)
    key = f"features/{space[:16]}/{uuid.uuid4()}.safetensors"
    blobs.write_object(key, save({TENSOR: np.ascontiguousarray(array)}))
    return ShardFile(key, len(array))


def record_shard(session: Session, space: str, shard: ShardFile, photo_ids: Sequence[int]) -> None:
    """Says which photo each row of the shard belongs to. A photo that has features of this space keeps them."""
    if len(photo_ids) != shard.rows:
        msg = f"A shard of {shard.rows} rows belongs to as many photos. Received: {len(photo_ids)}"
        raise ValueError(msg)
    shards = table_of(FeatureShard)
    new = {"space": space, "key": shard.key, "rows": shard.rows, "created_at": utc_now()}
    shard_id = session.scalars(insert(shards).values(new).returning(shards.c.id)).one()
    addresses = [
        {"photo_id": photo_id, "space": space, "shard_id": shard_id, "row": row}
        for row, photo_id in enumerate(photo_ids)
    ]
    insert_missing(session, PhotoFeatures, sorted(addresses, key=lambda address: address["photo_id"]))


def read_features(session: Session, blobs: Blobs, space: str, photo_ids: Collection[int]) -> dict[int, Features]:
    """Features (h, w, c) of those photos that have some.

    A file that is gone or damaged counts as none, with a warning: its photos can be computed again.
    """
    query = (
        select(PhotoFeatures.photo_id, PhotoFeatures.row, FeatureShard.key, FeatureShard.rows)
        .join(FeatureShard, FeatureShard.id == PhotoFeatures.shard_id)
        .where(PhotoFeatures.space == space, PhotoFeatures.photo_id.in_(photo_ids))
        .order_by(PhotoFeatures.shard_id)
    )
    found: dict[int, Features] = {}
    for (key, rows), group in groupby(session.execute(query), key=lambda row: (row.key, row.rows)):
        try:
            array = read_shard(blobs, ShardFile(key, rows))  # (rows, h, w, c)
        except FeaturesMissingError as error:
            log.warning("%s", error)
            continue
        # a view would keep the whole shard in memory
        found.update({row.photo_id: array[row.row].copy() for row in group})
    return found


def read_shard(blobs: Blobs, shard: ShardFile) -> Features:
    """All rows of a shard.

    Raises:
        FeaturesMissingError: the file is gone, damaged, or not what its row says.
    """
    try:
        array = load(blobs.read_object(shard.key)).get(TENSOR)
    except (BlobMissingError, SafetensorError) as error:
        raise _missing(shard, str(error)) from error
    if array is None or array.dtype != np.float16 or len(array) != shard.rows:
        raise _missing(shard, "another content" if array is None else f"{array.dtype}, {array.shape}")
    return array


def _missing(shard: ShardFile, received: str) -> FeaturesMissingError:
    msg = (
        f"The features file {shard.key} should hold {shard.rows} rows of float16. Restore it from a backup, or delete"
        f" its row in feature_shards: its photos are then computed again. Received: {received}"
    )
    return FeaturesMissingError(msg)
