"""Routes of the programming interface that train: a run is asked for, followed and cancelled."""

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from db.session import Database
from db.training_runs import cancel_run, start_run
from db.training_views import get_run, list_runs
from ui.cost_words import require_accepted
from ui.model_report import run_details_shape
from ui.model_shapes import run_shape
from ui.recipes import DEFAULT, recipe_values
from ui.v1_fields import (
    Activator,
    Answer,
    Asked,
    IdempotencyKey,
    Limit,
    ModelReader,
    Next,
    RowCursor,
    RunId,
    next_page,
    said,
)

PAGE = 20


class Training(Asked):
    """A training that is wanted."""

    recipe: Annotated[
        str, Field(max_length=64, description="Its name; a wrong one is answered with those there are.")
    ] = DEFAULT
    activate: Annotated[
        Literal["auto", "never"],
        Field(description="`auto`: the version it makes tags if it is better; `never`: you decide."),
    ] = "never"
    accept_cost: Annotated[
        bool,
        Field(
            description="Needed for a recipe that trains a network of its own, `vgg16-finetune`: photos run through it"
            " anew. Without it the answer is 409, and says how many and how long that takes."
        ),
    ] = False


class RunAnswer(Answer):
    """A training run. It ends `done`, `failed` or `cancelled`, and then stays so."""

    id: int
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    recipe: Annotated[str, Field(description="Its name.")]
    activate: Literal["auto", "never"]
    by: Annotated[str | None, Field(description="Who asked for it; null: the command line.")]
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    stage: Annotated[
        str,
        Field(
            description="What it is at: `snapshot`, `features`, `frozen`, `tuning`, `variants`, `head`, `exam`; else empty."
        ),
    ]
    done: Annotated[int, Field(description="Of the stage, out of `total`.")]
    total: int
    ahead: Annotated[int, Field(description="While it is queued: runs that come before it.")]
    snapshot: Annotated[str | None, Field(description="Digest of the photos and labels that it is made from.")]
    photos: Annotated[int | None, Field(description="How many photos those are.")]
    base: Annotated[str | None, Field(description="The version that its own is compared with.")]
    version: Annotated[str | None, Field(description="The version it made.")]
    gate: Annotated[
        Literal["better", "not_better", "thin"] | None,
        Field(description="How its version did beside `base` on held-out photos; `thin`: too few of them to tell."),
    ]
    outcome: Annotated[
        Literal["activated", "rejected"] | None, Field(description="What became of its version; null: nothing yet.")
    ]
    reason: Annotated[str, Field(description="Why it failed, in words; else empty.")]


class RunDetailsAnswer(RunAnswer):
    """A training run with all that it found."""

    values: Annotated[dict[str, Any], Field(description="The recipe's values when it was asked for.")]
    curves: Annotated[
        list[dict[str, Any]],
        Field(description="An entry an epoch: number, loss, accuracy, held_out_loss, held_out_accuracy."),
    ]
    report: Annotated[
        dict[str, Any] | None,
        Field(
            description="The exam: figures of `candidate` and `base` on the same `photos`, with their intervals, and"
            " `hurting`: photos whose label fits worst. Null before it."
        ),
    ]
    words: Annotated[
        dict[str, Any] | None,
        Field(description="The gate for people: `reasons`, `checks`, `photos_needed` until there is evidence enough."),
    ]
    active: Annotated[str | None, Field(description="The version that tags now.")]


class RunPage(Answer):
    """Training runs, the newest first."""

    runs: list[RunAnswer]
    next: Next


def training_routes(database: Database) -> APIRouter:
    """POST of a training and of its end, GET of the runs."""
    router = APIRouter(prefix="/models", tags=["models"])

    @router.post(
        "/train",
        status_code=201,
        responses={404: said("There is no such recipe."), 409: said("It costs something, which is not accepted.")},
    )
    def train_model(
        asked: Training, response: Response, user: Activator, idempotency_key: IdempotencyKey = None
    ) -> RunAnswer:
        """Asks for a training from the labels that people gave. One works at a time, the others wait."""
        values = recipe_values(asked.recipe)
        with database.reading() as session:
            require_accepted(session, values, accepted=asked.accept_cost)
        with database.transaction() as session:
            run = start_run(session, user, values, asked.activate, idempotency_key)
            answer = _answer(session, run.id)
        response.headers["Location"] = f"/api/v1/models/runs/{answer.id}"
        return answer

    @router.get("/runs")
    def list_training_runs(
        request: Request, _user: ModelReader, cursor: RowCursor = None, limit: Limit = PAGE
    ) -> RunPage:
        """Training runs, everybody's."""
        with database.reading() as session:
            found = list_runs(session, before=cursor, limit=limit)
        last = found[-1].id if len(found) == limit else None
        runs = [RunAnswer.model_validate(run_shape(run)) for run in found]
        return RunPage(runs=runs, next=next_page(request, last))

    @router.get("/runs/{run_id}")
    def get_training_run(run_id: RunId, _user: ModelReader) -> RunDetailsAnswer:
        """How far a training is, and what it found. While it is open, ask again every second or two."""
        with database.reading() as session:
            return RunDetailsAnswer.model_validate(run_details_shape(session, run_id))

    @router.post("/runs/{run_id}/cancel", responses={409: said("The run has ended.")})
    def cancel_training_run(run_id: RunId, user: Activator) -> RunAnswer:
        """Cancels a training: nothing of it is kept. Twice is once."""
        with database.transaction() as session:
            if get_run(session, run_id).run.state != "cancelled":
                cancel_run(session, user, run_id)
            return _answer(session, run_id)

    return router


def _answer(session: Session, run_id: int) -> RunAnswer:
    return RunAnswer.model_validate(run_shape(get_run(session, run_id).run))
