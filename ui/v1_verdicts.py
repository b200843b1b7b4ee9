"""Routes of the programming interface that record verdicts, take them back, and list them."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from db.labels import ids_of_names
from db.review_list import list_verdicts
from db.reviews import Decision, Outcome, Said, record_verdicts, undo
from db.session import Database
from ui.v1_fields import MAX_ID, TOKEN, Answer, Asked, Id, Limit, Reviewer, RowCursor, next_page, said
from ui.v1_photo_shapes import VerdictPage, verdict_answer

PAGE = 100
MOST_VERDICTS = 1000
SOURCE = "api"


class Verdict(Asked):
    """What a person says of one photo. The verdict `label` takes `label_id` or `label`, the others neither."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"photo_id": 12, "label": "glacier"}]}
    )

    photo_id: Id
    verdict: Annotated[
        Literal["label", "none", "unsure", "skip"],
        Field(description="`none`: no label fits; `unsure`: cannot be told; `skip`: says nothing of the photo."),
    ] = "label"
    label_id: Id | None = None
    label: Annotated[
        str | None, Field(min_length=1, max_length=200, description="The label's name, however its case is.")
    ] = None
    seen: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_ID,
            description="Id of the verdict that counted when you looked, 0 for none: if another counts by now, yours is"
            " not written and comes back in `conflicts`. Null: whatever counts.",
        ),
    ] = None

    @model_validator(mode="after")
    def _has_a_label_where_it_needs_one(self) -> Self:
        given = (self.label_id is not None) + (self.label is not None)
        if given != (self.verdict == "label"):
            msg = "The verdict `label` needs either `label_id` or `label`; no other verdict takes one."
            raise ValueError(msg)
        return self


class Verdicts(Asked):
    """Verdicts that are one stroke: written together, taken back together."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"token": "import-2024-07-01-a", "verdicts": [{"photo_id": 12, "label": "glacier"}]}]
        },
    )

    token: Annotated[
        str,
        Field(
            pattern=TOKEN,
            description="8 to 64 visible characters that you make up once for this stroke: sent again, it is not"
            " written again.",
        ),
    ]
    verdicts: Annotated[list[Verdict], Field(min_length=1, max_length=MOST_VERDICTS)]


class ConflictAnswer(Answer):
    """Another verdict counts since you looked; yours was not written."""

    photo_id: int
    by: Annotated[str, Field(description="Whose.")]
    verdict: Annotated[Decision, Field(description="What they said.")]
    label: Annotated[str | None, Field(description="With the verdict label only.")]


class Recorded(Answer):
    """What became of verdicts."""

    action_id: Annotated[int | None, Field(description="Names the stroke, to take it back; null: nothing was written.")]
    photo_ids: Annotated[list[int], Field(description="Photos whose verdict was written, in rising order.")]
    missing: Annotated[list[int], Field(description="Photos that are not there (any more).")]
    conflicts: list[ConflictAnswer]
    repeated: Annotated[bool, Field(description="This token was sent before: nothing was written now.")]


class Undone(Answer):
    """What was taken back; the photos follow again what was said before."""

    action_id: Annotated[int, Field(description="Of the undo.")]
    undone_action_id: int
    photo_ids: list[int]


def verdict_routes(database: Database) -> APIRouter:
    """POST of verdicts and of their undo, GET of the history."""
    router = APIRouter(prefix="/verdicts", tags=["verdicts"])

    @router.post(
        "",
        responses={
            404: said("There is no label of this name or id; nothing was written."),
            409: said("A label is retired, or the token belongs to an undo; nothing was written."),
        },
    )
    def record(asked: Verdicts, user: Reviewer) -> Recorded:
        """Records verdicts. Photos show them at once, and no model overwrites them.

        Of two verdicts on one photo the last is taken.
        """
        with database.transaction() as session:
            outcome = record_verdicts(session, user, _said(session, asked.verdicts), token=asked.token, source=SOURCE)
        return _recorded(asked, outcome)

    @router.post(
        "/{action_id}/undo", responses={404: said("You have no such stroke."), 409: said("It is an undo itself.")}
    )
    def undo_verdicts(action_id: Annotated[int, PathParameter(ge=1, le=MAX_ID)], user: Reviewer) -> Undone:
        """Takes a stroke of yours back, wherever it was made. Twice is once. What others said since stays."""
        with database.transaction() as session:
            # with a space, so that it is never the token of verdicts
            undone = undo(session, user, token=f"undo {action_id}", action_id=action_id)
        return Undone(action_id=undone.action_id, undone_action_id=undone.undone_action_id, photo_ids=undone.photo_ids)

    @router.get("")
    def list_verdicts_(
        request: Request,
        _user: Reviewer,
        cursor: RowCursor = None,
        photo: Annotated[int | None, Query(ge=1, le=MAX_ID, description="Only verdicts on this photo.")] = None,
        limit: Limit = PAGE,
    ) -> VerdictPage:
        """Everybody's verdicts and undos, the newest first."""
        with database.reading() as session:
            rows = list_verdicts(session, photo_id=photo, before=cursor, limit=limit)
        last = rows[-1].review_id if len(rows) == limit else None
        return VerdictPage(verdicts=[verdict_answer(row) for row in rows], next=next_page(request, last))

    return router


def _said(session: Session, verdicts: Sequence[Verdict]) -> list[Said]:
    ids = ids_of_names(session, {one.label for one in verdicts if one.label is not None})
    return [
        Said(
            photo_id=one.photo_id,
            verdict=one.verdict,
            label_id=one.label_id if one.label is None else ids[one.label],
            seen=one.seen,
        )
        for one in verdicts
    ]


def _recorded(asked: Verdicts, outcome: Outcome) -> Recorded:
    asked_for = {one.photo_id for one in asked.verdicts}
    conflicts = [
        ConflictAnswer(photo_id=one.photo_id, by=one.by, verdict=one.verdict, label=one.label)
        for one in outcome.conflicts
        if one.photo_id in asked_for
    ]
    missing = asked_for - set(outcome.photo_ids) - {one.photo_id for one in conflicts}
    return Recorded(
        action_id=outcome.action_id,
        photo_ids=outcome.photo_ids,
        missing=sorted(missing),
        conflicts=conflicts,
        repeated=outcome.repeated,
    )
