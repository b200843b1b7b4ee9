"""JSON routes about batches: list, counts, photos, cancel, retry, results; and what the service is doing."""

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from db.batch_view import batch_items, batch_progress, iter_items, recent_tagged
from db.batches import cancel_batch, get_batch, list_batches, retry_batch
from db.errors import ConflictError
from db.schema import OPEN_BATCH_STATES, Batch, User
from db.session import Database
from db.settings import DataSettings
from ui.access import Needs
from ui.nudge import Nudger
from ui.results import csv_lines, jsonl_lines
from ui.shapes import Json, batch_shape, cursor_of, item_shape

Owner = Annotated[User, Depends(Needs("owner"))]
BatchId = Annotated[str, PathParameter(pattern="^[a-z][a-z0-9]{11}$")]
ItemState = Literal["ready", "leased", "tagged", "refused", "failed", "cancelled"]

PAGE = 60
MAX_PAGE = 200
COVERS = 4
MAX_CLOSED = 2000
COPY_BYTES = 256 * 1024


def batches_routes(
    database: Database, data_settings: DataSettings, nudger: Nudger
) -> APIRouter:
    """Everything about batches but their making, which is in `ui.uploads_api`."""
    router = APIRouter(prefix="/api/batches")
    closed = ClosedBatches()

    @router.get("")
    def list_own(user: Owner, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 30, before: str | None = None) -> Json:  # pyright: ignore[reportUnusedFunction]
        with database.reading() as session:
            batches = list_batches(session, user, limit, before)
            shapes = [closed.get(batch.id) or _list_shape(session, batch) for batch in batches]
        for shape in shapes:
            if shape["finished_at"] is not None:
                closed.keep(shape["id"], shape)
        return {"batches": shapes, "more": len(shapes) == limit}

    @router.get("/{batch_id}")
    def show(batch_id: BatchId, user: Owner) -> Json:  # pyright: ignore[reportUnusedFunction]
        with database.reading() as session:
            batch = get_batch(session, batch_id, user)
            return batch_shape(batch, batch_progress(session, batch_id))

    @router.get("/{batch_id}/items")
    def list_items(  # pyright: ignore[reportUnusedFunction]
        batch_id: BatchId,
        user: Owner,
        after: Annotated[str, Query(pattern=r"^(\d{1,9}\.\d{1,9})?$")] = "",
        state: Annotated[list[ItemState] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
    ) -> Json:
        with database.reading() as session:
            get_batch(session, batch_id, user)
            items = batch_items(session, batch_id, states=state, after=cursor_of(after), limit=limit)
        return {"items": [item_shape(item) for item in items], "more": len(items) == limit}

    @router.get("/{batch_id}/recent")
    def list_recent(batch_id: BatchId, user: Owner, limit: Annotated[int, Query(ge=1, le=50)] = 12) -> Json:  # pyright: ignore[reportUnusedFunction]
        with database.reading() as session:
            get_batch(session, batch_id, user)
            return {"items": [item_shape(item) for item in recent_tagged(session, batch_id, limit)]}

    @router.post("/{batch_id}/cancel")
    def cancel(batch_id: BatchId, user: Owner) -> Json:  # pyright: ignore[reportUnusedFunction]
        with database.transaction() as session:
            batch = get_batch(session, batch_id, user)
            if batch.state not in OPEN_BATCH_STATES:
                msg = f"This batch is {batch.state} already; there is nothing left to cancel."
                raise ConflictError(msg)
            cancel_batch(session, batch_id)
        return show(batch_id, user)

    @router.post("/{batch_id}/retry", status_code=201)
    def retry(batch_id: BatchId, user: Owner) -> Json:  # pyright: ignore[reportUnusedFunction]
        with database.transaction() as session:
            get_batch(session, batch_id, user)
            batch = retry_batch(session, batch_id, user.id)
        nudger.tag()
        return {"id": batch.id}

    @router.get("/{batch_id}/results.{form}")
    def results(batch_id: BatchId, form: Literal["csv", "jsonl"], user: Owner) -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
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


class ClosedBatches:
    """What the list shows of closed batches. It never changes, and counting 100,000 photos takes 15 ms each time."""

    def __init__(self) -> None:
        self._shapes: dict[str, Json] = {}

    def get(self, batch_id: str) -> Json | None:
        """The shape of a closed batch, if it was kept."""
        return self._shapes.get(batch_id)

    def keep(self, batch_id: str, shape: Json) -> None:
        """Keeps a shape; the oldest goes when there are too many."""
        self._shapes[batch_id] = shape
        if len(self._shapes) > MAX_CLOSED:
            del self._shapes[next(iter(self._shapes))]


def _list_shape(session: Session, batch: Batch) -> Json:
    newest = recent_tagged(session, batch.id, COVERS)
    covers = [item.photo_id for item in newest if item.has_previews]
    return batch_shape(batch, batch_progress(session, batch.id)) | {"covers": covers}


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
    harmless = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name).strip(". ") or "results"
    return f"attachment; filename=\"{harmless}\"; filename*=UTF-8''{quote(name.replace('/', '_'), safe='')}"
