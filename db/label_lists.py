"""The vocabulary as people read it: the list with its counts, and what is offered while someone types."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, case, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from db.errors import InvalidNameError, NotFoundError
from db.labels import label_named, label_paths, name_key
from db.merged_labels import standing_for
from db.schema import Label, Photo, Review, ReviewAction, User
from db.session import is_sqlite

# A word begins at the beginning of the name, or behind one of these.
BEFORE_WORDS = (" ", "-", "/", "(", "_", ".", ",", "'", "\N{RIGHT SINGLE QUOTATION MARK}", "&", "+")
# So many of a person's latest actions tell what they use.
RECENT_ACTIONS = 50
# So many names are looked at for each label that is offered: some were merged into the same one.
NAMES_PER_LABEL = 4


class PhotoCounts(NamedTuple):
    """How many photos show a label: named by people, said by a model."""

    reviewed: int
    predicted: int


@dataclass(frozen=True, slots=True)
class LabelView:
    """A label that stands for itself.

    Attributes:
        also: names of labels that were merged into it.
        children: how many labels stand directly below it.
    """

    label_id: int
    name: str
    parent_id: int | None
    retired_at: dt.datetime | None
    also: list[str] = field(default_factory=list[str])
    children: int = 0


class Suggestion(NamedTuple):
    """A label that is offered.

    Attributes:
        path: the names from the topmost parent down to it.
        matched: the name of a merged label by which it was found; None: its own.
    """

    label_id: int
    name: str
    path: tuple[str, ...]
    matched: str | None


def list_labels(session: Session, *, search: str | None = None, include_retired: bool = False) -> list[LabelView]:
    """The labels in the order of their names.

    Args:
        session: for queries.
        search: each word of it begins a word of the name, or of a name that was merged; None or empty: all.
        include_retired: also those that are offered no more.
    """
    columns = (Label.id, Label.name, Label.parent_id, Label.merged_into_id, Label.retired_at)
    rows = session.execute(select(*columns).order_by(Label.name_key)).all()
    also: dict[int, list[str]] = defaultdict(list)
    children: dict[int, int] = defaultdict(int)
    for row in rows:
        if row.merged_into_id is not None:
            also[row.merged_into_id].append(row.name)
        elif row.parent_id is not None and (include_retired or row.retired_at is None):
            children[row.parent_id] += 1
    found = _ids_found(session, search)
    return [
        LabelView(row.id, row.name, row.parent_id, row.retired_at, also[row.id], children[row.id])
        for row in rows
        if row.merged_into_id is None
        and (include_retired or row.retired_at is None)
        and (found is None or row.id in found)
    ]


def count_label_photos(session: Session, label_ids: Sequence[int] | None = None) -> dict[int, PhotoCounts]:
    """How many photos show each label, read from two indexes; labels without photos are left out.

    Args:
        session: for queries.
        label_ids: of these only; None: of all.
    """
    wanted = [] if label_ids is None else [Photo.shown_label_id.in_(label_ids)]
    every = (
        select(Photo.shown_label_id, func.count().label("photos"))
        .with_hint(Photo, "INDEXED BY ix_photos_label_dated", "sqlite")
        .where(Photo.shown_label_id.is_not(None), *wanted)
        .group_by(Photo.shown_label_id)
    )
    named = (
        select(Photo.shown_label_id, func.count().label("photos"))
        .with_hint(Photo, "INDEXED BY ix_photos_reviewed", "sqlite")
        .where(Photo.reviewed_at.is_not(None), Photo.review_state == "labelled", *wanted)
        .group_by(Photo.shown_label_id)
    )
    reviewed = {row.shown_label_id: row.photos for row in session.execute(named)}
    return {
        row.shown_label_id: PhotoCounts(
            reviewed.get(row.shown_label_id, 0), row.photos - reviewed.get(row.shown_label_id, 0)
        )
        for row in session.execute(every)
    }


def suggest_labels(session: Session, user: User, typed: str, limit: int = 12) -> list[Suggestion]:
    """Labels that can be given: those whose words begin as what was typed, the likeliest first.

    A name that was merged finds the label that it stands for. Retired labels are left out. With nothing typed, those
    that this person gave last come first.
    """
    key = _key_of(typed)
    if key:
        begins = _begins(Label.name_key, key)
        rank = case((Label.name_key == key, 0), (begins, 1), else_=2)
        rows = _offered(session, [_has_words(session, key)], [rank, Label.name_key], limit)
    else:
        recent = _recent_ids(session, user, limit)
        last = _offered(session, [Label.id.in_(recent)], [], limit)
        rows = sorted(last, key=lambda row: recent.index(row.label_id))
        rows += _offered(session, [], [Label.name_key], limit)
    found: dict[int, tuple[str, str | None]] = {}
    for row in rows:
        found.setdefault(row.label_id, (row.target, row.name if row.name != row.target else None))
    chosen = dict(list(found.items())[:limit])
    paths = label_paths(session, chosen)
    return [Suggestion(label_id, name, paths[label_id], matched) for label_id, (name, matched) in chosen.items()]


def find_label(session: Session, name: str) -> Label:
    """The label of this name, merged and retired ones as well.

    Raises:
        NotFoundError: there is none.
    """
    label = label_named(session, name) if _key_of(name) else None
    if label is None:
        msg = f"There is no label of this name; `phototag labels list` shows them. Received: {name!r}"
        raise NotFoundError(msg)
    return label


def _ids_found(session: Session, search: str | None) -> set[int] | None:
    key = _key_of(search or "")
    if not key:
        return None
    return set(session.scalars(select(standing_for(Label)).where(_has_words(session, key))))


def _offered(
    session: Session, conditions: Sequence[ColumnElement[bool]], order: Sequence[Any], limit: int
) -> list[Row[str, int, str]]:
    """Names in their order with the labels that they stand for; several may stand for the same."""
    may_be = or_(Label.merged_into_id.is_not(None), Label.retired_at.is_(None))
    said = (
        select(Label.name, standing_for(Label).label("label_id"))
        .add_columns(*(column.label(f"place_{number}") for number, column in enumerate(order)))
        .where(may_be, *conditions)
        .order_by(*order)
        .limit(limit * NAMES_PER_LABEL)
        .subquery()
    )
    target = aliased(Label)
    query = (
        select(said.c.name, said.c.label_id, target.name.label("target"))
        .join(target, target.id == said.c.label_id)
        .where(target.retired_at.is_(None))
        .order_by(*(said.c[f"place_{number}"] for number in range(len(order))))
    )
    return list(session.execute(query))


def _has_words(session: Session, key: str) -> ColumnElement[bool]:
    """Each word begins a word of the name. Ten thousand names take some ms, where LIKE takes ten times as long."""
    position = func.instr if is_sqlite(session) else func.strpos
    behind = [[position(Label.name_key, before + word) > 0 for before in BEFORE_WORDS] for word in key.split()]
    return and_(
        *(
            or_(_begins(Label.name_key, word), and_(position(Label.name_key, word) > 1, or_(*places)))
            for word, places in zip(key.split(), behind, strict=True)
        )
    )


def _begins(column: InstrumentedAttribute[str], word: str) -> ColumnElement[bool]:
    return func.substr(column, 1, len(word)) == word


def _key_of(typed: str) -> str:
    try:
        return name_key(typed)
    except InvalidNameError:
        return ""


def _recent_ids(session: Session, user: User, limit: int) -> list[int]:
    """Labels that this person gave last, the latest first; imports are no habit."""
    actions = (
        select(ReviewAction.id)
        .where(ReviewAction.user_id == user.id, ReviewAction.source != "import")
        .order_by(ReviewAction.id.desc())
        .limit(RECENT_ACTIONS)
    )
    standing = standing_for(Label)
    last = func.max(Review.action_id)
    query = (
        select(standing)
        .join(Review, Review.label_id == Label.id)
        .where(Review.action_id.in_(actions.subquery().select()))
        .group_by(standing)
        .order_by(last.desc())
        .limit(limit)
    )
    return list(session.scalars(query))
