"""JSON routes that read the library: a page of it, its counts, what can be chosen, one photo."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import Field

from db.batches import list_batches
from db.labels import with_ancestors
from db.library import library_page
from db.library_choices import list_cameras, list_formats
from db.library_counts import count_photos, label_counts
from db.library_filter import LibraryFilter
from db.photo_view import photo_view
from db.session import Database
from ui.access import Owner
from ui.library_shapes import photo_shape, tile_shape
from ui.library_view import View, cursor_of
from ui.shapes import Json

PhotoId = Annotated[int, PathParameter(ge=1, le=2**62)]

# Divisible by every number of columns that the grid has.
PAGE = 60
MAX_PAGE = 240
CHOICES = 200


class PageQuery(View):
    """A view, and where in it a page begins or ends."""

    after: Annotated[str | None, Field(max_length=2000)] = None
    before: Annotated[str | None, Field(max_length=2000)] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = PAGE


def library_routes(database: Database) -> APIRouter:
    """What there is to read of the library. Photos are changed in `ui.library_acting_api`."""
    router = APIRouter(prefix="/api/library")

    @router.get("")
    def page(query: Annotated[PageQuery, Query()], user: Owner) -> Json:
        after, before = cursor_of(query.after, query), cursor_of(query.before, query)
        with database.reading() as session:
            found = library_page(
                session,
                user,
                query.chosen,
                query.sort,
                descending=query.descending,
                after=after,
                before=before,
                limit=query.limit,
            )
        return {
            "photos": [tile_shape(tile) for tile in found.photos],
            "more_after": found.more_after,
            "more_before": found.more_before,
        }

    @router.get("/counts")
    def counts(view: Annotated[View, Query()], user: Owner) -> Json:
        """How many photos the view has, how many each label has under the other filters, and how many wait.

        Labels that stand above others are there too, with the photos of their own; the page adds up.
        """
        with database.reading() as session:
            photos = {label.label_id: label.photos for label in label_counts(session, user, view.chosen)}
            return {
                "photos": count_photos(session, user, view.chosen),
                "waiting": count_photos(session, user, LibraryFilter(state="untagged")),
                "labels": [
                    {"id": label_id, "name": name, "parent": parent, "photos": photos.get(label_id, 0)}
                    for label_id, (name, parent) in with_ancestors(session, photos).items()
                ],
            }

    @router.get("/choices")
    def choices(user: Owner) -> Json:
        """What the filters offer: cameras, formats and the newest batches."""
        with database.reading() as session:
            return {
                "cameras": [
                    {"id": camera.camera_id, "name": camera.name} for camera in list_cameras(session, user)[:CHOICES]
                ],
                "formats": [{"name": name} for name in list_formats(session, user)],
                "batches": [
                    {"id": batch.id, "name": batch.name, "created_at": batch.created_at.isoformat()}
                    for batch in list_batches(session, user, CHOICES)
                ],
            }

    @router.get("/photos/{photo_id}")
    def photo(photo_id: PhotoId, user: Owner) -> Json:
        with database.reading() as session:
            return photo_shape(photo_view(session, user, photo_id))

    return router
