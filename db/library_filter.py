"""What the library is filtered by, and each part of a filter in SQL: as a condition, and as ids that an index finds."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, exists, literal, literal_column, select, true
from sqlalchemy.orm import Session

from db.batches import get_batch
from db.library_order import Sort
from db.merged_labels import standing
from db.names import words_of
from db.schema import Batch, Item, Label, Photo, PhotoWord, User

State = Literal["untagged", "tagged", "refused", "failed"]
SEES_ALL = frozenset({"reviewer", "admin"})
# Sorts behind every character that a word can have.
LAST_CHARACTER = "\U0010ffff"
# The condition of the partial index in its own words.
IS_NOT_TAGGED: ColumnElement[Any] = literal_column("photos.state <> 'tagged'")
NO_ORDER: Mapping[Sort, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LibraryFilter:
    """Which photos of the library are wanted: those that meet every part that is set.

    Attributes:
        label_id: the shown label, or one below it.
        min_score: of the shown label, in [0, 1]; photos without a score are left out.
        max_score: as `min_score`, the other end; both included.
        not_sure: whether the first score is under the version's threshold.
        state: None for any.
        taken_from: first day of `dated_at`.
        taken_to: last day of it, included.
        format: as `PhotoFacts.format`.
        name: each word of it begins a word of the file name; without a word in it, any name.
    """

    label_id: int | None = None
    min_score: float | None = None
    max_score: float | None = None
    not_sure: bool | None = None
    batch_id: str | None = None
    state: State | None = "tagged"
    taken_from: dt.date | None = None
    taken_to: dt.date | None = None
    camera_id: int | None = None
    format: str | None = None
    name: str = ""


class Part(NamedTuple):
    """One condition that photos must meet.

    Attributes:
        holds: of a row of photos.
        ids: the photos that meet it, some more than once, read from an index alone; None where most photos do.
        ordered: indexes that hold these photos in an order of the library.
        covering: an index that finds them with all that is filtered or sorted by, but for names.
        is_near: the photos lie close to each other.
        probe: as `holds`, in words that PostgreSQL checks photo by photo, instead of collecting all that meet it first.
        in_name: of the photos' names alone, and met by all that meet the part.
    """

    holds: ColumnElement[bool]
    ids: Select[Any] | None = None
    ordered: Mapping[Sort, str] = NO_ORDER
    covering: str | None = None
    is_near: bool = False
    probe: ColumnElement[bool] | None = None
    in_name: ColumnElement[bool] | None = None


def parts_of(session: Session, user: User, chosen: LibraryFilter) -> list[Part]:
    """What a photo must meet: each part of the filter, and to be the person's to see.

    They are checked in this order: numbers first, then texts, then what is read elsewhere.

    Raises:
        NotFoundError: the batch does not exist, or is not theirs to see.
    """
    parts = [*_of_facts(chosen)]
    if chosen.label_id is not None:
        labels = label_ids(session, chosen.label_id)
        index = "ix_photos_label_dated"
        parts.append(_part(Photo.shown_label_id.in_(labels), {"date": index} if len(labels) == 1 else {}, index))
    parts += [*_of_ranges(chosen), *_of_state(chosen)]
    if user.role not in SEES_ALL:
        theirs = select(Item.photo_id).where(*in_own_batch(user))
        parts.append(Part(owned_by(user), theirs, is_near=True))
    if chosen.batch_id is not None:
        batch = Item.batch_id == get_batch(session, chosen.batch_id, user).id
        in_batch = select(Item.photo_id).where(batch, Item.photo_id.is_not(None))
        parts.append(Part(exists().where(Item.photo_id == Photo.id, batch), in_batch, is_near=True))
    parts += map(_of_word, words_of(chosen.name))
    return parts


def bounds_of(chosen: LibraryFilter, sort: Sort) -> tuple[Any, Any]:
    """The least and the greatest value that a filter lets through, both included, of what photos are sorted by."""
    if sort == "score":
        scores = (chosen.min_score, chosen.max_score)
        low, high = (None if score is None else float(score) for score in scores)
        return low, high
    if sort != "date":
        return None, None
    first, last = chosen.taken_from, chosen.taken_to
    return (
        None if first is None else dt.datetime.combine(first, dt.time.min),
        None if last is None else dt.datetime.combine(last, dt.time.max),
    )


def owned_by(user: User) -> ColumnElement[bool]:
    """The photo has a place in a batch of theirs."""
    return exists().where(Item.photo_id == Photo.id, *in_own_batch(user))


def not_tagged() -> Part:
    """The photos that wait, that are refused, that have failed."""
    return _part(IS_NOT_TAGGED, covering="ix_photos_not_tagged")


def in_own_batch(user: User) -> tuple[ColumnElement[bool], ...]:
    """The item has a photo, and is of a batch of theirs."""
    theirs = select(Batch.id).where(Batch.owner_id == user.id)
    return Item.batch_id.in_(theirs), Item.photo_id.is_not(None)


def label_ids(session: Session, label_id: int) -> list[int]:
    """The label, or the one that it was merged into, and all below it."""
    first = select(Label.id).where(Label.id == standing(literal(label_id)))
    below = first.cte("below", recursive=True)
    below = below.union(select(Label.id).join(below, Label.parent_id == below.c.id))
    return list(session.scalars(select(below.c.id)))


def _of_word(word: str) -> Part:
    begins = PhotoWord.word.between(word, word + LAST_CHARACTER)
    of_photo = PhotoWord.photo_id == Photo.id
    return Part(
        exists().where(of_photo, begins),
        select(PhotoWord.photo_id).where(begins),
        probe=select(true()).where(of_photo, begins).limit(1).correlate(Photo).scalar_subquery(),
        in_name=Photo.name_key.contains(word, autoescape=True),
    )


def _part(holds: ColumnElement[bool], ordered: Mapping[Sort, str] = NO_ORDER, covering: str | None = None) -> Part:
    ids = select(Photo.id).where(holds)
    if covering:
        ids = ids.with_hint(Photo, f"INDEXED BY {covering}", "sqlite")  # of partial ones it does not think by itself
    return Part(holds, ids, ordered, covering)


def _of_facts(chosen: LibraryFilter) -> Iterator[Part]:
    if chosen.not_sure:
        orders: dict[Sort, str] = {"date": "ix_photos_unsure", "score": "ix_photos_unsure_score"}
        yield _part(literal_column("photos.not_sure"), orders, "ix_photos_unsure")
    elif chosen.not_sure is not None:
        yield Part(literal_column("NOT photos.not_sure"))
    if chosen.camera_id is not None:
        yield _part(Photo.camera_id == chosen.camera_id, {"date": "ix_photos_camera_dated"})
    if chosen.format is not None:
        yield _part(Photo.format == chosen.format, {"date": "ix_photos_format_dated"})


def _of_ranges(chosen: LibraryFilter) -> Iterator[Part]:
    first, last = bounds_of(chosen, "date")
    days = [*([Photo.dated_at >= first] if first else ()), *([Photo.dated_at <= last] if last else ())]
    if days:
        yield _part(and_(*days), covering="ix_photos_dated")
    low, high = bounds_of(chosen, "score")
    scores = [
        *([Photo.shown_score >= low] if low is not None else ()),
        *([Photo.shown_score <= high] if high is not None else ()),
    ]
    if scores:
        yield _part(and_(*scores), covering="ix_photos_score")


def _of_state(chosen: LibraryFilter) -> Iterator[Part]:
    if chosen.state == "tagged":
        yield Part(Photo.state == chosen.state)  # most are
    elif chosen.state is not None:
        few = (Photo.state == chosen.state) & IS_NOT_TAGGED
        yield _part(few, {"date": "ix_photos_not_tagged"}, "ix_photos_not_tagged")
