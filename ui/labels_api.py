"""JSON routes of the vocabulary: the list, what is offered while someone types, changes with previews, their undo."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from db.label_changes import (
    Changed,
    add_label,
    merge_labels,
    rename_label,
    restore_label,
    retire_label,
    set_parent,
    undo_change,
)
from db.label_history import list_changes
from db.label_lists import count_label_photos, list_labels, suggest_labels
from db.label_plans import (
    MOST_MERGED,
    Change,
    plan_merge,
    plan_parent,
    plan_rename,
    plan_restore,
    plan_retire,
)
from db.label_preview import preview
from db.session import Database
from ui.access import Reviewer
from ui.label_shapes import (
    change_shape,
    changed_shape,
    counts_shape,
    label_shape,
    preview_shape,
    suggestion_shape,
)
from ui.shapes import Json

LabelId = Annotated[int, PathParameter(ge=1, le=2**62)]
Id = Annotated[int, Field(ge=1, le=2**62)]
# Longer than any name: what is too long is told by the name's own error.
Name = Annotated[str, Field(max_length=2000)]
Typed = Annotated[str, Query(max_length=200)]
Before = Annotated[int | None, Query(ge=1, le=2**62)]
Asks = Annotated[bool, Query(alias="preview")]


class NewLabel(BaseModel):
    """A label to add."""

    name: Name
    parent: Id | None = None


class NewName(BaseModel):
    """A label's other name."""

    name: Name


class NewParent(BaseModel):
    """A label's other place; null: at the top."""

    parent: Id | None


class Sources(BaseModel):
    """Labels to be merged into the one of the address."""

    sources: Annotated[list[Id], Field(min_length=1, max_length=MOST_MERGED)]


def labels_routes(database: Database) -> APIRouter:
    """Everything that a reviewer does with labels. With `preview=true` a change says only what would come of it."""
    router = APIRouter(prefix="/api/labels")
    _add_reading(router, database)

    def answer(plan: Callable[[Session], Change], change: Callable[[Session], Changed], *, asks: bool) -> Json:
        if asks:
            with database.reading() as session:
                return preview_shape(preview(session, plan(session)))
        with database.transaction() as session:
            return changed_shape(session, change(session))

    @router.post("")
    def add(label: NewLabel, user: Reviewer) -> Json:
        with database.transaction() as session:
            return changed_shape(session, add_label(session, user, label.name, label.parent))

    @router.post("/{label_id}/rename")
    def rename(label_id: LabelId, to: NewName, user: Reviewer, *, asks: Asks = False) -> Json:
        return answer(
            lambda s: plan_rename(s, label_id, to.name), lambda s: rename_label(s, user, label_id, to.name), asks=asks
        )

    @router.post("/{label_id}/parent")
    def parent(label_id: LabelId, to: NewParent, user: Reviewer, *, asks: Asks = False) -> Json:
        return answer(
            lambda s: plan_parent(s, label_id, to.parent), lambda s: set_parent(s, user, label_id, to.parent), asks=asks
        )

    @router.post("/{label_id}/merge")
    def merge(label_id: LabelId, chosen: Sources, user: Reviewer, *, asks: Asks = False) -> Json:
        return answer(
            lambda s: plan_merge(s, chosen.sources, label_id),
            lambda s: merge_labels(s, user, chosen.sources, label_id),
            asks=asks,
        )

    @router.post("/{label_id}/retire")
    def retire(label_id: LabelId, user: Reviewer, *, asks: Asks = False) -> Json:
        return answer(lambda s: plan_retire(s, label_id), lambda s: retire_label(s, user, label_id), asks=asks)

    @router.post("/{label_id}/restore")
    def restore(label_id: LabelId, user: Reviewer, *, asks: Asks = False) -> Json:
        return answer(lambda s: plan_restore(s, label_id), lambda s: restore_label(s, user, label_id), asks=asks)

    @router.post("/changes/{change_id}/undo")
    def undo(change_id: LabelId, user: Reviewer) -> Json:
        with database.transaction() as session:
            return changed_shape(session, undo_change(session, user, change_id))

    return router


def _add_reading(router: APIRouter, database: Database) -> None:
    @router.get("")
    def every(_user: Reviewer, search: Typed = "", *, retired: bool = False) -> Json:
        with database.reading() as session:
            found = list_labels(session, search=search, include_retired=retired)
        return {"labels": [label_shape(label) for label in found]}

    @router.get("/counts")
    def counts(_user: Reviewer) -> Json:
        """How many photos show each label, by its id; those without photos are left out."""
        with database.reading() as session:
            return {"counts": {str(n): counts_shape(each) for n, each in count_label_photos(session).items()}}

    @router.get("/suggest")
    def suggest(user: Reviewer, q: Typed = "", limit: Annotated[int, Query(ge=1, le=50)] = 12) -> Json:
        with database.reading() as session:
            return {"labels": [suggestion_shape(each) for each in suggest_labels(session, user, q, limit)]}

    @router.get("/changes")
    def history(user: Reviewer, before: Before = None, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Json:
        with database.reading() as session:
            return {"changes": [change_shape(each) for each in list_changes(session, user, before=before, limit=limit)]}
