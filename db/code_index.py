"""Codes of one space in memory, to be compared with one of them all at once. Kept up to date from the database.

72 bytes a photo. A million are read in a few seconds.
"""

import threading
from collections.abc import Collection
from concurrent.futures import Future, wait
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.feature_codes import CODE_BITS
from db.schema import FeatureShard, PhotoFeatures
from db.session import Database

CODE_BYTES = CODE_BITS // 8
WORDS = CODE_BITS // 64
# Rows that are compared at once: they and what comes out of them stay in the processor's cache.
BLOCK = 65_536
# Shards that are read at once, about 20,000 photos.
SHARDS_AT_ONCE = 300
# A shard's number may appear after greater ones: it is drawn before its transaction ends. Never by as many as these.
OVERTAKEN = 1000

Ids = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Distances = npt.NDArray[np.uint16]


class Codes(NamedTuple):
    """Photos with their codes as they are at one moment: ids (n,), words (8, n)."""

    ids: Ids
    words: Words

    def distances(self, code: bytes) -> Distances:
        """In how many bits each code differs from this one, 0 to 512, (n,)."""
        wanted = np.frombuffer(code, np.uint64)
        found = np.zeros(len(self.ids), np.uint16)
        differing, counts = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint8)
        for start in range(0, len(found), BLOCK):
            block = found[start : start + BLOCK]
            size = len(block)
            for word, row in zip(wanted, self.words, strict=True):
                np.bitwise_xor(row[start : start + size], word, out=differing[:size])
                np.bitwise_count(differing[:size], out=counts[:size])
                np.add(block, counts[:size], out=block)
        return found

    def only(self, photo_ids: Collection[int]) -> "Codes":
        """Those of these photos."""
        rows = np.flatnonzero(np.isin(self.ids, np.fromiter(photo_ids, np.int64, len(photo_ids))))
        return Codes(self.ids[rows], self.words[:, rows])


class CodeIndex:
    """The codes of a space. Threads may ask while one of them reads what is new."""

    def __init__(self, database: Database, space: str) -> None:
        self.space = space
        self._database = database
        self._lock = threading.Lock()
        self._reading: Future[None] | None = None
        self._ids: Ids = np.empty(0, np.int64)
        self._words: Words = np.empty((WORDS, 0), np.uint64)
        self._codes = Codes(self._ids, self._words)
        self._known: dict[int, str] = {}  # shards that were read, the last of them: SQLite may use a number again
        self._unread: set[int] = set()

    def refreshed(self, wait_s: float) -> Codes:
        """All codes there are; or those read until now, where reading the others takes longer than `wait_s`.

        Raises:
            DatabaseUnavailableError: they cannot be read.
        """
        with self._lock:
            if self._reading is None or self._reading.done():
                self._reading = Future()
                threading.Thread(target=self._run, args=(self._reading,), name="look-alikes", daemon=True).start()
            reading = self._reading
        if wait([reading], wait_s).done:
            reading.result()
        return self._codes

    def _run(self, reading: "Future[None]") -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            reading.set_exception(error)
        else:
            reading.set_result(None)

    def _read(self) -> None:
        with self._database.reading() as session:
            keys, ready = self._look(session)
            rows = select(func.sum(FeatureShard.rows)).where(FeatureShard.space == self.space)
            expected = session.scalars(rows).one() or 0
        for start in range(0, len(ready), SHARDS_AT_ONCE):
            some = ready[start : start + SHARDS_AT_ONCE]
            with self._database.reading() as session:
                ids, codes = _codes_of(session, self.space, some)
            self._add(ids, codes, expected)
            self._unread.difference_update(some)
            self._known.update((shard, keys[shard]) for shard in some if shard in keys)

    def _look(self, session: Session) -> tuple[dict[int, str], list[int]]:
        """The newest shards with their keys, and those to be read now: not those whose codes are still to be made."""
        without = select(PhotoFeatures.shard_id).where(PhotoFeatures.code.is_(None)).distinct()
        waiting = set(session.scalars(without))
        first = max(self._known, default=0) - OVERTAKEN
        query = select(FeatureShard.id, FeatureShard.key)
        newest = session.execute(query.where(FeatureShard.space == self.space, FeatureShard.id > first))
        keys = {row.id: row.key for row in newest}
        self._known = {shard: key for shard, key in self._known.items() if keys.get(shard) == key}
        self._unread |= keys.keys() - self._known.keys()
        return keys, sorted(self._unread - waiting)

    def _add(self, ids: Ids, codes: Words, expected: int) -> None:
        """Appends behind what readers hold, then shows them more."""
        count, total = len(self._codes.ids), len(self._codes.ids) + len(ids)
        if total > len(self._ids):
            capacity = max(expected, total + total // 8)
            self._ids, old_ids = np.empty(capacity, np.int64), self._ids
            self._words, old_words = np.empty((WORDS, capacity), np.uint64), self._words
            self._ids[:count], self._words[:, :count] = old_ids[:count], old_words[:, :count]
        self._ids[count:total], self._words[:, count:total] = ids, codes.T
        self._codes = Codes(self._ids[:total], self._words[:, :total])


def _codes_of(session: Session, space: str, shards: Collection[int]) -> tuple[Ids, Words]:
    """Ids (n,) and codes (n, 8). Photos of which no code can be made are left out."""
    query = select(PhotoFeatures.photo_id, PhotoFeatures.code).where(
        PhotoFeatures.shard_id.in_(shards),
        PhotoFeatures.space == space,
        func.length(PhotoFeatures.code) == CODE_BYTES,
    )
    rows = session.execute(query).all()
    ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    return ids, np.frombuffer(b"".join(row[1] or b"" for row in rows), np.uint64).reshape(-1, WORDS)
