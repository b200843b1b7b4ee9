"""Routes that do something with photos of the library: download, export, tag again, delete."""

import tempfile
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import Field
from sqlalchemy.orm import Session

from db.audit import record_audit
from db.batch_view import iter_photo_items
from db.blobs import Blobs
from db.deleting import Deleted, delete_photos
from db.errors import LimitExceededError, NotFoundError
from db.library import get_selection, iter_library
from db.places import Place, best_places, tag_again
from db.schema import User
from db.session import Database
from db.settings import DataSettings
from ui.access import Owner
from ui.batches_api import ClosedBatches
from ui.downloads import attachment, parts, write_lines
from ui.library_api import PhotoId
from ui.library_view import Selection, View
from ui.nudge import Nudger
from ui.originals import open_original, zip_parts
from ui.results import csv_lines, jsonl_lines
from ui.shapes import Json

MAX_DOWNLOADED = 10_000
DELETE_GROUP = 200
IDS = r"^\d{1,18}(,\d{1,18})*$"
MAX_IDS_CHARS = 40_000


class ChosenQuery(View):
    """Photos as an address names them: `ids`, or else all of the view."""

    ids: Annotated[str | None, Field(pattern=IDS, max_length=MAX_IDS_CHARS)] = None


def library_acting_routes(
    database: Database, blobs: Blobs, data: DataSettings, nudger: Nudger, closed: ClosedBatches
) -> APIRouter:
    """GET downloads and exports, POST tag and delete."""
    router = APIRouter(prefix="/api/library")

    @router.get("/photos/{photo_id}/original")
    def original(photo_id: PhotoId, user: Owner) -> Response:
        """The file as it was sent, for whoever sent it; never shown by the browser, always saved."""
        with database.reading() as session:
            place = next(best_places(session, [photo_id], user.id), None)
        if place is None:
            msg = "There is no such photo among those that you sent."
            raise NotFoundError(msg)
        file = open_original(blobs, place)
        headers = attachment(place.name) | {"Content-Length": str(place.size_bytes)}
        return StreamingResponse(parts(file), media_type="application/octet-stream", headers=headers)

    @router.get("/photos.zip")
    def download(query: Annotated[ChosenQuery, Query()], user: Owner) -> Response:
        with database.reading() as session:
            places = _places(session, user, _chosen_ids(session, user, query))
        return StreamingResponse(
            zip_parts(blobs, places), media_type="application/zip", headers=attachment("photos.zip")
        )

    @router.get("/export.{form}")
    def export(form: Literal["csv", "jsonl"], query: Annotated[ChosenQuery, Query()], user: Owner) -> Response:
        data.staging_dir.mkdir(parents=True, exist_ok=True)
        stream = tempfile.TemporaryFile(dir=data.staging_dir)  # noqa: SIM115 - closed when it is sent
        with database.reading() as session:
            items = iter_photo_items(session, user, _chosen_ids(session, user, query))
            write_lines(stream, csv_lines(items) if form == "csv" else jsonl_lines(items))
        media_type = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl; charset=utf-8"
        return StreamingResponse(parts(stream), media_type=media_type, headers=attachment(f"library.{form}"))

    @router.post("/tag", status_code=201)
    def tag(selection: Selection, user: Owner) -> Json:
        with database.transaction() as session:
            batch = tag_again(session, user, selected_ids(session, user, selection))
        nudger.tag()
        return {"id": batch.id}

    @router.post("/delete")
    def delete(selection: Selection, user: Owner) -> Json:
        """Takes photos out of the caller's batches; one that nobody else has goes with all that is known of it."""
        with database.reading() as session:
            ids = selected_ids(session, user, selection)
        deleted = Deleted()
        # short transactions: others write in between, and what is done stays done if this one breaks off
        for start in range(0, len(ids), DELETE_GROUP):
            with database.transaction() as session:
                deleted += delete_photos(session, user, ids[start : start + DELETE_GROUP])
                if start == 0:
                    what = f"{len(ids):,} photo{'s' if len(ids) > 1 else ''}"
                    record_audit(session, user, "photos.delete", what, {"selected": len(ids)})
        closed.forget(deleted.batch_ids)
        return {"selected": len(ids), "photos": deleted.photos, "items": deleted.items}

    return router


def selected_ids(session: Session, user: User, selection: Selection) -> list[int]:
    """Ids of the selected photos that this person may see.

    Raises:
        NotFoundError: none is left.
    """
    if selection.view is not None:
        view = selection.view
        ids = list(iter_library(session, user, view.chosen, "newest", descending=True))
    else:
        ids = get_selection(session, user, selection.ids or ())
    if not ids:
        msg = "None of these photos is there any more. Reload the page."
        raise NotFoundError(msg)
    return ids


def _chosen_ids(session: Session, user: User, query: ChosenQuery) -> list[int]:
    if query.ids is None:
        return list(iter_library(session, user, query.chosen, query.sort, descending=query.descending))
    return get_selection(session, user, [int(part) for part in query.ids.split(",")])


def _places(session: Session, user: User, ids: list[int]) -> list[Place]:
    if len(ids) > MAX_DOWNLOADED:
        msg = (
            f"At most {MAX_DOWNLOADED:,} photos can be downloaded at once; select fewer, or narrow the filters."
            f" Received: {len(ids):,}"
        )
        raise LimitExceededError(msg)
    places = list(best_places(session, ids, user.id))
    if not places:
        msg = "None of these photos was sent by you, and originals go only to those who sent them."
        raise NotFoundError(msg)
    return places
