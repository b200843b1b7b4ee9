"""The changes of the vocabulary as people read them, newest first."""

import datetime as dt
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from db.label_plans import from_json
from db.schema import LabelChange, User


class ChangeView(NamedTuple):
    """A change.

    Attributes:
        what: it in words.
        by: who made it; None: nobody was logged in.
        undone_by_id: the change that took it back.
        undoable: nobody has undone it, and this person may try: what came after it may stand in the way.
    """

    change_id: int
    kind: str
    what: str
    by: str | None
    at: dt.datetime
    undone_by_id: int | None
    undoable: bool


def list_changes(session: Session, user: User, *, before: int | None = None, limit: int = 50) -> list[ChangeView]:
    """Changes, newest first.

    Args:
        session: for queries.
        user: who looks: they undo their own changes, an admin all.
        before: only those older than the change of this number, for the next page.
        limit: at most so many.
    """
    undoing, undone = aliased(LabelChange), aliased(LabelChange)
    query = (
        select(LabelChange, User.name, undoing.id.label("undone_by_id"), undone)
        .outerjoin(User, User.id == LabelChange.user_id)
        .outerjoin(undoing, undoing.undoes_id == LabelChange.id)
        .outerjoin(undone, undone.id == LabelChange.undoes_id)
        .order_by(LabelChange.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(LabelChange.id < before)
    return [_view(user, *row) for row in session.execute(query)]


def words_of_change(row: LabelChange) -> str:
    """A change that is no undo in words, with the names that labels had then."""
    names = from_json(row.after, "names")
    before, after = (from_json(value).get(row.label_id, {}) for value in (row.before, row.after))
    name = f"“{names.get(row.label_id, '')}”"
    if row.kind == "rename":
        return f"“{before['name']}” renamed to “{after['name']}”"
    if row.kind == "parent":
        return f"{name} moved from {_place(names, before)} to {_place(names, after)}"
    if row.kind == "merge":
        sources = ", ".join(f"“{each}”" for label_id, each in names.items() if label_id != row.label_id)
        return f"{sources} merged into {name}"
    return f"{name} {WORDS[row.kind]}"


WORDS = {"add": "added", "retire": "retired", "restore": "restored"}


def _view(
    user: User, row: LabelChange, name: str | None, undone_by_id: int | None, taken_back: LabelChange | None
) -> ChangeView:
    what = words_of_change(row) if taken_back is None else f"undone: {words_of_change(taken_back)}"
    theirs = user.role == "admin" or row.user_id == user.id
    undoable = theirs and row.kind != "undo" and undone_by_id is None
    return ChangeView(row.id, row.kind, what, name, row.at, undone_by_id, undoable)


def _place(names: dict[int, Any], columns: dict[str, Any]) -> str:
    parent_id = columns.get("parent_id")
    return "the top" if parent_id is None else f"below “{names.get(parent_id, '')}”"
