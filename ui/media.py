"""Previews of photos: re-encoded, without metadata, for those who have the photo in a batch of theirs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import exists, select

from db.blobs import Blobs
from db.errors import NotFoundError
from db.schema import Batch, Item, Photo, User
from db.session import Database
from ui.access import RANKS, Needs

# A photo is its content and previews are made once: what is at an address never changes. Private: no proxy keeps it.
CACHED = "private, max-age=31536000, immutable"


def media_routes(database: Database, blobs: Blobs) -> APIRouter:
    """GET /media/{photo_id}/{320|1024}.webp."""
    router = APIRouter()

    @router.get("/media/{photo_id}/{size}.webp")
    def preview(
        request: Request, photo_id: int, size: Literal["320", "1024"], user: Annotated[User, Depends(Needs("owner"))]
    ) -> Response:
        sha256 = _visible_sha256(database, photo_id, user)
        etag = f'"{sha256[:32]}-{size}"'
        headers = {"ETag": etag, "Cache-Control": CACHED, "Vary": "Cookie"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        webp = blobs.read_preview(sha256, int(size))
        return Response(webp, media_type="image/webp", headers=headers)

    return router


def _visible_sha256(database: Database, photo_id: int, user: User) -> str:
    query = select(Photo.sha256).where(Photo.id == photo_id, Photo.has_previews)
    if RANKS[user.role] < RANKS["reviewer"]:
        query = query.where(
            exists().where(Item.photo_id == Photo.id, Item.batch_id == Batch.id, Batch.owner_id == user.id)
        )
    with database.reading() as session:
        sha256 = session.scalar(query)
    if sha256 is None:
        # the same words for a photo of someone else and for one that does not exist
        msg = "There is no such photo, or it has no preview yet."
        raise NotFoundError(msg)
    return sha256
