"""The route that deletes a batch: gone for everybody with the answer, its rows and bytes in the minutes after it."""

import logging
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends

from db.audit import record_audit
from db.batches import get_batch
from db.deleting import begin_deleting, delete_batch
from db.errors import PhototagError
from db.schema import User
from db.session import Database
from db.settings import DataSettings
from ui.access import Needs
from ui.batches_api import BatchId, ClosedBatches
from ui.shapes import Json
from ui.staging import remove_batch_staging

Owner = Annotated[User, Depends(Needs("owner"))]

log = logging.getLogger(__name__)


def deleting_routes(
    database: Database, data_settings: DataSettings, closed: ClosedBatches, stopping: Callable[[], bool]
) -> APIRouter:
    """DELETE of a batch. What is not done when this process stops, a janitor does."""
    router = APIRouter(prefix="/api/batches")

    @router.delete("/{batch_id}")
    def delete(batch_id: BatchId, user: Owner, after_the_answer: BackgroundTasks) -> Json:
        with database.transaction() as session:
            batch = get_batch(session, batch_id, user)
            begin_deleting(session, batch_id)
            record_audit(session, user, "batches.delete", batch.name, {"batch": batch_id})
        closed.forget([batch_id])
        remove_batch_staging(data_settings.staging_dir, batch_id)
        after_the_answer.add_task(_delete_rows, database, batch_id, stopping)
        return {"id": batch_id}

    return router


def _delete_rows(database: Database, batch_id: str, stopping: Callable[[], bool]) -> None:
    try:
        delete_batch(database, batch_id, stopping)
    except PhototagError as error:
        log.warning("Deleting batch %s was interrupted; the janitor goes on with it. %s", batch_id, error)
