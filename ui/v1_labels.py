"""Routes of the programming interface for the vocabulary: the list, and changes with their undo."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import Field
from sqlalchemy.orm import Session

from db.label_changes import Changed, add_label, merge_labels, rename_label, restore_label, retire_label, set_parent
from db.label_changes import undo_change as undo_label_change
from db.label_history import ChangeView, list_changes
from db.label_lists import PhotoCounts, count_label_photos, list_labels
from db.label_plans import MOST_MERGED
from db.session import Database
from ui.label_shapes import changed_shape
from ui.v1_fields import (
    MAX_ID,
    Answer,
    Asked,
    Id,
    LabelId,
    Labeller,
    Limit,
    Next,
    Reader,
    RowCursor,
    next_page,
    said,
)

PAGE = 50
ChangeId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
Name = Annotated[
    str, Field(min_length=1, max_length=200, description="Unique, whatever its case.", examples=["glacier"])
]
NAME_TAKEN = said("Another label has the name, maybe a retired or a merged one; the detail says which.")


class LabelAnswer(Answer):
    """A label of the vocabulary."""

    id: int
    name: str
    parent_id: Annotated[int | None, Field(description="The label that it stands below; null: at the top.")]
    retired: Annotated[bool, Field(description="It is given to no more photos; those that show it keep it.")]
    also: Annotated[list[str], Field(description="Names of labels that were merged into it; they find it.")]
    children: Annotated[int, Field(description="How many labels stand directly below it.")]


class LabelList(Answer):
    """Labels in the order of their names."""

    labels: list[LabelAnswer]


class LabelCount(Answer):
    """How many photos show a label."""

    label_id: int
    reviewed: Annotated[int, Field(description="A person said so.")]
    predicted: Annotated[int, Field(description="A model says so.")]


class LabelCounts(Answer):
    """Labels that photos show."""

    counts: list[LabelCount]


class NewLabel(Asked):
    """A label to add."""

    name: Name
    parent_id: Id | None = None


class NewName(Asked):
    """A label's other name."""

    name: Name


class NewParent(Asked):
    """A label's other place; null: at the top."""

    parent_id: Id | None


class Sources(Asked):
    """Labels that shall stand for another."""

    label_ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_MERGED)]


class ChangeMade(Answer):
    """A change of the vocabulary that was made."""

    change_id: Annotated[int, Field(description="Names the change, to undo it.")]
    label_id: Annotated[int, Field(description="The label that it is about; of a merge the one that stays.")]
    photos: Annotated[int, Field(description="How many photos show another label now.")]
    what: Annotated[str, Field(description="The change in words.")]


class ChangeAnswer(Answer):
    """A change of the history."""

    id: int
    kind: Annotated[str, Field(description="`add`, `rename`, `parent`, `merge`, `retire`, `restore` or `undo`.")]
    what: Annotated[str, Field(description="It in words.")]
    by: str | None
    at: dt.datetime
    undone_by: Annotated[int | None, Field(description="The change that took it back.")]


class ChangePage(Answer):
    """Changes of the vocabulary, the newest first."""

    changes: list[ChangeAnswer]
    next: Next


def label_routes(database: Database) -> APIRouter:
    """GET of labels, counts and changes; POST of changes. Each is in force at once everywhere."""
    router = APIRouter(prefix="/labels", tags=["labels"])
    _add_reading(router, database)
    _add_changes_of_one(router, database)

    @router.post("", status_code=201, responses={409: NAME_TAKEN})
    def add_label_(asked: NewLabel, user: Labeller) -> ChangeMade:
        """Adds a label."""
        with database.transaction() as session:
            return _made(session, add_label(session, user, asked.name, asked.parent_id))

    @router.post(
        "/changes/{change_id}/undo",
        responses={403: said("Another person made it, and you are no admin."), 409: said("Something depends on it.")},
    )
    def undo_change(change_id: ChangeId, user: Labeller) -> ChangeMade:
        """Takes a change back: labels and photos are as they were, but for what was said since."""
        with database.transaction() as session:
            return _made(session, undo_label_change(session, user, change_id))

    return router


