"""JSON routes that receive photos: a batch is made, its files come chunk by chunk, then it is sealed."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from db.names import clean_name
from ui.access import Owner
from ui.batches_api import BatchId
from ui.shapes import Json
from ui.single import SinglePhotos
from ui.submitting import Submitting, body_of, name_of_path
from ui.upload import CHUNK_BYTES, Chunk, WrongOffsetError

FileNumber = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


class NewBatch(BaseModel):
    """What a batch will be. `count` and `bytes` are announcements: they order the queue and find a full disk early."""

    name: str = Field(min_length=1, max_length=255)
    idem_key: str | None = Field(default=None, min_length=8, max_length=64)
    count: int = Field(default=1, ge=1)
    bytes: int = Field(default=0, ge=0)


class Place(BaseModel):
    """Which part of which file a chunk is."""

    path: str = Field(min_length=1, max_length=4096)
    size: int = Field(ge=0)
    offset: int = Field(ge=0)


class Seal(BaseModel):
    """How many files the batch has."""

    count: int = Field(ge=1)


def uploads_routes(submitting: Submitting, singles: SinglePhotos) -> APIRouter:
    """POST /api/batches, PUT and GET of its files, its seal, and POST /api/photos for one photo alone."""
    router = APIRouter(prefix="/api")

    @router.post("/batches", status_code=201)
    def create(asked: NewBatch, user: Owner) -> Json:
        batch = submitting.create(user, asked.name, count=asked.count, size_bytes=asked.bytes, idem_key=asked.idem_key)
        return {"id": batch.id, "state": batch.state, "chunk_bytes": CHUNK_BYTES}

    @router.put("/batches/{batch_id}/files/{number}")
    async def put_chunk(
        request: Request, batch_id: BatchId, number: FileNumber, place: Annotated[Place, Query()], user: Owner
    ) -> JSONResponse:
        path, _ = clean_name(place.path)
        chunk = Chunk(batch_id, number, path, place.size, place.offset)
        try:
            received = await submitting.receive(user, chunk, request)
        except WrongOffsetError as error:
            return JSONResponse(
                {"code": "WRONG_OFFSET", "message": str(error), "received": error.received}, status_code=409
            )
        return JSONResponse({"received": received.received, "done": received.done, "code": received.code})

    @router.get("/batches/{batch_id}/files")
    def list_files(batch_id: BatchId, user: Owner) -> Json:
        batch, uploads = submitting.files(user, batch_id)
        # arrays, not objects: a folder may have 100,000 files
        files = [[upload.number, upload.size_bytes, upload.received_bytes, upload.done] for upload in uploads]
        return {"id": batch.id, "state": batch.state, "files": files}

    @router.post("/batches/{batch_id}/seal")
    def seal(batch_id: BatchId, asked: Seal, user: Owner) -> Json:
        batch = submitting.seal(user, batch_id, asked.count)
        return {"id": batch_id, "state": batch.state}

    @router.post("/photos", status_code=201)
    async def try_one(
        request: Request, name: Annotated[str, Query(min_length=1, max_length=4096)], user: Owner
    ) -> Json:
        return {"id": await singles.accept(user, name_of_path(name), body_of(request))}

    return router
