"""Previews of photos: re-encoded, without metadata, for those who have the photo in a batch of theirs."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import exists, select

from db.blobs import Blobs
from db.errors import NotFoundError
from db.schema import Batch, Item, Photo, User
from db.session import Database
from ui.access import Owner, has_role

# A photo is its content and previews are made once: what is at an address never changes. Private: no proxy keeps it.
CACHED = "private, max-age=31536000, immutable"


def media_routes(database: Database, blobs: Blobs) -> APIRouter:
    """GET /media/{photo_id}/{320|1024}.webp."""
    router = APIRouter()

    @router.get("/media/{photo_id}/{size}.webp")
    def preview(request: Request, photo_id: int, size: Literal["320", "1024"], user: Owner) -> Response:
        return preview_answer(database, blobs, user, photo_id, int(size), request.headers.get("if-none-match"))

    return router


def preview_answer(
    database: Database, blobs: Blobs, user: User, photo_id: int, size: int, known: str | None
) -> Response:
    """A photo's preview, for those who may see it; 304 if the caller has it (`known`, its ETag).

    Raises:
        NotFoundError: there is no such photo of theirs, or no preview yet.
    """
    sha256 = _visible_sha256(database, photo_id, user)
    etag = f'"{sha256[:32]}-{size}"'
    headers = {"ETag": etag, "Cache-Control": CACHED, "Vary": "Cookie, Authorization"}
    if known == etag:
        return Response(status_code=304, headers=headers)
    return Response(blobs.read_preview(sha256, size), media_type="image/webp", headers=headers)


def _visible_sha256(database: Database, photo_id: int, user: User) -> str:
    query = select(Photo.sha256).where(Photo.id == photo_id, Photo.has_previews)
    if not has_role(user, "reviewer"):
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
