"""Features, kept as shards: one safetensors file per finished chunk, and where each photo's row lies.

A shard never changes, but for rows of deleted photos: they are overwritten with NaN, which no network writes.
"""

import logging
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sqlalchemy import Row, Select, delete, func, insert, select
from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.errors import BlobMissingError, FeaturesMissingError
from db.feature_centres import ensure_centre
from db.feature_codes import NO_CODE, Features, Floats, code_vectors, make_codes
from db.feature_schema import FEATURES, VARIANTS
from db.garbage import SHARD, queue_garbage
from db.schema import FeatureShard, Photo, PhotoFeatures
from db.session import utc_now
from db.statements import insert_missing, table_of

log = logging.getLogger(__name__)

TENSOR = "features"
# Photos asked for at once: SQLite takes no more than 32,766 values.
GROUP = 5000


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A stored file of features that no row refers to yet.

    Attributes:
        vectors: what the rows' codes are made of, (rows, channels); None where the file is only to be read, and of
            variants, which have no codes.
    """

    key: str
    rows: int
    vectors: Floats | None = field(default=None, compare=False, repr=False)

    @property
    def is_of_variants(self) -> bool:
        """Whether changed variants of photos lie in it."""
        return self.key.startswith(f"{VARIANTS}/")


def store_shard(blobs: Blobs, space: str, array: Features) -> ShardFile:
    """Writes features (n, h, w, c) to a file. No transaction should be open: it waits for the disk or the network."""
    return ShardFile(_write(blobs, FEATURES, space, array), len(array), code_vectors(array))


def store_variants(blobs: Blobs, space: str, array: Features) -> ShardFile:
    """Likewise features of changed variants: `space` is of `variant_space`. Nothing looks for photos that look like them."""
    return ShardFile(_write(blobs, VARIANTS, space, array), len(array))


def record_shard(session: Session, space: str, shard: ShardFile, photo_ids: Sequence[int]) -> None:
    """Says which photo each row of the shard belongs to. A photo that has features of this space keeps them.

    Rows of photos that were deleted meanwhile are erased later, as are those that nobody needs.
    """
    is_stored = shard.is_of_variants or (shard.vectors is not None and len(shard.vectors) == shard.rows)
    if not is_stored or len(photo_ids) != shard.rows:
        msg = f"A shard of {shard.rows} rows, just stored, belongs to as many photos. Received: {len(photo_ids)}"
        raise ValueError(msg)
    shards = table_of(FeatureShard)
    new = {"space": space, "key": shard.key, "rows": shard.rows, "created_at": utc_now()}
    shard_id = session.scalars(insert(shards).values(new).returning(shards.c.id)).one()
    codes = [NO_CODE] * shard.rows if shard.vectors is None else _codes(session, space, shard.vectors)
    # one that another transaction is deleting counts as deleted
    present = (
        select(Photo.id).where(Photo.id.in_(photo_ids)).with_for_update(read=True, key_share=True, skip_locked=True)
    )
    known = set(session.scalars(present))
    addresses = [
        {"photo_id": photo_id, "space": space, "shard_id": shard_id, "row": row, "code": code}
        for row, (photo_id, code) in enumerate(zip(photo_ids, codes, strict=True))
        if photo_id in known
    ]
    insert_missing(session, PhotoFeatures, sorted(addresses, key=lambda address: address["photo_id"]))
    recorded = select(func.count()).select_from(PhotoFeatures).where(PhotoFeatures.shard_id == shard_id)
    if session.scalars(recorded).one() < shard.rows:
        queue_garbage(session, SHARD, [shard.key])


def forget_features(session: Session, space: str, photo_ids: Sequence[int]) -> None:
    """Makes room for features that were computed again, because the file that held them is gone or damaged."""
    theirs = PhotoFeatures.space == space, PhotoFeatures.photo_id.in_(photo_ids)
    held = select(PhotoFeatures.shard_id).where(*theirs)
    keys = session.scalars(select(FeatureShard.key).where(FeatureShard.id.in_(held))).all()
    session.execute(delete(table_of(PhotoFeatures)).where(*theirs))
    queue_garbage(session, SHARD, keys)


def read_features(session: Session, blobs: Blobs, space: str, photo_ids: Collection[int]) -> dict[int, Features]:
    """Features (h, w, c) of those photos that have some.

    A file that is gone or damaged counts as none, with a warning: its photos can be computed again. A row that was
    erased since the query belongs to a photo that is gone.
    """
    found: dict[int, Features] = {}
    addresses = feature_addresses(session, space, photo_ids)
    for (key, rows), group in groupby(addresses, key=lambda row: (row.key, row.rows)):
        try:
            array = read_shard(blobs, ShardFile(key, rows))  # (rows, h, w, c)
        except FeaturesMissingError as error:
            log.warning("%s", error)
            continue
        # a view would keep the whole shard in memory
        found.update({row.photo_id: array[row.row].copy() for row in group if not _is_erased(array[row.row])})
    return found


def feature_addresses(session: Session, space: str, photo_ids: Collection[int]) -> list[Row[*tuple[Any, ...]]]:
    """Where features of those photos lie that have some: photo_id, key, rows, row, in the order of shards."""
    ids = sorted(photo_ids)
    query = select(PhotoFeatures.photo_id, FeatureShard.key, FeatureShard.rows, PhotoFeatures.row).join(
        FeatureShard, FeatureShard.id == PhotoFeatures.shard_id
    )
    found: list[Row[*tuple[Any, ...]]] = []
    for start in range(0, len(ids), GROUP):
        group = PhotoFeatures.space == space, PhotoFeatures.photo_id.in_(ids[start : start + GROUP])
        found += session.execute(query.where(*group)).all()
    return sorted(found, key=lambda address: (address.key, address.row))


def beside_addresses(query: Select[*tuple[Any, ...]], space: str) -> Select[*tuple[Any, ...]]:
    """A query of photos with where the features of each in `space` lie: key, rows, row; null where there are none."""
    return (
        query.add_columns(FeatureShard.key, FeatureShard.rows, PhotoFeatures.row)
        .outerjoin(PhotoFeatures, (PhotoFeatures.photo_id == Photo.id) & (PhotoFeatures.space == space))
        .outerjoin(FeatureShard, FeatureShard.id == PhotoFeatures.shard_id)
    )


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


def erase_unreferenced_rows(session: Session, blobs: Blobs, key: str) -> None:
    """Overwrites the rows of a shard that no photo refers to; deletes the shard with its last one.

    The file goes before the row: whoever is killed in between finds both again.
    """
    one = select(FeatureShard.id, FeatureShard.rows).where(FeatureShard.key == key)
    shard = session.execute(one.with_for_update()).one_or_none()
    rows = select(PhotoFeatures.row).join(FeatureShard, FeatureShard.id == PhotoFeatures.shard_id)
    kept = set(session.scalars(rows.where(FeatureShard.key == key)))
    if shard is None or not kept:
        blobs.delete_object(key)
        session.execute(delete(table_of(FeatureShard)).where(FeatureShard.key == key))
        return
    try:
        array = read_shard(blobs, ShardFile(key, shard.rows)).copy()
    except FeaturesMissingError as error:
        log.warning("%s", error)
        return
    gone = [row for row in range(shard.rows) if row not in kept and not _is_erased(array[row])]
    if gone:
        array[gone] = np.nan
        blobs.write_object(key, save({TENSOR: array}))


def _write(blobs: Blobs, folder: str, space: str, array: Features) -> str:
    if array.dtype != np.float16:
        msg = f"Features are rounded to float16 before anything reads them. Received: {array.dtype}"
        raise TypeError(msg)
    key = f"{folder}/{space[:16]}/{uuid.uuid4()}.safetensors"
    blobs.write_object(key, save({TENSOR: np.ascontiguousarray(array)}))
    return key


def _codes(session: Session, space: str, vectors: Floats) -> Sequence[bytes | None]:
    """Of the first few photos of a space none: `db.missing_codes` makes them later."""
    centre = ensure_centre(session, space, vectors)
    return [None] * len(vectors) if centre is None else make_codes(vectors, centre)


def _is_erased(row: Features) -> bool:
    return bool(np.isnan(row.flat[0]))


def _missing(shard: ShardFile, received: str) -> FeaturesMissingError:
    msg = (
        f"The features file {shard.key} should hold {shard.rows} rows of float16. Restore it from a backup, or delete"
        f" its row in feature_shards: its photos are then computed again. Received: {received}"
    )
    return FeaturesMissingError(msg)
