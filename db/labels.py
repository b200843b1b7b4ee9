"""The vocabulary: labels under their parents, found again whatever their spelling's case or Unicode form."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import InvalidNameError, NotFoundError
from db.schema import Label
from db.session import utc_now
from db.statements import insert_missing

MAX_NAME = 200
# SQLite takes 32,766 parameters in a statement.
LOOKUP_GROUP = 10_000

T = TypeVar("T")


def normalise_name(name: str) -> str:
    """The name as it is stored: NFC, without control characters, outer or doubled spaces.

    Raises:
        InvalidNameError: nothing is left, or more than 200 characters are.
    """
    visible = "".join(" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in unicodedata.normalize("NFC", name))
    collapsed = " ".join(visible.split())
    if not collapsed or len(collapsed) > MAX_NAME:
        msg = f"A label's name must have 1 to {MAX_NAME} characters. Choose another. Received: {name[:50]!r}"
        raise InvalidNameError(msg)
    return collapsed


def name_key(name: str) -> str:
    """What two spellings of one name have in common; unique in the table."""
    # folding may take the text out of NFC, and may make it longer (one letter becomes three at most)
    return unicodedata.normalize("NFC", normalise_name(name).casefold())[:MAX_NAME]


def ensure_labels(session: Session, paths: Sequence[Sequence[str]]) -> list[int]:
    """Ids of the last names of `paths`, in order; what is missing is made.

    Each path is written parent first: ("animal", "dog", "golden retriever"). A label that exists keeps the parent it
    has: where a person has put it counts more than where a list would.
    """
    ids: dict[str, int] = {}
    for depth in range(max(map(len, paths), default=0)):
        level = [path[: depth + 1] for path in paths if len(path) > depth]
        _ensure_level(session, level, ids)
    return [ids[name_key(path[-1])] for path in paths]


def ids_of_names(session: Session, names: Collection[str]) -> dict[str, int]:
    """The id of the label of each name, however it is spelt; names that were merged find their own label.

    Raises:
        NotFoundError: there is no label of some name.
        InvalidNameError: a name is empty or too long.
    """
    keys = {name: name_key(name) for name in names}
    ids = _ids_of(session, set(keys.values()))
    missing = [name for name, key in keys.items() if key not in ids]
    if missing:
        msg = f"There is no label “{missing[0]}”. Add it first, or choose one of the list. Received: {missing[:5]!r}"
        raise NotFoundError(msg)
    return {name: ids[key] for name, key in keys.items()}


def label_named(session: Session, name: str) -> Label | None:
    """The label of this name, merged and retired ones as well.

    Raises:
        InvalidNameError: the name is empty or too long.
    """
    return session.scalars(select(Label).where(Label.name_key == name_key(name))).one_or_none()


def standing_id(session: Session, label: int | str) -> int:
    """The id of the label that this id or name stands for: itself, unless it was merged.

    Raises:
        NotFoundError: there is no such label.
        InvalidNameError: the name is empty or too long.
    """
    found = label_named(session, label) if isinstance(label, str) else session.get(Label, label)
    if found is None:
        msg = f"There is no such label. Take a name or an id of the list of labels. Received: {label!r}"
        raise NotFoundError(msg)
    return found.merged_into_id or found.id


def label_paths(session: Session, ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The names from the topmost parent down to each label. Unknown ids are left out."""
    rows = with_ancestors(session, ids)
    return {label_id: _path(label_id, rows) for label_id in ids if label_id in rows}


def with_ancestors(session: Session, ids: Collection[int]) -> dict[int, tuple[str, int | None]]:
    """Name and parent's id of each label and of all labels above it, by id. A query for each level."""
    rows: dict[int, tuple[str, int | None]] = {}
    wanted = set(ids)
    while wanted:
        found = _names_and_parents(session, wanted)
        rows.update(found)
        wanted = {parent for _, parent in found.values() if parent is not None} - rows.keys()
    return rows


def _ensure_level(session: Session, paths: Iterable[Sequence[str]], ids: dict[str, int]) -> None:
    missing = {name_key(path[-1]): path for path in paths if name_key(path[-1]) not in ids}
    ids.update(_ids_of(session, missing))
    parents = {ids[name_key(path[-2])] for path in missing.values() if len(path) > 1}
    standing = _standing(session, parents)
    now = utc_now()
    new = [
        {
            "name": normalise_name(path[-1]),
            "name_key": key,
            "parent_id": standing[ids[name_key(path[-2])]] if len(path) > 1 else None,
            "created_at": now,
        }
        for key, path in sorted(missing.items())
        if key not in ids
    ]
    insert_missing(session, Label, new)
    ids.update(_ids_of(session, missing))


def _ids_of(session: Session, keys: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for group in _groups(list(keys)):
        query = select(Label.name_key, Label.id).where(Label.name_key.in_(group))
        found.update({row.name_key: row.id for row in session.execute(query)})
    return found


def _standing(session: Session, ids: Collection[int]) -> dict[int, int]:
    """The label that each stands for: nothing is put below one that was merged."""
    found: dict[int, int] = {}
    for group in _groups(list(ids)):
        query = select(Label.id, Label.merged_into_id).where(Label.id.in_(group))
        found.update({row.id: row.merged_into_id or row.id for row in session.execute(query)})
    return found


def _names_and_parents(session: Session, ids: Collection[int]) -> dict[int, tuple[str, int | None]]:
    found: dict[int, tuple[str, int | None]] = {}
    for group in _groups(list(ids)):
        query = select(Label.id, Label.name, Label.parent_id).where(Label.id.in_(group))
        found.update({row.id: (row.name, row.parent_id) for row in session.execute(query)})
    return found


def _path(label_id: int, rows: dict[int, tuple[str, int | None]]) -> tuple[str, ...]:
    names: list[str] = []
    seen: set[int] = set()
    step: int | None = label_id
    while step is not None and step in rows and step not in seen:
        seen.add(step)
        name, step = rows[step]
        names.append(name)
    return tuple(reversed(names))


def _groups(values: list[T]) -> Iterable[list[T]]:
    return (values[start : start + LOOKUP_GROUP] for start in range(0, len(values), LOOKUP_GROUP))
