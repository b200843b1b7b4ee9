"""Finds work in the database when no message says so: the broker may be away, or have forgotten."""

import time
from collections.abc import Callable

from db.archives import ready_archive_batches
from db.items import has_ready_items
from db.session import Database
from worker.tagging import Tagger

# A worker that has just had a turn gets its next message soon; polling would only take turns with it.
QUIET_S = 2.0
TURN_S = 10.0


class Polling:
    """One look for work. Harmless beside messages: one turn of tagging runs at a time, and archives are leased."""

    def __init__(
        self,
        database: Database,
        *,
        tagger: Tagger | None,
        unpack: Callable[[], bool] | None,
        stopping: Callable[[], bool],
    ) -> None:
        self._database = database
        self._tagger = tagger
        self._unpack = unpack
        self._stopping = stopping

    def __call__(self) -> None:
        """Looks, and works while there is work.

        Raises:
            DatabaseUnavailableError: the database cannot be asked.
            DeviceLostError: as in `Tagger.tag`.
        """
        tagger = self._tagger
        if tagger is not None and time.monotonic() - tagger.last_turn_at <= QUIET_S:
            tagger = None
        while self._work(tagger) and not self._stopping():
            pass

    def _work(self, tagger: Tagger | None) -> bool:
        """One turn of each kind of work there is; returns whether more may be left."""
        with self._database.reading() as session:
            ready = tagger is not None and has_ready_items(session)
            archives = self._unpack is not None and bool(ready_archive_batches(session))
        # What a turn has claimed and not reached is ours alone: no row says it is ready, and no message may come.
        tagged = tagger is not None and (ready or tagger.has_waiting) and tagger.tag(TURN_S)
        unpacked = self._unpack is not None and archives and self._unpack()
        return tagged or unpacked