def _add_changes_of_one(router: APIRouter, database: Database) -> None:
    @router.post("/{label_id}/rename", responses={409: NAME_TAKEN})
    def rename_label_(label_id: LabelId, asked: NewName, user: Labeller) -> ChangeMade:
        """Renames a label, everywhere at once."""
        with database.transaction() as session:
            return _made(session, rename_label(session, user, label_id, asked.name))

    @router.post("/{label_id}/parent", responses={409: said("It would stand below itself.")})
    def move_label(label_id: LabelId, asked: NewParent, user: Labeller) -> ChangeMade:
        """Puts a label below another one, or at the top."""
        with database.transaction() as session:
            return _made(session, set_parent(session, user, label_id, asked.parent_id))

    @router.post("/{label_id}/merge", responses={409: said("A label is retired, merged already, or stands above.")})
    def merge_labels_(label_id: LabelId, asked: Sources, user: Labeller) -> ChangeMade:
        """Lets labels stand for this one: photos that show one of them show this one."""
        with database.transaction() as session:
            return _made(session, merge_labels(session, user, asked.label_ids, label_id))

    @router.post("/{label_id}/retire", responses={409: said("It is retired already, or merged.")})
    def retire_label_(label_id: LabelId, user: Labeller) -> ChangeMade:
        """Gives a label to no more photos; those that show it keep it."""
        with database.transaction() as session:
            return _made(session, retire_label(session, user, label_id))

    @router.post("/{label_id}/restore", responses={409: said("It is not retired.")})
    def restore_label_(label_id: LabelId, user: Labeller) -> ChangeMade:
        """Gives a retired label again."""
        with database.transaction() as session:
            return _made(session, restore_label(session, user, label_id))


def _add_reading(router: APIRouter, database: Database) -> None:
    @router.get("")
    def list_labels_(
        _user: Reader,
        search: Annotated[str, Query(max_length=200, description="Each word of it begins a word of the name.")] = "",
        *,
        retired: Annotated[bool, Query(description="Also those that are retired.")] = False,
    ) -> LabelList:
        """The vocabulary."""
        with database.reading() as session:
            found = list_labels(session, search=search, include_retired=retired)
        return LabelList(
            labels=[
                LabelAnswer(
                    id=label.label_id,
                    name=label.name,
                    parent_id=label.parent_id,
                    retired=label.retired_at is not None,
                    also=label.also,
                    children=label.children,
                )
                for label in found
            ]
        )

    @router.get("/counts")
    def count_labels(_user: Labeller) -> LabelCounts:
        """How many photos show each label, of everybody's; labels without photos are left out."""
        with database.reading() as session:
            found = count_label_photos(session)
        return LabelCounts(counts=[_count(label_id, each) for label_id, each in sorted(found.items())])

    @router.get("/changes")
    def list_label_changes(
        request: Request, user: Labeller, cursor: RowCursor = None, limit: Limit = PAGE
    ) -> ChangePage:
        """What was changed of the vocabulary, by whom."""
        with database.reading() as session:
            found = list_changes(session, user, before=cursor, limit=limit)
        last = found[-1].change_id if len(found) == limit else None
        return ChangePage(changes=[_change(each) for each in found], next=next_page(request, last))


def _made(session: Session, changed: Changed) -> ChangeMade:
    shape = changed_shape(session, changed)
    return ChangeMade(change_id=shape["change"], label_id=shape["label"], photos=shape["photos"], what=shape["what"])


def _count(label_id: int, counts: PhotoCounts) -> LabelCount:
    return LabelCount(label_id=label_id, reviewed=counts.reviewed, predicted=counts.predicted)


def _change(change: ChangeView) -> ChangeAnswer:
    return ChangeAnswer(
        id=change.change_id,
        kind=change.kind,
        what=change.what,
        by=change.by,
        at=change.at,
        undone_by=change.undone_by_id,
    )
