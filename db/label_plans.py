"""Changes of the vocabulary before they are made: checked, and as values that replace others. Nothing is written here."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import ConflictError, NotFoundError
from db.labels import label_named, normalise_name, with_ancestors
from db.schema import Label
from db.session import utc_now

# Of a label's columns: name, parent_id, merged_into_id, retired_at (as text).
Columns = dict[str, Any]
MOST_MERGED = 500


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of labels.

    Attributes:
        kind: as in `db.review_schema.LABEL_CHANGES`.
        label_id: the label that it is about, of a merge the one that stays; None: it is to be made.
        before: columns that are replaced, by the label's id.
        after: what replaces them; of a label that is to be made, by the id 0.
        names: of the labels that are told of, by id.
    """

    kind: str
    label_id: int | None
    before: dict[int, Columns]
    after: dict[int, Columns]
    names: dict[int, str]


def plan_add(session: Session, name: str, parent_id: int | None = None) -> Change:
    """A new label.

    Raises:
        InvalidNameError: the name is empty or too long.
        ConflictError: a label has it, or had it before it was merged or retired; the parent is merged or retired.
        NotFoundError: there is no such parent.
    """
    name = normalise_name(name)
    _require_free(session, name)
    names = {0: name}
    if parent_id is not None:
        names[parent_id] = _offered(session, parent_id).name
    return Change("add", None, {}, {0: {"name": name, "parent_id": parent_id}}, names)


def plan_rename(session: Session, label_id: int, name: str) -> Change:
    """Another name; or the same with other capitals.

    Raises:
        InvalidNameError: the name is empty or too long.
        ConflictError: another label has it, or had it; the label is merged, or is called that already.
        NotFoundError: there is no such label.
    """
    label, name = unmerged(session, label_id), normalise_name(name)
    if name == label.name:
        msg = f"The label is called that already. Type another name. Received: {name!r}"
        raise ConflictError(msg)
    _require_free(session, name, but=label_id)
    return Change("rename", label_id, {label_id: {"name": label.name}}, {label_id: {"name": name}}, {label_id: name})


def plan_parent(session: Session, label_id: int, parent_id: int | None) -> Change:
    """A place under another label, or with None at the top.

    Raises:
        ConflictError: it stands there already, the parent lies below it, or one of the two is merged or retired.
        NotFoundError: there is no such label.
    """
    label = unmerged(session, label_id)
    names = {label_id: label.name}
    if parent_id is not None:
        names[parent_id] = _offered(session, parent_id).name
        if label_id in with_ancestors(session, [parent_id]):
            msg = f"“{names[parent_id]}” is “{label.name}” or lies below it. Choose a parent that does not."
            raise ConflictError(msg)
    if parent_id == label.parent_id:
        msg = f"“{label.name}” stands there already. Choose another parent."
        raise ConflictError(msg)
    if label.parent_id is not None:
        names[label.parent_id] = session.get_one(Label, label.parent_id).name
    before = {label_id: {"parent_id": label.parent_id}}
    return Change("parent", label_id, before, {label_id: {"parent_id": parent_id}}, names)


def plan_merge(session: Session, source_ids: Collection[int], target_id: int) -> Change:
    """Labels that stand for another from now on; what was merged into them and what lies below them goes there as well.

    Raises:
        ConflictError: nothing is to be merged, too much is, a label is merged already, or the target is retired.
        NotFoundError: there is no such label.
    """
    target = _offered(session, target_id)
    source_ids = sorted(set(source_ids) - {target_id})
    if not 0 < len(source_ids) <= MOST_MERGED:
        msg = f"Choose 1 to {MOST_MERGED} labels to merge into “{target.name}”. Received: {len(source_ids)}"
        raise ConflictError(msg)
    sources = [unmerged(session, source_id) for source_id in source_ids]
    before: dict[int, Columns] = {}
    after: dict[int, Columns] = {}

    def replace(label: Label, column: str, value: int | None) -> None:
        before.setdefault(label.id, {})[column] = getattr(label, column)
        after.setdefault(label.id, {})[column] = value

    merged_before = session.scalars(select(Label).where(Label.merged_into_id.in_(source_ids))).all()
    for label in (*sources, *merged_before):
        replace(label, "merged_into_id", target_id)
    if target.parent_id is not None:
        place = _place_above(session, target_id, source_ids)
        if place != target.parent_id:
            replace(target, "parent_id", place)
    left_out = {target_id, *source_ids}
    below = select(Label).where(Label.parent_id.in_(source_ids), Label.id.not_in(left_out))
    for child in session.scalars(below):
        replace(child, "parent_id", target_id)
    names = {label.id: label.name for label in (*sources, target)}
    return Change("merge", target_id, before, after, names)


def plan_retire(session: Session, label_id: int) -> Change:
    """A label that is offered no more; photos keep it.

    Raises:
        ConflictError: it is retired or merged already.
        NotFoundError: there is no such label.
    """
    label = _offered(session, label_id)
    after = {label_id: {"retired_at": utc_now().isoformat()}}
    return Change("retire", label_id, {label_id: {"retired_at": None}}, after, {label_id: label.name})


