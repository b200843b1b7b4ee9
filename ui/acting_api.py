"""Routes that act on a batch: cancel, try failed photos again, download the results."""

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from db.batch_view import batch_progress, iter_items
from db.batches import cancel_batch, get_batch, retry_batch
from db.errors import ConflictError
from db.schema import OPEN_BATCH_STATES, User
from db.session import Database
from db.settings import DataSettings
from ui.access import Needs
from ui.batches_api import BatchId
from ui.nudge import Nudger
from ui.results import csv_lines, jsonl_lines
from ui.shapes import Json, batch_shape

Owner = Annotated[User, Depends(Needs("owner"))]

COPY_BYTES = 256 * 1024


def acting_routes(database: Database, data_settings: DataSettings, nudger: Nudger) -> APIRouter:
    """POST cancel and retry, GET results."""
    router = APIRouter(prefix="/api/batches")

    @router.post("/{batch_id}/cancel")
    def cancel(batch_id: BatchId, user: Owner) -> Json:
        with database.transaction() as session:
            batch = get_batch(session, batch_id, user)
            if batch.state not in OPEN_BATCH_STATES:
                msg = f"This batch is {batch.state} already; there is nothing left to cancel."
                raise ConflictError(msg)
            cancel_batch(session, batch_id)
            batch = get_batch(session, batch_id, user)
            return batch_shape(batch, batch_progress(session, batch_id))

    @router.post("/{batch_id}/retry", status_code=201)
    def retry(batch_id: BatchId, user: Owner) -> Json:
        with database.transaction() as session:
            get_batch(session, batch_id, user)
            batch = retry_batch(session, batch_id, user.id)
        nudger.tag()
        return {"id": batch.id}

    @router.get("/{batch_id}/results.{form}")
    def results(batch_id: BatchId, form: Literal["csv", "jsonl"], user: Owner) -> StreamingResponse:
        # A slow reader must not hold a database connection: the file is written first. Unlinked, so it cannot stay.
        data_settings.staging_dir.mkdir(parents=True, exist_ok=True)
        stream = tempfile.TemporaryFile(dir=data_settings.staging_dir)  # noqa: SIM115 - closed when it is sent
        with database.reading() as session:
            name = get_batch(session, batch_id, user).name
            items = iter_items(session, batch_id)
            _write(stream, csv_lines(items) if form == "csv" else jsonl_lines(items))
        headers = {"Content-Disposition": _attachment(f"{name}-results.{form}"), "Cache-Control": "no-store"}
        media_type = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl; charset=utf-8"
        return StreamingResponse(_parts(stream), media_type=media_type, headers=headers)

    return router


def _write(stream: IO[bytes], lines: Iterable[str]) -> None:
    for line in lines:
        stream.write(line.encode())
    stream.seek(0)


def _parts(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while data := stream.read(COPY_BYTES):
            yield data


def _attachment(name: str) -> str:
    """A Content-Disposition whose plain name is harmless and whose full name survives (RFC 6266)."""
    harmless = (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name).strip(". ") or "results"
    )
    return f"attachment; filename=\"{harmless}\"; filename*=UTF-8''{quote(name.replace('/', '_'), safe='')}"
