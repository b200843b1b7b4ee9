"""The route that deletes a batch: gone for everybody with the answer, its rows and bytes in the minutes after it."""

import logging
from collections.abc import Callable

from fastapi import APIRouter, BackgroundTasks

from db.audit import record_audit
from db.batches import get_batch
from db.deleting import begin_deleting, delete_batch
from db.errors import PhototagError
from db.schema import User
from db.session import Database
from db.settings import DataSettings
from ui.access import Owner
from ui.batches_api import BatchId, ClosedBatches
from ui.shapes import Json
from ui.staging import remove_batch_staging

log = logging.getLogger(__name__)


class BatchDeleter:
    """Deletes batches: out of everybody's sight at once, the rows after the answer. One per web process."""

    def __init__(
        self, database: Database, data_settings: DataSettings, closed: ClosedBatches, stopping: Callable[[], bool]
    ) -> None:
        self._database = database
        self._staging_dir = data_settings.staging_dir
        self._closed = closed
        self._stopping = stopping

    def delete(self, user: User, batch_id: str, after_the_answer: BackgroundTasks) -> None:
        """Deletes a batch of this person's. What is not done when this process stops, a janitor does.

        Raises:
            NotFoundError: there is no such batch of theirs.
        """
        with self._database.transaction() as session:
            batch = get_batch(session, batch_id, user)
            begin_deleting(session, batch_id)
            record_audit(session, user, "batches.delete", batch.name, {"batch": batch_id})
        self._closed.forget([batch_id])
        remove_batch_staging(self._staging_dir, batch_id)
        after_the_answer.add_task(self._delete_rows, batch_id)

    def _delete_rows(self, batch_id: str) -> None:
        try:
            delete_batch(self._database, batch_id, self._stopping)
        except PhototagError as error:
            log.warning("Deleting batch %s was interrupted; the janitor goes on with it. %s", batch_id, error)


def deleting_routes(deleter: BatchDeleter) -> APIRouter:
    """DELETE of a batch."""
    router = APIRouter(prefix="/api/batches")

    @router.delete("/{batch_id}")
    def delete(batch_id: BatchId, user: Owner, after_the_answer: BackgroundTasks) -> Json:
        deleter.delete(user, batch_id, after_the_answer)
        return {"id": batch_id}

    return router