def plan_restore(session: Session, label_id: int) -> Change:
    """A retired label that is offered again.

    Raises:
        ConflictError: it is not retired, or is merged.
        NotFoundError: there is no such label.
    """
    label = unmerged(session, label_id)
    if label.retired_at is None:
        msg = f"“{label.name}” is not retired: there is nothing to restore."
        raise ConflictError(msg)
    before = {label_id: {"retired_at": value_of(label, "retired_at")}}
    return Change("restore", label_id, before, {label_id: {"retired_at": None}}, {label_id: label.name})


def unmerged(session: Session, label_id: int) -> Label:
    """A label that stands for itself.

    Raises:
        ConflictError: it is merged into another.
        NotFoundError: there is no such label.
    """
    label = session.get(Label, label_id, populate_existing=True)
    if label is None:
        msg = f"There is no label of this id; look at the list of labels again. Received: {label_id}"
        raise NotFoundError(msg)
    if label.merged_into_id is not None:
        target = session.get_one(Label, label.merged_into_id)
        msg = f"“{label.name}” is merged into “{target.name}”. Change that one, or undo the merge first."
        raise ConflictError(msg)
    return label


def value_of(label: Label, column: str) -> Any:
    """A column's value as a change keeps it."""
    value = getattr(label, column)
    return value.isoformat() if isinstance(value, dt.datetime) else value


def require_tree(session: Session, after: Mapping[int, Columns]) -> None:
    """Checks that labels would still stand in a tree of labels that are not merged.

    Raises:
        ConflictError: they would not.
    """
    moved = {label_id: values["parent_id"] for label_id, values in after.items() if values.get("parent_id")}
    rows = with_ancestors(session, {*moved, *moved.values()})
    for label_id, parent_id in moved.items():
        parent = session.get_one(Label, parent_id)
        if after.get(parent_id, {}).get("merged_into_id", parent.merged_into_id) is not None:
            msg = f"“{parent.name}” was merged into another label since. Undo that first."
            raise ConflictError(msg)
        seen: set[int] = set()
        step: int | None = label_id
        while step is not None:
            if step in seen:
                msg = f"“{parent.name}” was put below “{rows[label_id][0]}” since. Undo that first."
                raise ConflictError(msg)
            seen.add(step)
            step = after.get(step, {}).get("parent_id", rows[step][1]) if step in rows else None


def require_free_names(session: Session, after: Mapping[int, Columns]) -> None:
    """Checks that nobody else has the names that labels are to have.

    Raises:
        ConflictError: a label has one.
    """
    for label_id, values in after.items():
        if "name" in values:
            _require_free(session, values["name"], but=label_id)


def _offered(session: Session, label_id: int) -> Label:
    """A label that is neither merged nor retired."""
    label = unmerged(session, label_id)
    if label.retired_at is not None:
        msg = f"“{label.name}” is retired. Restore it first."
        raise ConflictError(msg)
    return label


def _require_free(session: Session, name: str, but: int | None = None) -> None:
    label = label_named(session, name)
    if label is None or label.id == but:
        return
    if label.merged_into_id is not None:
        target = session.get_one(Label, label.merged_into_id)
        msg = (
            f"“{label.name}” was merged into “{target.name}” and its name still finds that label. Use that one, or undo "
            "the merge."
        )
    elif label.retired_at is not None:
        msg = f"There is a retired label “{label.name}”. Restore it, or choose another name."
    else:
        msg = f"There is a label “{label.name}” already. Use that one, merge the two, or choose another name."
    raise ConflictError(msg)


def _place_above(session: Session, target_id: int, source_ids: Sequence[int]) -> int | None:
    """The parent that the target keeps, or that of the topmost source above it, whose place it takes."""
    rows = with_ancestors(session, [target_id])
    place = step = rows[target_id][1]
    for _ in rows:
        if step is None:
            break
        parent = rows[step][1]
        if step in source_ids:
            place = parent
        step = parent
    return place


def as_json(columns: Mapping[int, Columns], names: Mapping[int, str] | None = None) -> dict[str, Any]:
    """Columns by label as a row of `label_changes` has them."""
    found: dict[str, Any] = {"labels": {str(label_id): values for label_id, values in columns.items()}}
    if names is not None:
        found["names"] = {str(label_id): name for label_id, name in names.items()}
    return found


def from_json(value: Mapping[str, Any], part: str = "labels") -> dict[int, Any]:
    """The reverse of `as_json`."""
    return {int(label_id): each for label_id, each in value.get(part, {}).items()}


def ids_with(columns: Mapping[int, Columns], column: str) -> list[int]:
    """The labels of which a column is changed."""
    return sorted(label_id for label_id, values in columns.items() if column in values)


def overlapping(one: Mapping[int, Columns], others: Iterable[tuple[int, Columns]]) -> bool:
    """Whether two changes have a column of a label in common."""
    return any(not one.get(label_id, {}).keys().isdisjoint(values) for label_id, values in others)
