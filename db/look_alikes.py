"""The photos that look most like one: those whose features have the most in common with its features."""

import math
import threading
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.code_index import CodeIndex, Codes, Distances
from db.errors import NotFoundError
from db.feature_codes import CODE_BITS
from db.feature_spaces import active_space
from db.library_filter import SEES_ALL, in_own_batch
from db.same_files import may_see
from db.schema import Item, Photo, PhotoFeatures, User
from db.session import Database

# So long a request waits for codes to be read; a library of 100,000 photos is ready by then.
WAIT_S = 1.0
# Nearest photos that are tried until enough of them exist and may be seen.
MOST_TRIED = 10_000
SPARE = 40
# The photos of someone with more are found among the nearest of all.
MANY_OWN = 50_000


class Alike(NamedTuple):
    """A photo, and how much it is like the one asked for: 1 the same, 0 nothing in common."""

    photo_id: int
    likeness: float


class LookAlikes:
    """Finds photos by likeness. One for each web process: it holds the codes of all photos in memory."""

    def __init__(self, database: Database, *, wait_s: float = WAIT_S) -> None:
        self._database = database
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._index: CodeIndex | None = None

    def nearest(
        self, session: Session, user: User, photo_id: int, *, limit: int = 24, exclude: Collection[int] = ()
    ) -> list[Alike]:
        """Photos that look most like one, the nearest first; none while it has no features.

        Of a large library the first answers, in the seconds until it is read, are of a part of it.

        Args:
            session: for queries.
            user: who asks; only photos that they may see are told.
            photo_id: the photo itself is not in the answer.
            limit: at most so many.
            exclude: photos that are not wanted.

        Raises:
            NotFoundError: the photo does not exist, or is not theirs to see.
        """
        space = active_space(session)
        code = _code_of(session, user, photo_id, space)
        if space is None or not code:
            return []
        codes = self._index_of(space).refreshed(self._wait_s)
        if user.role not in SEES_ALL:
            codes = _narrowed(session, user, codes)
        found: list[Alike] = []
        unwanted = {photo_id, *exclude}
        distances = codes.distances(code)
        for rows in _steps(distances, limit + len(unwanted) + SPARE):
            near = {int(codes.ids[row]): int(distances[row]) for row in rows}
            wanted = near.keys() - unwanted
            seen = set(session.scalars(select(Photo.id).where(Photo.id.in_(wanted), *may_see(user, Photo.id))))
            found = [Alike(one, likeness(distance)) for one, distance in near.items() if one in seen]
            if len(found) >= limit:
                break
        return found[:limit]

    def _index_of(self, space: str) -> CodeIndex:
        with self._lock:
            if self._index is None or self._index.space != space:
                self._index = CodeIndex(self._database, space)
            return self._index


def likeness(distance: int) -> float:
    """The cosine of the angle that a distance in bits stands for; 0 from a right angle on."""
    return max(0.0, math.cos(math.pi * distance / CODE_BITS))


def _code_of(session: Session, user: User, photo_id: int, space: str | None) -> bytes | None:
    of_space = (PhotoFeatures.photo_id == Photo.id) & (PhotoFeatures.space == space)
    query = select(PhotoFeatures.code).select_from(Photo).outerjoin(PhotoFeatures, of_space)
    row = session.execute(query.where(Photo.id == photo_id, *may_see(user, Photo.id))).one_or_none()
    if row is None:
        msg = f"There is no photo of this id that you may see; go back to the library. Received: {photo_id}"
        raise NotFoundError(msg)
    return row.code


def _narrowed(session: Session, user: User, codes: Codes) -> Codes:
    """The codes of a person's own photos, unless these are very many."""
    own = set(session.scalars(select(Item.photo_id).where(*in_own_batch(user)).distinct().limit(MANY_OWN + 1)))
    return codes if len(own) > MANY_OWN else codes.only({one for one in own if one is not None})


def _steps(distances: Distances, count: int) -> Iterator[list[int]]:
    """Rows of the `count` nearest, the nearest first; then of more and more, as long as they are asked for."""
    total = len(distances)
    while True:
        yield _nearest_rows(distances, min(count, total))
        if count >= min(total, MOST_TRIED):
            return
        count = min(count * 8, MOST_TRIED)


def _nearest_rows(distances: Distances, count: int) -> list[int]:
    """The first of equal distance are those that were read first: a million equal photos cost no sorting."""
    if count == 0:
        return []
    last = np.partition(distances, count - 1)[count - 1]
    nearer = np.flatnonzero(distances < last)
    as_near = np.flatnonzero(distances == last)[: count - len(nearer)]
    in_order = nearer[np.argsort(distances[nearer], kind="stable")]
    rows: list[int] = np.concatenate([in_order, as_near]).tolist()
    return rows
