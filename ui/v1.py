"""The programming interface: every route below /api/v1, and the OpenAPI document that describes them."""

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from db.blobs import Blobs
from db.session import Database
from ui.access import SCOPES_KEY, Role
from ui.deleting_api import BatchDeleter
from ui.nudge import Nudger
from ui.problems import API
from ui.single import SinglePhotos
from ui.submitting import Submitting
from ui.v1_batches import batch_routes
from ui.v1_document import document, operation_id
from ui.v1_fields import Answer, Anyone
from ui.v1_labels import label_routes
from ui.v1_models import model_routes
from ui.v1_photos import photo_routes
from ui.v1_retag import retag_routes
from ui.v1_submit import submit_routes
from ui.v1_training import training_routes
from ui.v1_verdicts import verdict_routes


class Me(Answer):
    """Who the token belongs to, and what it is for."""

    name: str
    role: Role
    scopes: Annotated[list[str] | None, Field(description="Null: a person's own session, which is for everything.")]


def v1_routes(
    database: Database,
    blobs: Blobs,
    nudger: Nudger,
    submitting: Submitting,
    singles: SinglePhotos,
    deleter: BatchDeleter,
) -> APIRouter:
    """All routes, under their common address."""
    router = APIRouter(prefix=API, generate_unique_id_function=operation_id)
    router.include_router(submit_routes(database, submitting, singles))
    router.include_router(batch_routes(database, nudger, deleter))
    router.include_router(photo_routes(database, blobs))
    router.include_router(verdict_routes(database))
    router.include_router(label_routes(database))
    # before those of a version, whose name may be any word
    router.include_router(training_routes(database))
    router.include_router(retag_routes(database, nudger))
    router.include_router(model_routes(database))
    router.include_router(_about(router))
    return router


def _about(router: APIRouter) -> APIRouter:
    about = APIRouter(tags=["about"])

    @cache
    def described() -> dict[str, Any]:
        return document(router)

    @about.get("/me")
    def get_me(request: Request, user: Anyone) -> Me:
        """Who is asking: a quick way to see whether a token works."""
        scopes: frozenset[str] | None = request.scope.get(SCOPES_KEY)
        return Me.model_validate(
            {"name": user.name, "role": user.role, "scopes": None if scopes is None else sorted(scopes)}
        )

    @about.get("/openapi.json", response_class=JSONResponse)
    def get_document(_user: Anyone) -> JSONResponse:
        """This document (OpenAPI 3.1)."""
        return JSONResponse(described())

    return about
