"""The vocabulary changed by people, each change with its undo. Photos follow in the same transaction."""

import datetime as dt
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import exists, select, text, update
from sqlalchemy.orm import Session, aliased

from db.audit import record_audit
from db.errors import ConflictError, NotAllowedError, NotFoundError
from db.label_history import words_of_change
from db.label_photos import show_again, show_target
from db.label_plans import (
    Change,
    as_json,
    from_json,
    ids_with,
    overlapping,
    plan_add,
    plan_merge,
    plan_parent,
    plan_rename,
    plan_restore,
    plan_retire,
    require_free_names,
    require_tree,
    value_of,
)
from db.labels import name_key
from db.library_filter import SEES_ALL
from db.review_schema import LabelChange
from db.schema import Label, ModelVersionLabel, Review, User
from db.session import is_sqlite, utc_now
from db.statements import count_changed, insert_on


class Changed(NamedTuple):
    """A change that was made.

    Attributes:
        label_id: the label that it is about, of a merge the one that stays.
        photos: that show another label than before.
    """

    change_id: int
    label_id: int
    photos: int = 0


def add_label(session: Session, user: User, name: str, parent_id: int | None = None) -> Changed:
    """Adds a label. Raises what `plan_add` raises, and NotAllowedError for who is no reviewer; so do the others here."""
    _begin(session, user)
    return _apply(session, user, plan_add(session, name, parent_id))


def rename_label(session: Session, user: User, label_id: int, name: str) -> Changed:
    """Renames a label. Its photos are as they were: they refer to it."""
    _begin(session, user)
    return _apply(session, user, plan_rename(session, label_id, name))


def set_parent(session: Session, user: User, label_id: int, parent_id: int | None) -> Changed:
    """Puts a label under another, or with None at the top."""
    _begin(session, user)
    return _apply(session, user, plan_parent(session, label_id, parent_id))


def merge_labels(session: Session, user: User, source_ids: Collection[int], target_id: int) -> Changed:
    """Makes labels stand for another: photos that show one of them show the target, verdicts and predictions stay.

    While it lasts nothing else is written of photos, which is what makes it exact. 200,000 of a million photos take 15 s
    on SQLite and 50 s on PostgreSQL (2 cores): each photo's entries in a dozen indexes are written again. On PostgreSQL
    others give up after 10 s and try again later.
    """
    _begin(session, user, photos=True)
    return _apply(session, user, plan_merge(session, source_ids, target_id))


def retire_label(session: Session, user: User, label_id: int) -> Changed:
    """Offers a label no more. Photos that show it keep it."""
    _begin(session, user)
    return _apply(session, user, plan_retire(session, label_id))


def restore_label(session: Session, user: User, label_id: int) -> Changed:
    """Offers a retired label again."""
    _begin(session, user)
    return _apply(session, user, plan_restore(session, label_id))


def undo_change(session: Session, user: User, change_id: int) -> Changed:
    """Takes a change back: labels are as they were before it. An added label is retired: none is ever deleted.

    Of a merge, photos show again what the verdict that counts, or the model's first label, says; what was said since
    stays.

    Raises:
        NotAllowedError: it is another person's, and this one is no admin; or is no reviewer.
        NotFoundError: there is no such change.
        ConflictError: it is an undo, was undone, or something came after it that has to be undone first.
    """
    _begin(session, user, photos=_is_merge(session, change_id))
    return _apply(session, user, plan_undo(session, user, change_id), undoes_id=change_id)


def plan_undo(session: Session, user: User, change_id: int) -> Change:
    """What `undo_change` would do. Raises what it raises."""
    row = session.get(LabelChange, change_id, populate_existing=True)
    if row is None:
        msg = f"There is no change of this number; look at the history again. Received: {change_id}"
        raise NotFoundError(msg)
    if row.user_id != user.id and user.role != "admin":
        raise NotAllowedError("Another person made this change. Ask them, or an admin, to undo it.")
    if row.kind == "undo" or session.scalar(select(exists().where(LabelChange.undoes_id == change_id))):
        raise ConflictError("This was undone already, or is an undo itself. Make the change again instead.")
    before, after = from_json(row.before), from_json(row.after)
    names = from_json(row.after, "names")
    _require_last(session, change_id, after)
    if row.kind == "add":
        _require_unused(session, row.label_id, names.get(row.label_id, ""))
        retired = {row.label_id: {"retired_at": utc_now().isoformat()}}
        return Change("undo", row.label_id, {row.label_id: {"retired_at": None}}, retired, names)
    require_free_names(session, before)
    require_tree(session, before)
    return Change("undo", row.label_id, after, before, names)


