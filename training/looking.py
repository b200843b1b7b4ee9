"""Looks now and then whether people have labelled enough anew, and then for labels that look wrong."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row

from db.blobs import Blobs
from db.doubts import NewVerdicts, labelled_photos, mark_judged, new_verdicts, raise_doubts
from db.feature_spaces import active_space
from db.garbage import end_turn, take_turn
from db.session import Database, utc_now
from training.pooled import PooledFeatures

log = logging.getLogger(__name__)

# So many new verdicts are worth a look at once; fewer after a pause, when the person may be done.
MANY = 20
QUIET = dt.timedelta(minutes=2)
# Entry of `garbage` that says who is at it. Whoever is killed meanwhile holds up the others for so long.
TURN = "doubts"
LONGEST_S = 600.0


class Looking:
    """One look a call. Of several processes one works at a time."""

    def __init__(self, database: Database, blobs: Blobs, stopping: Callable[[], bool]) -> None:
        self._database = database
        self._stopping = stopping
        self._features = PooledFeatures(blobs)
        self._has_turn = False

    def __call__(self) -> None:
        """Searches if it is time.

        Raises:
            DatabaseUnavailableError: the database cannot be reached.
        """
        with self._database.reading() as session:
            if not is_time(new_verdicts(session, MANY)):
                return
        with self._database.transaction() as session:
            self._has_turn = take_turn(session, TURN, LONGEST_S)
        if not self._has_turn:
            return
        try:
            self._search()
        finally:
            self.give_back()

    def give_back(self) -> None:
        """Lets another process take over what this one has begun."""
        if self._has_turn:
            with self._database.transaction() as session:
                end_turn(session, TURN)
            self._has_turn = False

    def _search(self) -> None:
        at = utc_now()
        with self._database.reading() as session:
            verdicts = new_verdicts(session, MANY)  # another process may have judged them just now
            space = active_space(session)
            photos = labelled_photos(session, space) if space is not None and is_time(verdicts) else ()
        if verdicts.last_at is None or not is_time(verdicts):
            return
        if space is not None and photos:
            self._judge(space, photos, at)
        if not self._stopping():
            with self._database.transaction() as session:
                mark_judged(session, verdicts.last_at)

    def _judge(self, space: str, photos: Sequence[Row[*tuple[Any, ...]]], at: dt.datetime) -> None:
        # 2 s and 100 MB that a machine on which nobody labels does without
        from training.doubts import LabelledPhotos, find_doubts  # noqa: PLC0415

        began = time.monotonic()
        vectors = self._features.read(space, photos, self._stopping)
        known = [photo for photo in photos if photo.photo_id in vectors]
        if not known:
            return
        labelled = LabelledPhotos(
            photo_ids=np.array([photo.photo_id for photo in known]),
            label_ids=np.array([photo.label_id for photo in known]),
            groups=np.array([photo.group_id for photo in known]),
            vectors=np.stack([vectors[photo.photo_id] for photo in known]).astype(np.float32),
        )
        doubts = find_doubts(labelled, self._stopping)
        if self._stopping():
            return
        if doubts.missing:
            log.info("%s", doubts.missing)
            return
        raised = raise_doubts(self._database, doubts.found, at)
        seconds = time.monotonic() - began
        log.info("%d labels of %d photos look wrong (%.1f s).", raised, len(known), seconds)


def is_time(verdicts: NewVerdicts) -> bool:
    """Whether what people have said is worth a search."""
    if verdicts.last_at is None:
        return False
    return verdicts.verdicts >= MANY or utc_now() - verdicts.last_at >= QUIET
