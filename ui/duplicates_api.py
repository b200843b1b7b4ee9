"""JSON routes of the page Duplicates: photos that look alike, files in several places, "these are different"."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from db.duplicates import list_groups, tell_apart
from db.same_files import list_same_files
from db.session import Database
from ui.access import Owner
from ui.duplicate_shapes import group_shape, same_file_shape
from ui.shapes import Json

PhotoId = Annotated[int, Field(ge=1, le=2**63 - 1)]
After = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=100)]

GROUPS = 20
FILES = 50


class ToldApart(BaseModel):
    """Photos that a person says are different, or with `apart` false, that they are not."""

    ids: Annotated[list[PhotoId], Field(min_length=1, max_length=1000)]
    apart: bool = True


def duplicates_routes(database: Database) -> APIRouter:
    """GET the groups and the files, POST what a person says. Deleting is done in the library."""
    router = APIRouter(prefix="/api/duplicates")

    @router.get("")
    def list_look_alikes(user: Owner, after: After = None, limit: Limit = GROUPS) -> Json:
        with database.reading() as session:
            page = list_groups(session, user, after=after, limit=limit)
        return {"groups": [group_shape(group) for group in page.groups], "after": page.after}

    @router.get("/files")
    def list_files(user: Owner, after: After = None, limit: Limit = FILES) -> Json:
        with database.reading() as session:
            page = list_same_files(session, user, after=after, limit=limit)
        return {"photos": [same_file_shape(photo) for photo in page.photos], "after": page.after}

    @router.post("/apart")
    def say_apart(told: ToldApart, user: Owner) -> Json:
        with database.transaction() as session:
            return {"photos": tell_apart(session, user, told.ids, apart=told.apart)}

    return router
