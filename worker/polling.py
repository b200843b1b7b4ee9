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

    def __init__(self, database: Database, *, tagger: Tagger | None, unpack: Callable[[], bool] | None) -> None:
        self._database = database
        self._tagger = tagger
        self._unpack = unpack

    def __call__(self) -> None:
        """Looks, and works for at most one turn.

        Raises:
            DatabaseUnavailableError: the database cannot be asked.
            DeviceLostError: as in `Tagger.tag`.
        """
        with self._database.reading() as session:
            items = self._tagger is not None and has_ready_items(session)
            archives = self._unpack is not None and bool(ready_archive_batches(session))
        if self._tagger is not None and items and time.monotonic() - self._tagger.last_turn_at > QUIET_S:
            self._tagger.tag(TURN_S)
        if self._unpack is not None and archives:
            self._unpack()
