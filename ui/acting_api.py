"""Routes that act on a batch: cancel, try failed photos again, download the results."""

import tempfile
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from db.audit import record_audit
from db.batch_view import batch_progress, iter_items
from db.batches import cancel_batch, get_batch
from db.errors import ConflictError
from db.retrying import retry_batch
from db.schema import OPEN_BATCH_STATES, Batch, User
from db.session import Database
from db.settings import DataSettings
from ui.access import Owner
from ui.batches_api import BatchId
from ui.downloads import attachment, parts, write_lines
from ui.nudge import Nudger
from ui.results import csv_lines, jsonl_lines
from ui.shapes import Json, batch_shape


def acting_routes(database: Database, data_settings: DataSettings, nudger: Nudger) -> APIRouter:
    """POST cancel and retry, GET results."""
    router = APIRouter(prefix="/api/batches")

    @router.post("/{batch_id}/cancel")
    def cancel(batch_id: BatchId, user: Owner) -> Json:
        with database.transaction() as session:
            batch = cancel_open_batch(session, user, batch_id)
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
            write_lines(stream, csv_lines(items) if form == "csv" else jsonl_lines(items))
        headers = attachment(f"{name}-results.{form}")
        media_type = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl; charset=utf-8"
        return StreamingResponse(parts(stream), media_type=media_type, headers=headers)

    return router


def cancel_open_batch(session: Session, user: User, batch_id: str) -> Batch:
    """Cancels a batch of this person's.

    Raises:
        NotFoundError: there is no such batch of theirs.
        ConflictError: it has ended already.
    """
    batch = get_batch(session, batch_id, user)
    if batch.state not in OPEN_BATCH_STATES:
        msg = f"This batch is {batch.state} already; there is nothing left to cancel."
        raise ConflictError(msg)
    cancel_batch(session, batch_id)
    record_audit(session, user, "batches.cancel", batch.name, {"batch": batch_id})
    return get_batch(session, batch_id, user)
