"""Looks at a watched folder again and again: what is new or changed is submitted, what has gone is marked.

A look reads names, sizes and times and compares them with what is remembered; only a file that differs is opened. It
asks, and is not told: the system tells nothing of what others change on a network drive.
"""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from db.errors import FolderAwayError
from db.names import clean_name
from db.schema import WatchedFolder
from db.watched import (
    files_to_submit_again,
    known_files,
    mark_back,
    mark_gone,
    note_scanned,
    path_key,
    present_files,
    submit_again,
    watch_folder,
)
from ui.folder_walk import Sighting, Walk, require_there
from ui.watch_intake import Desk, FolderIntake

# A file that has been as it is for so long is complete: copying one writes to it all the time.
SETTLED_S = 3.0
# At most 5 % of the time is spent looking: a slow drive is asked less often.
PAUSE_PER_LOOK = 19.0
FILES_PER_COMPARISON = 500
FILES_PER_MARKING = 2000
# A file that its worker never finds is not submitted for ever: the worker may be on another machine.
MOST_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Changes:
    """What one complete look found.

    Attributes:
        back: files that had gone and are there again, as they were.
        unsettled: files that are being written, or could not be read just now: a later look takes them.
        unreadable: files and folders of which nothing could be found out; what is known of them stays.
        batch_id: where new and changed files were submitted, if there were any.
        looked_s: how long it took, without reading and submitting files.
    """

    new: int
    changed: int
    gone: int
    back: int
    unsettled: int
    unreadable: tuple[str, ...]
    batch_id: str | None
    looked_s: float

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was found."""
        return not (self.new or self.changed or self.gone or self.back)

    def line(self) -> str:
        """`12 new, 3 changed, 1 gone: batch c8mq6y4m77dx`."""
        counts = ("new", self.new), ("changed", self.changed), ("gone", self.gone), ("back", self.back)
        text = ", ".join(f"{count:,} {word}" for word, count in counts if count) or "nothing new"
        return f"{text}: batch {self.batch_id}" if self.batch_id is not None else text


def pause_after(looked_s: float, every_s: float) -> float:
    """Seconds until the next look."""
    return max(every_s, looked_s * PAUSE_PER_LOOK)


class FolderWatch:
    """Looks at one folder. Only one at a time may, which is for the caller to see to."""

    def __init__(self, desk: Desk, skip: Collection[Path], on_group: Callable[[str], None]) -> None:
        """Nothing happens yet.

        Args:
            desk: the folder, and where what is found in it goes.
            skip: files and folders that are left out.
            on_group: called with the batch's id after each group that can be worked on.
        """
        self._desk = desk
        self._skip = skip
        self._on_group = on_group
        self._repeats: Counter[str] = Counter()
        # by key: size, mtime, and since when (monotonic) the file has been so
        self._unsettled: dict[str, tuple[int, int, float]] = {}
        self._before: dict[str, tuple[int, int, float]] = {}

    @property
    def shown(self) -> str:
        """The folder's name."""
        return self._desk.shown

    def shown_path(self, path: str) -> str:
        """A path within the folder, harmless."""
        return clean_name(f"{self._desk.shown}/{path}")[0]

    def look(self) -> Changes:
        """One complete look.

        Raises:
            FolderAwayError: the folder is missing, unreadable or suddenly empty; nothing is marked.
            ConflictError: its batch was cancelled meanwhile.
            StorageFullError: the disk has no room for the copies.
            DatabaseUnavailableError: what was not written yet is found by the next look.
        """
        folder = self._opened()
        self._submit_failed_again(folder)
        self._before, self._unsettled = self._unsettled, {}
        look = _Look(folder, Walk(self._desk.root, self._skip), FolderIntake(self._desk, folder, self._on_group))
        started_at = time.monotonic()
        files = look.walk.files()
        while group := list(islice(files, FILES_PER_COMPARISON)):
            self._compare(look, group)
        look.submit(look.intake.finish)
        self._require_there(held_files=look.seen.buffer_info()[1] > 0 or self._holds_files(folder))
        gone = self._mark_gone(look)
        looked_s = time.monotonic() - started_at - look.submitting_s
        with self._desk.intake.database.transaction() as session:
            note_scanned(session, folder.id)
        intake = look.intake
        unsettled, unreadable = len(self._unsettled) + intake.not_read, tuple(look.walk.unreadable)
        batch_id = intake.batch_id if intake.new or intake.changed else None
        return Changes(intake.new, intake.changed, gone, look.back, unsettled, unreadable, batch_id, looked_s)

    def _opened(self) -> WatchedFolder:
        """The folder's row, made when it is first there."""
        with self._desk.intake.database.transaction() as session:
            folder = watch_folder(session, self._desk.owner.id, str(self._desk.root))
        self._require_there(held_files=self._holds_files(folder))
        return folder

    def _holds_files(self, folder: WatchedFolder) -> bool:
        with self._desk.intake.database.reading() as session:
            return bool(present_files(session, folder.id, "", 1))

    def _require_there(self, *, held_files: bool) -> None:
        require_there(self._desk.root, self._skip, self._desk.shown, held_files=held_files)

    def _submit_failed_again(self, folder: WatchedFolder) -> None:
        """Lets what failed because its drive was away look changed."""
        database = self._desk.intake.database
        with database.reading() as session:
            failed = files_to_submit_again(session, folder, self._desk.key)
        again = [(key, batch_id) for key, batch_id in failed if self._repeats[key] < MOST_REPEATS]
        if again:
            with database.transaction() as session:
                self._repeats.update(submit_again(session, folder.id, again))

    def _compare(self, look: "_Look", sightings: list[Sighting]) -> None:
        keys = [path_key(sighting.path) for sighting in sightings]
        database = self._desk.intake.database
        with database.reading() as session:
            known = known_files(session, look.folder.id, keys)
        back = [
            key
            for key, sighting in zip(keys, sightings, strict=True)
            if key in known and known[key].is_gone and sighting.is_as(known[key])
        ]
        if back:
            with database.transaction() as session:
                mark_back(session, look.folder, back)
            look.back += len(back)
        for key, sighting in zip(keys, sightings, strict=True):
            look.seen.append(_short(key))
            if key in known and sighting.is_as(known[key]):
                continue
            if self._is_settled(key, sighting):
                look.take(sighting, is_new=key not in known)

    def _is_settled(self, key: str, sighting: Sighting) -> bool:
        """Whether a file can be read: not one that is being copied. Its clock may be another machine's."""
        now = time.monotonic()
        if time.time() - sighting.mtime_ns / 1e9 >= SETTLED_S:
            return True
        size, mtime, since = self._before.get(key, (None, None, now))
        if (size, mtime) != (sighting.size_bytes, sighting.mtime_ns):
            since = now
        if now - since >= SETTLED_S:
            return True
        self._unsettled[key] = (sighting.size_bytes, sighting.mtime_ns, since)
        return False

    def _mark_gone(self, look: "_Look") -> int:
        """Marks what is remembered and was not seen; returns how many. What lies in a folder that is unreadable stays."""
        if "" in look.walk.unreadable:
            msg = f"{self._desk.shown} went away during the look. Is its drive connected? Nothing is marked as gone."
            raise FolderAwayError(msg)
        gone = [key for key, path in self._not_seen(look) if not look.walk.hides(path)]
        for start in range(0, len(gone), FILES_PER_MARKING):
            with self._desk.intake.database.transaction() as session:
                mark_gone(session, look.folder, gone[start : start + FILES_PER_MARKING])
        return len(gone)

    def _not_seen(self, look: "_Look") -> Iterator[tuple[str, str]]:
        """(key, path) of the files that should be there. What was seen takes 8 bytes a file."""
        seen = np.sort(np.frombuffer(look.seen, np.uint64)) if look.seen else np.empty(0, np.uint64)
        after = ""
        while True:
            with self._desk.intake.database.reading() as session:
                page = present_files(session, look.folder.id, after, FILES_PER_MARKING)
            if not page:
                return
            missing = np.isin(np.array([_short(key) for key, _ in page], np.uint64), seen, invert=True)
            yield from (page[index] for index in np.flatnonzero(missing))
            after = page[-1][0]


class _Look:
    """What one look has come by until now."""

    def __init__(self, folder: WatchedFolder, walk: Walk, intake: FolderIntake) -> None:
        self.folder = folder
        self.walk = walk
        self.intake = intake
        self.seen = array("Q")
        self.back = 0
        self.submitting_s = 0.0

    def take(self, sighting: Sighting, *, is_new: bool) -> None:
        """Takes a file, on the clock of submitting."""
        self.submit(lambda: self.intake.take(sighting, is_new=is_new))

    def submit(self, action: Callable[[], None]) -> None:
        """Does something that is not looking."""
        started_at = time.monotonic()
        action()
        self.submitting_s += time.monotonic() - started_at


def _short(key: str) -> int:
    """The first 64 bits of a key: two of a million files share them once in 40 million folders."""
    return int(key[:16], 16)
