"""Snapshots: which photo had which label, and in which subset, when a model was trained. Frozen; equal ones are one."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from db.features import beside_addresses
from db.labels import label_paths
from db.merged_labels import standing_for
from db.schema import Label, Photo, PhotoFeatures, PhotoHash, PhotoSubset, Snapshot, SnapshotPhoto
from db.session import utc_now
from db.statements import insert_missing, table_of

GROUP = 5000
USED = ("training", "holdout")


class SnapshotEntry(NamedTuple):
    """A photo of a snapshot.

    Attributes:
        subset: training or holdout.
    """

    photo_id: int
    sha256: str
    label_id: int
    subset: str


def labelled_now(session: Session, space: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Photos whose label counts: photo_id, sha256, label_id, subset, group_id, key, rows, row, in the order of shards.

    A merged label stands for its target; photos of retired labels are left out. Without features in `space`, key, rows
    and row are null. group_id is shared by near-duplicates, and null for photos that are alone.
    """
    said, target = table_of(Label).alias("said").c, table_of(Label).alias("target").c
    query = (
        select(
            Photo.id.label("photo_id"),
            Photo.sha256,
            target.id.label("label_id"),
            PhotoSubset.subset,
            PhotoHash.group_id,
        )
        .join(said.id.table, said.id == Photo.shown_label_id)
        .join(target.id.table, target.id == standing_for(said))
        .outerjoin(PhotoSubset, PhotoSubset.photo_id == Photo.id)
        .outerjoin(PhotoHash, PhotoHash.photo_id == Photo.id)
        .where(Photo.reviewed_at.is_not(None), Photo.review_state == "labelled", target.retired_at.is_(None))
    )
    ordered = beside_addresses(query, space).order_by(PhotoFeatures.shard_id, PhotoFeatures.row, Photo.id)
    return session.execute(ordered).all()


def snapshot_photos(session: Session, snapshot_id: int, space: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """The photos of a snapshot as they were labelled then, in the order of their hashes; columns as `labelled_now` has.

    Photos that were deleted since are left out. key, rows and row are of `space`.
    """
    query = (
        select(
            Photo.id.label("photo_id"),
            Photo.sha256,
            SnapshotPhoto.label_id,
            SnapshotPhoto.subset,
            PhotoHash.group_id,
        )
        .join(SnapshotPhoto, SnapshotPhoto.photo_id == Photo.id)
        .outerjoin(PhotoHash, PhotoHash.photo_id == Photo.id)
        .where(SnapshotPhoto.snapshot_id == snapshot_id)
        .order_by(Photo.sha256)
    )
    return session.execute(beside_addresses(query, space)).all()


def freeze_snapshot(session: Session, entries: Sequence[SnapshotEntry]) -> Snapshot:
    """The snapshot of these photos; one of the same content is found again. Photos that are gone are left out."""
    present = set(_present(session, [entry.photo_id for entry in entries]))
    entries = [entry for entry in entries if entry.photo_id in present]
    digest = snapshot_digest(session, entries)
    row = {"digest": digest, "photos": len(entries), "created_at": utc_now()}
    insert_missing(session, Snapshot, [row])
    snapshot = session.scalars(select(Snapshot).where(Snapshot.digest == digest)).one()
    for start in range(0, len(entries), GROUP):
        # a photo that was deleted and came again has another id
        insert_missing(session, SnapshotPhoto, _rows(snapshot.id, entries[start : start + GROUP]))
    return snapshot


def snapshot_digest(session: Session, entries: Iterable[SnapshotEntry]) -> str:
    """SHA-256 over the sorted photos, each as a JSON line of its hash, its label's names and its subset."""
    entries = list(entries)
    paths = label_paths(session, {entry.label_id for entry in entries})
    lines = (json.dumps([entry.sha256, paths[entry.label_id], entry.subset]) for entry in entries)
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()


def snapshot_entries(session: Session, snapshot_id: int) -> list[SnapshotEntry]:
    """The photos of a snapshot, but for those that were deleted since, by id."""
    query = (
        select(SnapshotPhoto.photo_id, Photo.sha256, SnapshotPhoto.label_id, SnapshotPhoto.subset)
        .join(Photo, Photo.id == SnapshotPhoto.photo_id)
        .where(SnapshotPhoto.snapshot_id == snapshot_id)
        .order_by(SnapshotPhoto.photo_id)
    )
    return [SnapshotEntry(*row) for row in session.execute(query)]


def _present(session: Session, photo_ids: Sequence[int]) -> Iterable[int]:
    """Those that exist, until the transaction ends."""
    ids = sorted(photo_ids)
    for start in range(0, len(ids), GROUP):  # in the order in which others lock them
        group = select(Photo.id).where(Photo.id.in_(ids[start : start + GROUP])).order_by(Photo.id)
        yield from session.scalars(group.with_for_update(read=True, key_share=True, skip_locked=True))


def _rows(snapshot_id: int, entries: Sequence[SnapshotEntry]) -> list[dict[str, Any]]:
    return [
        {"snapshot_id": snapshot_id, "photo_id": one.photo_id, "label_id": one.label_id, "subset": one.subset}
        for one in sorted(entries)
    ]
