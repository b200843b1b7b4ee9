"""Routes of the programming interface that take photos: one alone, or a batch file by file, resumable."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import Field

from db.batch_view import batch_progress
from db.batches import get_batch
from db.codes import reason_text
from db.errors import NotFoundError
from db.names import clean_name
from db.schema import OPEN_ITEM_STATES, Upload
from db.session import Database
from ui.single import SinglePhotos
from ui.submitting import Submitting, body_of, name_of_path
from ui.upload import CHUNK_BYTES, Chunk
from ui.v1_batch_shapes import BatchAnswer, ItemAnswer, batch_answer, item_answer
from ui.v1_fields import (
    MAX_PAGE,
    Answer,
    Asked,
    BatchId,
    IdempotencyKey,
    Limit,
    Next,
    Reader,
    Submitter,
    next_page,
    said,
)

MAX_WAIT_S = 30.0
RANGE = re.compile(r"^bytes (\d{1,15})-(\d{1,15})/(\d{1,15})$")
BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

FileNumber = Annotated[
    int, PathParameter(ge=1, le=2**31 - 1, description="Your number of the file in its batch: 1, 2, ...")
]
FilePath = Annotated[
    str, Query(min_length=1, max_length=4096, description="The file's path in its folder, as it shall be shown.")
]


class PhotoSent(Answer):
    """A photo that was accepted, as a batch of its own."""

    batch_id: str
    finished: Annotated[bool, Field(description="Whether `item` has ended; else ask for the batch's items.")]
    item: Annotated[
        ItemAnswer | None, Field(description="The photo with its labels; null while it is not finished, or an archive.")
    ]


class NewBatch(Asked):
    """A batch to make. `files` and `bytes` are announcements: they order the queue and find a full disk early."""

    name: Annotated[str, Field(min_length=1, max_length=255, examples=["Summer 2024"])]
    files: Annotated[int | None, Field(ge=1, description="How many files will come.")] = None
    bytes: Annotated[int, Field(ge=0, description="How large they are together.")] = 0


class BatchMade(Answer):
    """A batch that takes files."""

    id: str
    state: str
    chunk_bytes: Annotated[int, Field(description="The largest part of a file that one request may carry.")]


class FileAnswer(Answer):
    """How much of a file is here."""

    number: int
    path: str
    size_bytes: int
    received_bytes: Annotated[int, Field(description="Where the next part starts.")]
    done: Annotated[bool, Field(description="The file is complete and kept.")]
    code: Annotated[str | None, Field(description="Why it was refused, if this request found that out.")] = None
    reason: Annotated[str | None, Field(description="The same in words.")] = None


class FilePage(Answer):
    """Files of a batch that have begun to arrive, by number."""

    files: list[FileAnswer]
    next: Next


class Seal(Asked):
    """How many files the batch has."""

    files: Annotated[int, Field(ge=1)]


def submit_routes(database: Database, submitting: Submitting, singles: SinglePhotos) -> APIRouter:
    """POST of one photo; POST of a batch, PUT and GET of its files, its seal."""
    router = APIRouter(tags=["submit"])
    _add_files(router, submitting)

    @router.post(
        "/photos", status_code=201, openapi_extra={"requestBody": {"required": True, "content": BYTES}},
        responses={409: said("The key was used for another photo."), 413: said("It is larger than one photo may be.")},
    )  # fmt: skip
    async def submit_photo(
        request: Request,
        response: Response,
        name: Annotated[str, Query(min_length=1, max_length=4096, description="The file's name.")],
        user: Submitter,
        idempotency_key: IdempotencyKey = None,
        wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="Seconds to wait for the labels.")] = 0.0,
    ) -> PhotoSent:
        """Sends one photo, the file as the body; it goes ahead of all folders. A small archive will do as well."""
        # with a space, so that it is never the key of a batch
        key = f"photo {idempotency_key}" if idempotency_key else None
        batch_id = await singles.accept(user, name_of_path(name), body_of(request), key)
        item = await singles.wait(user, batch_id, wait_s)
        if item is not None and item.archive_number:
            item = None
        response.headers["Location"] = f"/api/v1/batches/{batch_id}"
        finished = item is not None and item.state not in OPEN_ITEM_STATES
        return PhotoSent(batch_id=batch_id, finished=finished, item=item_answer(item) if item else None)

    @router.post("/batches", status_code=201, responses={413: said("More than a batch may have.")})
    def create_batch(
        asked: NewBatch, response: Response, user: Submitter, idempotency_key: IdempotencyKey = None
    ) -> BatchMade:
        """Makes a batch that takes files; send them with `put_file`, then seal it."""
        batch = submitting.create(user, asked.name, count=asked.files, size_bytes=asked.bytes, idem_key=idempotency_key)
        response.headers["Location"] = f"/api/v1/batches/{batch.id}"
        return BatchMade(id=batch.id, state=batch.state, chunk_bytes=CHUNK_BYTES)

    @router.post(
        "/batches/{batch_id}/seal", responses={409: said("Other than so many files are here; send the rest first.")}
    )
    def seal_batch(batch_id: BatchId, asked: Seal, user: Submitter) -> BatchAnswer:
        """Says that all files of a batch were sent. Twice is once."""
        submitting.seal(user, batch_id, asked.files)
        with database.reading() as session:
            return batch_answer(get_batch(session, batch_id, user), batch_progress(session, batch_id))

    return router


def _add_files(router: APIRouter, submitting: Submitting) -> None:
    @router.put(
        "/batches/{batch_id}/files/{number}",
        openapi_extra={"requestBody": {"required": True, "content": BYTES}},
        responses={
            409: said("The part does not start where the file ends so far (`WRONG_OFFSET`, with `received`), the number"
                      " stands for another file, or the batch takes no more files."),
            411: said("`Content-Length` is missing."),
            413: said("The body is larger than `chunk_bytes`, or the batch than it may be."),
        },
    )  # fmt: skip
    async def put_file(
        request: Request,
        batch_id: BatchId,
        number: FileNumber,
        path: FilePath,
        user: Submitter,
        content_range: Annotated[
            str | None,
            Header(description="Which part of the file the body is. Without it the body is the whole file.",
                   pattern=RANGE.pattern, examples=["bytes 0-8388607/20000000"]),
        ] = None,
    ) -> FileAnswer:  # fmt: skip
        """Sends a file, or a part of it: parts in their order, each answered before the next is sent.

        After a break ask with `get_file` how much is here, and go on from there. With the last part the file is kept.
        Sending a file again that is complete changes nothing.
        """
        offset, size = _part(request.headers.get("content-length"), content_range)
        clean, _ = clean_name(path)
        received = await submitting.receive(user, Chunk(batch_id, number, clean, size, offset), request)
        return FileAnswer(
            number=number,
            path=clean,
            size_bytes=size,
            received_bytes=received.received,
            done=received.done,
            code=received.code,
            reason=reason_text(received.code) or None,
        )

    @router.get("/batches/{batch_id}/files/{number}")
    def get_file(batch_id: BatchId, number: FileNumber, user: Submitter) -> FileAnswer:
        """How much of a file is here. 404 when nothing of it is."""
        _, uploads = submitting.files(user, batch_id, after=number - 1, limit=1)
        if not uploads or uploads[0].number != number:
            msg = "Nothing of this file is here. Send it from its beginning."
            raise NotFoundError(msg)
        return _file_answer(uploads[0])

    @router.get("/batches/{batch_id}/files")
    def list_files(
        request: Request,
        batch_id: BatchId,
        user: Reader,
        cursor: Annotated[int, Query(ge=0, le=2**31 - 1, description="Where the page begins; leave it to `next`.")] = 0,
        limit: Limit = MAX_PAGE,
    ) -> FilePage:
        """The files of a batch that have begun to arrive."""
        _, uploads = submitting.files(user, batch_id, after=cursor, limit=limit)
        last = uploads[-1].number if len(uploads) == limit else None
        return FilePage(files=[_file_answer(upload) for upload in uploads], next=next_page(request, last))


def _part(content_length: str | None, content_range: str | None) -> tuple[int, int]:
    """Offset of the body in its file, and the file's size.

    Raises:
        HTTPException: 411 the length is not given, 422 the two contradict each other.
    """
    if content_length is None or not content_length.isdecimal():
        raise HTTPException(411, "Send Content-Length, the size of this part in bytes.")
    length = int(content_length)
    found = RANGE.fullmatch(content_range) if content_range else None
    if found is None:
        return 0, length
    first, last, size = map(int, found.groups())
    if not first <= last < size or last - first + 1 != length:
        msg = f"Content-Range and Content-Length contradict each other. Send bytes FIRST-LAST/SIZE of {length} bytes."
        raise HTTPException(422, msg)
    return first, size


def _file_answer(upload: Upload) -> FileAnswer:
    return FileAnswer(
        number=upload.number,
        path=upload.path,
        size_bytes=upload.size_bytes,
        received_bytes=upload.received_bytes,
        done=upload.done,
    )