def _begin(session: Session, user: User, *, photos: bool = False) -> None:
    """Only one person changes the vocabulary at a time, and no label comes meanwhile.

    Who writes what photos show reads in the same statement what a merged label stands for. A merge keeps them all away
    and waits until those are done who are at it: so none of them writes what stood before. Tables are locked in the
    order labels, photos; who changes photos has no lock of labels that this waits for.
    """
    if user.role not in SEES_ALL:
        msg = f"Only reviewers and admins change labels; ask an admin for that role. Received: the role {user.role!r}"
        raise NotAllowedError(msg)
    if is_sqlite(session):
        return
    session.execute(text("LOCK TABLE labels IN SHARE ROW EXCLUSIVE MODE"))
    if photos:
        session.execute(text("LOCK TABLE photos IN EXCLUSIVE MODE"))


def _apply(session: Session, user: User, change: Change, undoes_id: int | None = None) -> Changed:
    label_id = change.label_id
    if label_id is None:
        values = change.after.pop(0)
        label_id = _insert(session, values)
        change.after[label_id] = {**values, "merged_into_id": None, "retired_at": None}
        change.names[label_id] = change.names.pop(0)
    else:
        for each, values in change.after.items():
            _update(session, each, values)
    row = LabelChange(
        kind=change.kind,
        label_id=label_id,
        before=as_json(change.before),
        after=as_json(change.after, change.names),
        user_id=user.id,
        at=utc_now(),
        undoes_id=undoes_id,
    )
    session.add(row)
    session.flush()
    undone = row if undoes_id is None else session.get_one(LabelChange, undoes_id)
    what = {"change": row.id, "what": words_of_change(undone)}
    record_audit(session, user, f"labels.{change.kind}", change.names[label_id], what)
    return Changed(row.id, label_id, _follow(session, change))


def _follow(session: Session, change: Change) -> int:
    """Lets photos show what merged labels stand for now; returns how many others they show."""
    merged = ids_with(change.after, "merged_into_id")
    if not merged or change.label_id is None:
        return 0
    if change.kind == "merge":
        return show_target(session, merged, change.label_id)
    return show_again(session, change.label_id)


def _insert(session: Session, values: dict[str, Any]) -> int:
    row = {**values, "name_key": name_key(values["name"]), "created_at": utc_now()}
    added = insert_on(Label, sqlite=is_sqlite(session)).values(row).returning(Label.id)
    return session.scalars(added).one()


def _update(session: Session, label_id: int, values: dict[str, Any]) -> None:
    columns = dict(values)
    if "name" in columns:
        columns["name_key"] = name_key(columns["name"])
    if columns.get("retired_at"):
        columns["retired_at"] = dt.datetime.fromisoformat(columns["retired_at"])
    count_changed(session, update(Label).where(Label.id == label_id).values(columns))


def _is_merge(session: Session, change_id: int) -> bool:
    return session.scalar(select(LabelChange.kind).where(LabelChange.id == change_id)) == "merge"


def _require_last(session: Session, change_id: int, after: dict[int, dict[str, Any]]) -> None:
    """Checks that nothing has changed the same since."""
    undoing = aliased(LabelChange)
    standing = ~exists().where(undoing.undoes_id == LabelChange.id)
    later = select(LabelChange).where(LabelChange.id > change_id, LabelChange.kind != "undo", standing)
    for row in session.scalars(later.order_by(LabelChange.id.desc())):
        if overlapping(after, from_json(row.after).items()):
            msg = f"Something came after it: {words_of_change(row)} (change {row.id}). Undo that first."
            raise ConflictError(msg)
    for label in session.scalars(select(Label).where(Label.id.in_(after)).execution_options(populate_existing=True)):
        if any(value_of(label, column) != value for column, value in after[label.id].items()):
            msg = f"“{label.name}” is not as this change left it, so it cannot be undone. Change it by hand."
            raise ConflictError(msg)


def _require_unused(session: Session, label_id: int, name: str) -> None:
    """Checks that nothing would lack an added label."""
    uses = (
        (Review.label_id == label_id, "people have given it to photos"),
        (ModelVersionLabel.label_id == label_id, "a model version knows it"),
        (Label.parent_id == label_id, "labels lie below it"),
        (Label.merged_into_id == label_id, "labels were merged into it"),
    )
    for condition, what in uses:
        if session.scalar(select(exists().where(condition))):
            msg = f"“{name}” is in use: {what}. Retire it instead, then it is offered no more."
            raise ConflictError(msg)
