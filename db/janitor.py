"""The janitor: goes on with deletions that were begun, deletes bytes that are due, makes up for what is missing.

The pages and every worker have one; what costs more than a glance they do in turn, by an entry in the database.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from db.blobs import Blobs
from db.collecting import collect_garbage
from db.deleting import delete_batch
from db.garbage import batches_going, take_turn
from db.login_failures import forget_old_failures
from db.missing_codes import make_missing_codes
from db.orphans import (
    delete_orphan_bytes,
    delete_orphan_photos,
    remove_orphan_artifacts,
    remove_stale_staging,
)
from db.retag_showing import restore_some
from db.session import Database
from db.spare_spaces import forget_spare_spaces

log = logging.getLogger(__name__)

# How often to call a janitor.
JANITOR_S = 20.0
COLLECT_EVERY_S = 60.0
ORPHANS_EVERY_S = 3600.0
CODES_EVERY_S = 60.0
# Between two looks at whether to stop.
RESTORE_S = 2.0
# Whoever deletes a batch says so with every group of items; silent for so long, it was killed.
ABANDONED_S = 30.0
# The folder of versions' files, beside that of half-received bytes.
MODELS = "models"


class Janitor:
    """One round a call. It ends soon when `stopping` says so; the next one goes on."""

    def __init__(self, database: Database, blobs: Blobs, staging_dir: Path, stopping: Callable[[], bool]) -> None:
        self._database = database
        self._blobs = blobs
        self._staging_dir = staging_dir
        self._stopping = stopping
        self._staging_due_at = 0.0

    def __call__(self) -> None:
        """Does what is due."""
        self._go_on_deleting()
        self._go_on_restoring()
        if self._is_turn("collect", COLLECT_EVERY_S):
            collect_garbage(self._database, self._blobs, stopping=self._stopping)
        if self._is_turn("orphans", ORPHANS_EVERY_S):
            self._delete_what_is_over()
        if self._is_turn("codes", CODES_EVERY_S):
            make_missing_codes(self._database, self._blobs, stopping=self._stopping)
        if time.monotonic() >= self._staging_due_at:  # each machine has its own
            remove_stale_staging(self._staging_dir)
            remove_orphan_artifacts(self._database, self._staging_dir.with_name(MODELS))
            self._staging_due_at = time.monotonic() + ORPHANS_EVERY_S

    def _go_on_deleting(self) -> None:
        with self._database.reading() as session:
            batch_ids = batches_going(session, ABANDONED_S)
        for batch_id in batch_ids:
            log.info("Batch %s was being deleted by a process that has ended; its deletion goes on.", batch_id)
            delete_batch(self._database, batch_id, self._stopping)

    def _go_on_restoring(self) -> None:
        """After a roll back, what the page or the command that did it had no time for."""
        left = 1
        while left and not self._stopping():
            left = restore_some(self._database, limit_s=RESTORE_S).left

    def _is_turn(self, what: str, every_s: float) -> bool:
        if self._stopping():
            return False
        with self._database.transaction() as session:
            return take_turn(session, what, every_s)

    def _delete_what_is_over(self) -> None:
        photos = delete_orphan_photos(self._database, stopping=self._stopping)
        objects = delete_orphan_bytes(self._database, self._blobs, stopping=self._stopping)
        forget_spare_spaces(self._database, self._blobs, stopping=self._stopping)
        with self._database.transaction() as session:
            forget_old_failures(session)
        if photos or objects:
            log.info("%d photos that no batch has and %d files that nothing refers to were deleted.", photos, objects)
