"""Groups of photos that look alike as people see them, with the one that is suggested to be kept. Nothing here deletes."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from db.errors import NotFoundError
from db.near_duplicates import lock_groups
from db.same_files import end_of, may_see, places_of
from db.schema import Camera, Label, Photo, PhotoHash, User
from db.session import utc_now
from db.statements import count_changed

# What one page looks at: 20 ms on SQLite.
LOOKED_AT = 10_000
# Nobody compares more than this by eye.
MOST_PHOTOS = 100

NOT_TOLD_APART = PhotoHash.told_apart_at.is_(None)


@dataclass(frozen=True, slots=True)
class LookAlike:
    """A photo of a group; columns as in `db.schema.Photo`.

    Attributes:
        camera: its name.
        shown: the shown label's name.
        places: how many files of the person are this photo.
    """

    photo_id: int
    name: str
    size_bytes: int
    width: int | None
    height: int | None
    format: str | None
    dated_at: dt.datetime
    taken_at: dt.datetime | None
    camera: str | None
    shown: str | None
    not_sure: bool
    has_previews: bool
    places: int


@dataclass(frozen=True, slots=True)
class Group:
    """Photos that look alike.

    Attributes:
        photos: at most 100; the one that is suggested to be kept is the first.
        size: how many there are.
        reason: why that one, in words.
    """

    group_id: int
    photos: list[LookAlike]
    size: int
    reason: str


class GroupPage(NamedTuple):
    """Groups, and where the next page starts: pass it as `after`; None at the end."""

    groups: list[Group]
    after: int | None


def list_groups(session: Session, user: User, *, after: int | None = None, limit: int = 20) -> GroupPage:
    """A page of groups of which the person may see two photos, those with the newest photo first.

    Photos that a person told apart are left out. A page looks at a bounded part of the library: it may be empty and
    still have a next one.
    """
    some = select(PhotoHash.photo_id, PhotoHash.group_id).where(PhotoHash.group_id.is_not(None), NOT_TOLD_APART)
    if after is not None:
        some = some.where(PhotoHash.photo_id < after)
    looked_at = some.order_by(PhotoHash.photo_id.desc()).limit(LOOKED_AT).subquery()
    this = looked_at.c
    newest = select(this.photo_id, this.group_id).where(
        *may_see(user, this.photo_id), ~_has_another(user, this, newer=True), _has_another(user, this, newer=False)
    )
    found = session.execute(newest.order_by(this.photo_id.desc()).limit(limit)).all()
    next_page = found[-1].photo_id if len(found) == limit else end_of(session, looked_at, LOOKED_AT)
    photos = _group_photos(session, user, [row.group_id for row in found])
    # a group may have lost photos since the first query
    complete = [group_id for _, group_id in found if len(photos.get(group_id, ([], 0))[0]) > 1]
    return GroupPage([_group(group_id, *photos[group_id]) for group_id in complete], next_page)


def tell_apart(session: Session, user: User, photo_ids: Collection[int], *, apart: bool = True) -> int:
    """Takes photos out of their groups, because a person sees that they differ, or puts them back.

    They are shown again when another photo joins the group: it may be a duplicate of one of them.

    Returns:
        How many were changed.

    Raises:
        NotFoundError: one of them is not this person's to see.
    """
    wanted = sorted(set(photo_ids))
    seen = select(func.count()).select_from(Photo).where(Photo.id.in_(wanted), *may_see(user, Photo.id))
    if session.scalars(seen).one() != len(wanted):
        msg = f"Some of these photos do not exist or are not yours; reload the page. Received: {wanted[:20]}"
        raise NotFoundError(msg)
    lock_groups(session)
    other_way = NOT_TOLD_APART if apart else ~NOT_TOLD_APART
    change = update(PhotoHash).where(PhotoHash.photo_id.in_(wanted), PhotoHash.group_id.is_not(None), other_way)
    return count_changed(session, change.values(told_apart_at=utc_now() if apart else None))


def _has_another(user: User, this: Any, *, newer: bool) -> ColumnElement[bool]:
    other = aliased(PhotoHash)
    beyond = other.photo_id > this.photo_id if newer else other.photo_id < this.photo_id
    same_group = other.group_id == this.group_id, beyond, other.told_apart_at.is_(None)
    return exists().where(*same_group, *may_see(user, other.photo_id))


def _group_photos(session: Session, user: User, group_ids: Sequence[int]) -> dict[int, tuple[list[LookAlike], int]]:
    """The photos of each group that the person may see, and how many there are."""
    members = (
        select(
            PhotoHash.group_id,
            PhotoHash.photo_id,
            func.row_number().over(partition_by=PhotoHash.group_id, order_by=PhotoHash.photo_id).label("number"),
            func.count().over(partition_by=PhotoHash.group_id).label("size"),
        )
        .where(PhotoHash.group_id.in_(group_ids), NOT_TOLD_APART, *may_see(user, PhotoHash.photo_id))
        .subquery()
    )
    query = (
        select(
            members.c.group_id,
            members.c.size,
            Photo.id.label("photo_id"),
            Photo.name,
            Photo.size_bytes,
            Photo.width,
            Photo.height,
            Photo.format,
            Photo.dated_at,
            Photo.taken_at,
            Camera.name.label("camera"),
            Label.name.label("shown"),
            (Photo.not_sure & (Photo.shown_origin != "person")).label("not_sure"),
            Photo.has_previews,
            places_of(user, Photo.id).label("places"),
        )
        .join(Photo, Photo.id == members.c.photo_id)
        .outerjoin(Camera, Camera.id == Photo.camera_id)
        .outerjoin(Label, Label.id == Photo.shown_label_id)
        .where(members.c.number <= MOST_PHOTOS)
        .order_by(Photo.id)
    )
    found: dict[int, tuple[list[LookAlike], int]] = {}
    for row in session.execute(query).mappings() if group_ids else ():
        columns = dict(row)
        group_id, size = columns.pop("group_id"), columns.pop("size")
        found.setdefault(group_id, ([], size))[0].append(LookAlike(**columns))
    return found


def _group(group_id: int, photos: list[LookAlike], size: int) -> Group:
    best_first = sorted(photos, key=_worth)
    return Group(group_id, best_first, size, _reason(*best_first[:2]))


def _worth(photo: LookAlike) -> tuple[int, int, bool, int]:
    """Sorts what should be kept to the front: most pixels, largest file, with what the camera wrote, first to come."""
    return (-_pixels(photo), -photo.size_bytes, not _has_camera_facts(photo), photo.photo_id)


def _reason(best: LookAlike, second: LookAlike) -> str:
    if _pixels(best) != _pixels(second):
        return "it has the most pixels"
    if best.size_bytes != second.size_bytes:
        return "no other has more pixels and it is the largest file"
    if _has_camera_facts(best) != _has_camera_facts(second):
        return "the best ones are equal, but it has what the camera wrote"
    return "the best ones are equal, and it came first"


def _pixels(photo: LookAlike) -> int:
    return (photo.width or 0) * (photo.height or 0)


def _has_camera_facts(photo: LookAlike) -> bool:
    return photo.camera is not None or photo.taken_at is not None
