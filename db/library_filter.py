"""What the library is filtered by, and the conditions that say so in SQL."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from db.batches import get_batch
from db.names import words_of
from db.schema import Batch, Item, Label, Photo, PhotoWord, User

State = Literal["untagged", "tagged", "refused", "failed"]
SEES_ALL = frozenset({"reviewer", "admin"})
# Sorts behind every character that a word can have.
LAST_CHARACTER = "\U0010ffff"


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


def conditions(session: Session, user: User, chosen: LibraryFilter) -> list[ColumnElement[bool]]:
    """What a photo must meet: to be the person's to see, and each part of the filter.

    Raises:
        NotFoundError: the batch does not exist, or is not theirs to see.
    """
    parts = [*_facts(chosen), *_days(chosen)]
    if user.role not in SEES_ALL:
        parts.append(owned_by(user))
    if chosen.batch_id is not None:
        batch = get_batch(session, chosen.batch_id, user)
        parts.append(exists().where(Item.photo_id == Photo.id, Item.batch_id == batch.id))
    if chosen.label_id is not None:
        parts.append(Photo.shown_label_id.in_(label_ids(session, chosen.label_id)))
    parts += [exists().where(PhotoWord.photo_id == Photo.id, begins(word)) for word in words_of(chosen.name)]
    return parts


def owned_by(user: User) -> ColumnElement[bool]:
    """The photo has a place in a batch of theirs."""
    mine = Item.photo_id == Photo.id, Batch.id == Item.batch_id, Batch.owner_id == user.id
    return exists().where(*mine)


def label_ids(session: Session, label_id: int) -> list[int]:
    """The label and all below it."""
    below = select(Label.id).where(Label.id == label_id).cte("below", recursive=True)
    below = below.union(select(Label.id).join(below, Label.parent_id == below.c.id))
    return list(session.scalars(select(below.c.id)))


def begins(word: str) -> ColumnElement[bool]:
    """A row of `photo_words` whose word begins so: a range of its key."""
    return PhotoWord.word.between(word, word + LAST_CHARACTER)


def _facts(chosen: LibraryFilter) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = []
    if chosen.state is not None:
        parts.append(Photo.state == chosen.state)
    if chosen.camera_id is not None:
        parts.append(Photo.camera_id == chosen.camera_id)
    if chosen.format is not None:
        parts.append(Photo.format == chosen.format)
    if chosen.not_sure is not None:
        parts.append(Photo.not_sure.is_(chosen.not_sure))
    if chosen.min_score is not None:
        parts.append(Photo.shown_score >= chosen.min_score)
    if chosen.max_score is not None:
        parts.append(Photo.shown_score <= chosen.max_score)
    return parts


def _days(chosen: LibraryFilter) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = []
    if chosen.taken_from is not None:
        parts.append(Photo.dated_at >= dt.datetime.combine(chosen.taken_from, dt.time.min))
    if chosen.taken_to is not None:
        parts.append(Photo.dated_at <= dt.datetime.combine(chosen.taken_to, dt.time.max))
    return parts
