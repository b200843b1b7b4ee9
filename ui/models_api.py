"""JSON routes of the page Models: what can be trained, the runs and their exams, which version tags."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from db.activations import activate_version, changed_since, roll_back
from db.doubts import send_back
from db.exam_photos import Change, Of, exam_counts, exam_photos
from db.labels import label_paths
from db.model_versions import active_version, get_version
from db.readiness import readiness
from db.retag_showing import restore_some
from db.session import Database
from db.training_runs import cancel_run, reject_candidate, start_run
from db.training_views import get_run, list_runs
from db.tuning_cost import tuning_cost
from db.version_history import version_history, way_back
from db.workers import live_workers
from ui.access import Admin
from ui.cost_words import cost_shape, require_accepted
from ui.model_report import run_details_shape
from ui.model_shapes import (
    exam_photo_shape,
    matrix_shape,
    readiness_shape,
    recipe_shape,
    run_shape,
    version_history_shape,
    way_back_shape,
)
from ui.recipes import DEFAULT, list_recipes, recipe_values
from ui.shapes import Json
from worker.queue import TRAINING

RunId = Annotated[int, PathParameter(ge=1, le=2**62)]
Id = Annotated[int, Field(ge=1, le=2**62)]
MaybeId = Annotated[int | None, Query(ge=1, le=2**62)]
VersionName = Annotated[str, PathParameter(pattern=r"^[^\x00-\x1f]{1,64}$")]

RUNS = 20
PHOTOS = 60
MOST_SENT_BACK = 500
# So long an answer waits for photos to show again what they showed before.
RESTORE_S = 5.0
NO_TRAINER = (
    "No training worker is running, so a training waits until one does: start `phototag up`, or"
    " `phototag worker --queues training`."
)


class Asked(BaseModel):
    """A training that is wanted."""

    recipe: str = Field(default=DEFAULT, max_length=64)
    activate: Literal["auto", "never"] = "never"
    accept_cost: bool = False


class Expected(BaseModel):
    """The version that the page has shown to be active; null: none was."""

    expected: str | None = Field(max_length=64)


class Chosen(BaseModel):
    """Photos."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_SENT_BACK)]


def models_routes(database: Database) -> APIRouter:
    """Everything that an admin does with model versions, but for re-tagging (`ui.retag_api`)."""
    router = APIRouter(prefix="/api/models")
    _add_run_routes(router, database)
    _add_exam_routes(router, database)
    _add_version_routes(router, database)

    @router.get("")
    def overview(_user: Admin) -> Json:
        with database.reading() as session:
            active = active_version(session)
            trains = any(TRAINING in worker.queues.split(",") for worker in live_workers(session))
            return {
                "readiness": readiness_shape(readiness(session)),
                "recipes": [recipe_shape(recipe) for recipe in list_recipes()],
                "active": active.name if active else None,
                "notice": "" if trains else NO_TRAINER,
            }

    return router


def _add_run_routes(router: APIRouter, database: Database) -> None:
    @router.get("/runs")
    def runs(_user: Admin, before: MaybeId = None, limit: Annotated[int, Query(ge=1, le=100)] = RUNS) -> Json:
        with database.reading() as session:
            found = list_runs(session, before=before, limit=limit + 1)
        return {"runs": [run_shape(run) for run in found[:limit]], "more": len(found) > limit}

    @router.post("/runs", status_code=201)
    def train(asked: Asked, user: Admin) -> Json:
        values = recipe_values(asked.recipe)
        with database.reading() as session:
            require_accepted(session, values, accepted=asked.accept_cost)
        with database.transaction() as session:
            run = start_run(session, user, values, asked.activate)
            return run_shape(get_run(session, run.id).run)

    @router.get("/cost")
    def cost(_user: Admin, recipe: Annotated[str, Query(max_length=64)] = DEFAULT) -> Json:
        values = recipe_values(recipe)
        with database.reading() as session:
            return {"cost": cost_shape(tuning_cost(session, values))}

    @router.get("/runs/{run_id}")
    def run(run_id: RunId, _user: Admin) -> Json:
        with database.reading() as session:
            return run_details_shape(session, run_id)

    @router.post("/runs/{run_id}/cancel")
    def cancel(run_id: RunId, user: Admin) -> Json:
        with database.transaction() as session:
            cancel_run(session, user, run_id)
            return run_shape(get_run(session, run_id).run)

    @router.post("/runs/{run_id}/reject")
    def reject(run_id: RunId, user: Admin) -> Json:
        with database.transaction() as session:
            reject_candidate(session, user, run_id)
            return run_shape(get_run(session, run_id).run)


def _add_exam_routes(router: APIRouter, database: Database) -> None:
    @router.get("/runs/{run_id}/matrix")
    def matrix(run_id: RunId, _user: Admin) -> Json:
        with database.reading() as session:
            counts = exam_counts(session, run_id)
            ids = {n for one in counts for n in one[:3] if n is not None}
            names = {n: path[-1] for n, path in label_paths(session, ids).items()}
            return matrix_shape(counts, names)

    @router.get("/runs/{run_id}/photos")
    def photos(
        run_id: RunId,
        _user: Admin,
        label: MaybeId = None,
        said: MaybeId = None,
        of: Of = "candidate",
        change: Change | None = None,
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    ) -> Json:
        with database.reading() as session:
            get_run(session, run_id)
            found = exam_photos(
                session, run_id, label_id=label, said_id=said, of=of, change=change, after=after, limit=PHOTOS + 1
            )
        return {"photos": [exam_photo_shape(photo) for photo in found[:PHOTOS]], "more": len(found) > PHOTOS}

    @router.post("/review")
    def review(chosen: Chosen, user: Admin) -> Json:
        """Sends photos whose label may be wrong back to review."""
        with database.transaction() as session:
            return {"photos": send_back(session, user, chosen.ids)}


def _add_version_routes(router: APIRouter, database: Database) -> None:
    @router.get("/versions")
    def versions(_user: Admin) -> Json:
        with database.reading() as session:
            return _history(session)

    @router.post("/versions/{name}/activate")
    def activate(name: VersionName, asked: Expected, user: Admin) -> Json:
        with database.transaction() as session:
            version, before = get_version(session, name), active_version(session)
            if (before.name if before else None) != asked.expected:
                raise changed_since(before)
            seen_id = before.id if before else None
            activate_version(session, version.id, expected_id=seen_id, user=user, reason=f"by {user.name}")
            return _history(session)

    @router.post("/rollback")
    def rollback(asked: Expected, user: Admin) -> Json:
        with database.transaction() as session:
            before = active_version(session)
            if before is None or before.name != asked.expected:
                raise changed_since(before)
            roll_back(session, user, expected_id=before.id)
            history = _history(session)
        restore_some(database, limit_s=RESTORE_S)  # a janitor goes on with what is left
        return history


def _history(session: Session) -> Json:
    shapes = [version_history_shape(version) for version in version_history(session)]
    return {"versions": shapes, "back": way_back_shape(way_back(session))}
