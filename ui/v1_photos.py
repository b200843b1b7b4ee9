"""Routes of the programming interface that read the library."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field

from db.blobs import Blobs
from db.library import library_page
from db.photo_view import photo_view
from db.review_list import list_verdicts
from db.session import Database
from ui.library_view import View, cursor_of
from ui.media import preview_answer
from ui.v1_fields import MAX_CURSOR_CHARS, MAX_PAGE, PhotoId, Reader, next_page
from ui.v1_photo_shapes import (
    PhotoAnswer,
    PhotoPage,
    Predictions,
    photo_answer,
    predictions_answer,
    summary_answer,
)

PAGE = 100
MOST_REVIEWS = 200


class PhotosQuery(View):
    """Which photos, in which order, and where the page begins."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)

    cursor: Annotated[
        str | None, Field(max_length=MAX_CURSOR_CHARS, description="Where the page begins; leave it to `next`.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="At most so many on this page.")] = PAGE


def photo_routes(database: Database, blobs: Blobs) -> APIRouter:
    """GET of the library, one photo, its predictions, its preview."""
    router = APIRouter(prefix="/photos", tags=["library"])

    @router.get("")
    def list_photos(request: Request, query: Annotated[PhotosQuery, Query()], user: Reader) -> PhotoPage:
        """Photos of the library: yours, or for a reviewer all. Each photo is there once, whatever batches it is in."""
        after = cursor_of(query.cursor, query)
        with database.reading() as session:
            found = library_page(
                session,
                user,
                query.chosen,
                query.sort,
                descending=query.descending,
                after=after,
                limit=query.limit,
            )
        last = found.photos[-1].cursor.to_text() if found.more_after else None
        return PhotoPage(photos=[summary_answer(tile) for tile in found.photos], next=next_page(request, last))

    @router.get("/{photo_id}")
    def get_photo(photo_id: PhotoId, user: Reader) -> PhotoAnswer:
        """One photo: what is shown, what each model version and each person said, where it came from."""
        with database.reading() as session:
            view = photo_view(session, user, photo_id)
            return photo_answer(view, list_verdicts(session, photo_id=photo_id, limit=MOST_REVIEWS))

    @router.get("/{photo_id}/predictions")
    def get_predictions(photo_id: PhotoId, user: Reader) -> Predictions:
        """What each model version says of a photo."""
        with database.reading() as session:
            view = photo_view(session, user, photo_id)
        return Predictions(photo_id=photo_id, predictions=predictions_answer(view.predictions))

    @router.get(
        "/{photo_id}/preview",
        response_class=Response,
        responses={
            200: {"description": "A WebP without metadata.",
                  "content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}},
            304: {"description": "It is what you have (`If-None-Match`)."},
        },
    )  # fmt: skip
    def get_preview(
        request: Request,
        photo_id: PhotoId,
        user: Reader,
        size: Annotated[Literal["320", "1024"], Query(description="Pixels of its longer side, at most.")] = "1024",
    ) -> Response:
        """A small picture of a photo. It never changes."""
        return preview_answer(database, blobs, user, photo_id, int(size), request.headers.get("if-none-match"))

    return router
