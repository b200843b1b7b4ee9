"""Waits for a batch, sums it up, and writes its results: what `tag` and the demo do after submitting."""

import time
from collections.abc import Callable
from pathlib import Path

from db.batch_view import BatchProgress, batch_progress, iter_items
from db.closing import close_finished_batches
from db.errors import PhototagError
from db.model_versions import get_version
from db.schema import OPEN_BATCH_STATES
from db.session import Database
from db.workers import live_workers
from ui.progress import ProgressView
from ui.results import Format, write_results
from ui.summary import Summary

LOOK_EVERY_S = 0.4
# A worker that loads the network needs some seconds before it says that it lives.
NO_WORKER_AFTER_S = 60.0


def wait_for(database: Database, batch_id: str, view: ProgressView, trouble: Callable[[], str | None]) -> BatchProgress:
    """Returns when nothing of the batch is open any more.

    Args:
        database: where it stands.
        batch_id: the batch.
        view: shows how it gets on.
        trouble: why no work can be done, if so.

    Raises:
        PhototagError: the workers do not start; the batch is kept.
    """
    alone = _NobodyWorks(database, view)
    while True:
        progress = look_at(database, batch_id)
        view.show(progress)
        if progress.state not in OPEN_BATCH_STATES:
            return progress
        reason = trouble()
        if reason is not None:
            msg = f"{reason} Nothing is lost: batch {batch_id} goes on when that is repaired. `phototag doctor` checks."
            raise PhototagError(msg)
        alone.look()
        time.sleep(LOOK_EVERY_S)


def look_at(database: Database, batch_id: str) -> BatchProgress:
    """Where the batch stands; one that has nothing open is closed here and not at the workers' next sweep."""
    with database.reading() as session:
        progress = batch_progress(session, batch_id)
    if progress.state == "running" and progress.ready + progress.leased == 0:
        with database.transaction() as session:
            close_finished_batches(session, [batch_id])
            progress = batch_progress(session, batch_id)
    return progress


def sum_up(database: Database, batch_id: str, *, seconds: float, out: Path | None, form: Format | None) -> Summary:
    """Goes through the batch once: counts, and writes the results file if one is wanted."""
    summary = Summary(batch_id, seconds=seconds)
    with database.reading() as session:
        items = summary.watch(iter_items(session, batch_id))
        if out is not None and form is not None:
            write_results(out, items, form)
        else:
            for _ in items:
                pass
        summary.add_archives(batch_progress(session, batch_id))
        for name in summary.versions:
            summary.notices[name] = str(get_version(session, name).card.get("notice", ""))
    return summary


class _NobodyWorks:
    """Says once that no worker lives, when that has lasted."""

    def __init__(self, database: Database, view: ProgressView) -> None:
        self._database = database
        self._view = view
        self._alone_since: float | None = time.monotonic()

    def look(self) -> None:
        if self._alone_since is None:
            return
        with self._database.reading() as session:
            if live_workers(session):
                self._alone_since = None
                return
        if time.monotonic() - self._alone_since > NO_WORKER_AFTER_S:
            self._view.note("No worker is at work yet. `phototag doctor` in another terminal says why.")
            self._alone_since = None
