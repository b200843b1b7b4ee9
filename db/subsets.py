"""Which labelled photos may be trained on and which are held out: decided once for each, and never changed.

What decides is in `training.holdout`; here is what it is told, and where its answer is kept.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from db.features import beside_addresses
from db.schema import FeatureShard, Photo, PhotoFeatures, PhotoHash, PhotoSubset, Review
from db.session import utc_now
from db.shown import LABELLED
from db.statements import insert_missing

GROUP = 5000


def labelled_ever(session: Session, space: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Photos that a person ever gave a label, the first labelled first; of one action in the order of their hashes.

    Columns: photo_id, sha256, phash, group_id, subset, key, rows, row.

    Also those whose label was taken back: what was decided of them holds for photos that look like them. A photo whose
    label is given anew is where it was. Without features in `space`, key, rows and row are null; group_id is shared by
    near-duplicates, and null for photos that are alone.
    """
    query = (
        select(
            Photo.id.label("photo_id"),
            Photo.sha256,
            PhotoHash.phash,
            PhotoHash.group_id,
            PhotoSubset.subset,
        )
        .select_from(Review)
        .join(Photo, Photo.id == Review.photo_id)
        .outerjoin(PhotoSubset, PhotoSubset.photo_id == Photo.id)
        .outerjoin(PhotoHash, PhotoHash.photo_id == Photo.id)
        .where(Review.verdict.in_(LABELLED))
        .group_by(
            *(Photo.id, Photo.sha256, PhotoHash.phash, PhotoHash.group_id, PhotoSubset.subset),
            *(FeatureShard.key, FeatureShard.rows, PhotoFeatures.row),
        )
        .order_by(func.min(Review.action_id), Photo.sha256)
    )
    return session.execute(beside_addresses(query, space)).all()


def record_subsets(session: Session, subsets: Mapping[int, str]) -> None:
    """Keeps what was decided of photos. What was decided before stays; photos that are gone are left out."""
    now = utc_now()
    ids = sorted(subsets)
    for start in range(0, len(ids), GROUP):
        present = _held(session, ids[start : start + GROUP])
        rows = [{"photo_id": photo_id, "subset": subsets[photo_id], "decided_at": now} for photo_id in present]
        insert_missing(session, PhotoSubset, rows)


def subsets_of(session: Session, photo_ids: Collection[int]) -> dict[int, str]:
    """What was decided of these photos (some thousands at most), as far as it was."""
    query = select(PhotoSubset.photo_id, PhotoSubset.subset).where(PhotoSubset.photo_id.in_(photo_ids))
    return {row.photo_id: row.subset for row in session.execute(query)}


def _held(session: Session, photo_ids: Sequence[int]) -> list[int]:
    """Those that exist, until the transaction ends; one that is being deleted counts as deleted."""
    present = select(Photo.id).where(Photo.id.in_(photo_ids)).order_by(Photo.id)
    return list(session.scalars(present.with_for_update(read=True, key_share=True, skip_locked=True)))
