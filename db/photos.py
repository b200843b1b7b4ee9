"""Photos that are accepted: one row for each content, with the name it is found by."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.names import file_name, file_name_key, words_of
from db.schema import Item, Photo, PhotoWord
from db.session import is_sqlite, utc_now
from db.statements import count_changed, insert_missing

HELD_AT_ONCE = 2000
# Hexadecimal digits of a photo's hash that say when it is drawn: 28 bits, which every database's integer takes.
DRAW_DIGITS = 7


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A content that is accepted at a path."""

    sha256: str
    size_bytes: int
    path: str


def ensure_photos(session: Session, photos: Sequence[NewPhoto]) -> dict[str, int]:
    """Ids by SHA-256; what is missing is made. A photo that exists keeps the name of its first place.

    Until this transaction ends none of them is deleted, so that they can be given items.
    """
    first: dict[str, NewPhoto] = {}
    for photo in photos:
        first.setdefault(photo.sha256, photo)
    known = _held_ids(session, list(first))
    while new := {sha256: first[sha256] for sha256 in sorted(first.keys() - known.keys())}:
        known |= _insert(session, new)  # again only if one that was there is deleted between two statements
    return known


def hold_photos(session: Session, photo_ids: Collection[int]) -> list[int]:
    """Those of the photos that exist, by id; until this transaction ends none of them is deleted."""
    ordered = sorted(set(photo_ids))
    held: list[int] = []
    for start in range(0, len(ordered), HELD_AT_ONCE):
        some = select(Photo.id).where(Photo.id.in_(ordered[start : start + HELD_AT_ONCE])).order_by(Photo.id)
        held += session.scalars(some.with_for_update(read=True, key_share=True))
    return held


def mark_not_tagged(session: Session, item_ids: Collection[int], state: str) -> None:
    """Says of photos whose items have just ended how they did: "refused" or "failed". A tagged one stays tagged."""
    changed = (
        Photo.state != "tagged",
        Photo.state != state,
        Photo.id.in_(select(Item.photo_id).where(Item.id.in_(item_ids))),
    )
    if not is_sqlite(
        session
    ):  # in the order of the ids: two that change overlapping groups must not wait for each other
        session.execute(select(Photo.id).where(*changed).order_by(Photo.id).with_for_update(key_share=True)).all()
    count_changed(session, update(Photo).where(*changed).values(state=state))


def _insert(session: Session, new: Mapping[str, NewPhoto]) -> dict[str, int]:
    now = utc_now()
    names = {sha256: file_name(photo.path) for sha256, photo in new.items()}
    rows = [
        {
            "sha256": sha256,
            "size_bytes": photo.size_bytes,
            "created_at": now,
            "name": names[sha256],
            "name_key": file_name_key(names[sha256]),
            "dated_at": now.replace(tzinfo=None),
            "draw": int(sha256[:DRAW_DIGITS], 16),
        }
        for sha256, photo in new.items()
    ]
    insert_missing(session, Photo, rows)
    ids = _held_ids(session, list(new))
    words = [(word, ids[sha256]) for sha256, name in names.items() if sha256 in ids for word in words_of(name)]
    insert_missing(session, PhotoWord, [{"word": word, "photo_id": photo_id} for word, photo_id in sorted(words)])
    return ids


def _held_ids(session: Session, hashes: Sequence[str]) -> dict[str, int]:
    query = select(Photo.sha256, Photo.id).where(Photo.sha256.in_(hashes)).order_by(Photo.id)
    held = query.with_for_update(read=True, key_share=True)
    return {row.sha256: row.id for row in session.execute(held)}
