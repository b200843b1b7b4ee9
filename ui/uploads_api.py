"""JSON routes that receive photos: a batch is made, its files come chunk by chunk, then it is sealed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from db.batches import create_batch, get_batch, seal_batch
from db.blobs import require_space
from db.errors import ConflictError, LimitExceededError, PhototagError
from db.names import clean_name
from db.schema import User
from db.session import Database
from db.settings import DataSettings
from db.uploads import uploads_of
from ui.access import Needs
from ui.batches_api import BatchId
from ui.settings import UiSettings
from ui.shapes import Json
from ui.single import SinglePhotos
from ui.upload import CHUNK_BYTES, Chunk, Receiver, WrongOffsetError

Owner = Annotated[User, Depends(Needs("owner"))]

SMALL_BATCH_FILES = 100
SMALL_PRIORITY, FOLDER_PRIORITY = 2, 5
# A sender that says nothing for this long has gone.
SILENCE_S = 60.0


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


def uploads_routes(
    database: Database,
    data_settings: DataSettings,
    settings: UiSettings,
    receiver: Receiver,
    singles: SinglePhotos,
) -> APIRouter:
    """POST /api/batches, PUT and GET of its files, its seal, and POST /api/photos for one photo alone."""
    router = APIRouter(prefix="/api")

    @router.post("/batches", status_code=201)
    def create(asked: NewBatch, user: Owner) -> Json:
        if asked.count > settings.max_batch_files or asked.bytes > settings.max_batch_bytes:
            msg = (
                f"A batch may have {settings.max_batch_files:,} files and {settings.max_batch_bytes:,} bytes."
                " Send these as several batches."
            )
            raise LimitExceededError(msg)
        require_space(data_settings, asked.bytes)
        name, _ = clean_name(asked.name)
        priority = SMALL_PRIORITY if asked.count <= SMALL_BATCH_FILES else FOLDER_PRIORITY
        with database.transaction() as session:
            batch = create_batch(session, user.id, name, priority=priority, idem_key=asked.idem_key)
        return {"id": batch.id, "state": batch.state, "chunk_bytes": CHUNK_BYTES}

    @router.put("/batches/{batch_id}/files/{number}")
    async def put_chunk(
        request: Request,
        batch_id: BatchId,
        number: Annotated[int, PathParameter(ge=1, le=settings.max_batch_files)],
        place: Annotated[Place, Query()],
        user: Owner,
    ) -> JSONResponse:
        path, _ = clean_name(place.path)
        chunk = Chunk(batch_id, number, path, place.size, place.offset)
        body = body_of(request)
        try:
            received = await receiver.receive(user, chunk, body)
            await _read_to_end(body)
        except WrongOffsetError as error:
            await _read_to_end(body)
            return JSONResponse(
                {"code": "WRONG_OFFSET", "message": str(error), "received": error.received}, status_code=409
            )
        except PhototagError:
            await _read_to_end(body)
            raise
        return JSONResponse({"received": received.received, "done": received.done, "code": received.code})

    @router.get("/batches/{batch_id}/files")
    def list_files(batch_id: BatchId, user: Owner) -> Json:
        with database.reading() as session:
            batch = get_batch(session, batch_id, user)
            # arrays, not objects: a folder may have 100,000 files
            files = [
                [upload.number, upload.size_bytes, upload.received_bytes, upload.done]
                for upload in uploads_of(session, batch_id)
            ]
        return {"id": batch.id, "state": batch.state, "files": files}

    @router.post("/batches/{batch_id}/seal")
    def seal(batch_id: BatchId, asked: Seal, user: Owner) -> Json:
        with database.transaction() as session:
            batch = get_batch(session, batch_id, user)
            if batch.state == "receiving":
                _check_complete(session, batch_id, asked.count)
                seal_batch(session, batch_id)
            state = get_batch(session, batch_id, user).state
        receiver.sealed(batch_id, state)
        return {"id": batch_id, "state": state}

    @router.post("/photos", status_code=201)
    async def try_one(
        request: Request, name: Annotated[str, Query(min_length=1, max_length=4096)], user: Owner
    ) -> Json:
        clean, _ = clean_name(PurePosixPath(name.replace("\\", "/")).name or name)
        batch_id = await singles.accept(user, clean, body_of(request))
        return {"id": batch_id}

    return router


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """The parts of a request's body as they come.

    Raises:
        TimeoutError: nothing came for a minute.
    """
    parts = request.stream()
    while True:
        part = await asyncio.wait_for(anext(parts, None), SILENCE_S)
        if part is None:
            return
        yield part


async def _read_to_end(body: AsyncIterator[bytes]) -> None:
    """Reads what is left of a chunk: who is cut off while sending never sees the answer."""
    async for _ in body:
        pass


def _check_complete(session: Session, batch_id: str, count: int) -> None:
    done = sum(upload.done for upload in uploads_of(session, batch_id))
    if done != count:
        msg = f"{done:,} of {count:,} files are here. Send the others, then finish the batch again."
        raise ConflictError(msg)
