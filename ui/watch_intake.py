"""Submits what a look at a watched folder found: in groups, each remembered in the transaction that submits it."""

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.orm import Session

from db.batches import NewItem, create_batch, find_resumable, lock_open_batch, next_position, seal_batch
from db.codes import JUNK
from db.errors import ConflictError
from db.priorities import FOLDER, priority_of
from db.schema import User, WatchedFolder
from db.session import utc_now
from db.watched import FileFacts, LastItem, last_items, mark_items, path_key, remember_files
from ui.folder_walk import Sighting
from ui.listing import verdict
from ui.submit import Group, Intake, write_group

# Of what else goes wrong when a file is opened, a drive's trouble or another program's is the reason: it passes.
FORBIDDEN = frozenset(os.strerror(number) for number in (errno.EACCES, errno.EPERM))
ENDED_WELL = ("ready", "leased", "tagged", "refused")


def source_key(owner_id: int, root: Path) -> str:
    """What the batches of a watched folder have in common: finds the one to go on with."""
    return hashlib.sha256(b"\0".join([b"watch", str(owner_id).encode(), os.fsencode(root)])).hexdigest()


@dataclass(frozen=True)
class Desk:
    """Where the files of one watched folder go, and whose they are."""

    intake: Intake
    owner: User
    root: Path
    shown: str
    copy: bool

    @property
    def key(self) -> str:
        """Of the folder's batches."""
        return source_key(self.owner.id, self.root)


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was read, to be submitted and remembered; `last`: what it became when it was submitted before."""

    item: NewItem
    facts: FileFacts
    is_new: bool
    last: LastItem | None = None

    @property
    def key(self) -> str:
        """Of its path."""
        return path_key(self.facts.path)

    @property
    def is_submitted(self) -> bool:
        """Whether submitting it once more would tell nothing new."""
        if self.last is None:
            return False
        if self.item.refused is not None:
            return (self.last.state, self.last.code) == ("refused", self.item.refused)
        return self.last.state in ENDED_WELL and self.last.sha256 == self.item.sha256

    @property
    def is_replaced(self) -> bool:
        """Whether what was submitted before is no longer what is there; a photo that failed is there all the same."""
        return self.last is not None and (self.item.sha256 is None or self.last.sha256 != self.item.sha256)


class FolderIntake:
    """Takes the new and changed files of one look.

    Attributes:
        batch_id: the look's batch; None while there is none.
        new: files that were submitted and had not been before.
        changed: files that were submitted anew.
        not_read: files that could not be read just now.
    """

    def __init__(self, desk: Desk, folder: WatchedFolder, on_group: Callable[[str], None]) -> None:
        """Finds the batch of a look that was interrupted.

        Args:
            desk: where to submit.
            folder: the folder's row.
            on_group: called with the batch's id after each group that can be worked on.
        """
        self.batch_id: str | None = None
        self.new = self.changed = self.not_read = 0
        self._desk = desk
        self._folder = folder
        self._on_group = on_group
        self._position = 0
        self._start_group()
        with desk.intake.database.reading() as session:
            batch = find_resumable(session, desk.owner.id, desk.key)
            if batch is not None and batch.state == "receiving":
                self.batch_id, self._position = batch.id, next_position(session, batch.id)

    def take(self, sighting: Sighting, *, is_new: bool) -> None:
        """Reads a file; submits its group when that is full."""
        found = verdict(sighting.path, self._desk.root / sighting.path)
        if found.code == JUNK:  # a name that only looks so once it is clean
            return
        try:
            self._group.add(found, self._position)
        except OSError:  # while it was being read
            self.not_read += 1
            return
        item = self._group.items[-1]
        if item.refused == "NOT_READABLE" and item.detail not in FORBIDDEN:
            self._group.items.pop()
            self.not_read += 1
            return
        facts = sighting.facts_if_not_readable if item.refused == "NOT_READABLE" else sighting.facts
        self._taken.append(Taken(item, facts, is_new))
        self._position += 1
        if self._group.is_full():
            self._write(is_last=False)

    def finish(self) -> None:
        """Submits what is left and seals the batch.

        Raises:
            ConflictError: the batch was cancelled meanwhile.
        """
        if self._taken:
            self._write(is_last=True)
        if self.batch_id is not None:
            with self._desk.intake.database.transaction() as session:
                seal_batch(session, self.batch_id)
            self._on_group(self.batch_id)

    def _start_group(self) -> None:
        self._group = Group(self._desk.intake, copy=self._desk.copy)
        self._taken: list[Taken] = []

    def _write(self, *, is_last: bool) -> None:
        group, taken = self._group, self._taken
        self._start_group()
        database = self._desk.intake.database
        changed = [file.key for file in taken if not file.is_new]
        with database.reading() as session:
            last = last_items(session, self._folder, changed) if changed else {}
        taken = [replace(file, last=last.get(file.key)) for file in taken]
        self._remember_touched(taken)
        again = [file for file in taken if not file.is_submitted]
        if not again:
            return
        group.items = [file.item for file in again]
        self.batch_id = write_group(database, group, lambda session: self._open_batch(session, again, is_last=is_last))
        self.new += sum(file.is_new for file in again)
        self.changed += sum(not file.is_new for file in again)
        self._on_group(self.batch_id)

    def _remember_touched(self, taken: list[Taken]) -> None:
        """Files with a new time and the bytes of before stay where they are submitted."""
        touched = [(file.facts, file.last.batch_id) for file in taken if file.is_submitted and file.last is not None]
        if touched:
            with self._desk.intake.database.transaction() as session:
                remember_files(session, self._folder.id, touched)

    def _open_batch(self, session: Session, taken: list[Taken], *, is_last: bool) -> str:
        """The look's batch, locked, in which the files of `taken` are now. What they were before has gone."""
        if self.batch_id is None:
            batch_id = self._create_batch(session, count=len(taken), is_all=is_last)
        else:
            batch_id = self._locked_batch(session, self.batch_id)
        replaced = [file.key for file in taken if file.is_replaced]
        if replaced:
            mark_items(session, self._folder, replaced, utc_now())
        remember_files(session, self._folder.id, [(file.facts, batch_id) for file in taken])
        return batch_id

    def _locked_batch(self, session: Session, batch_id: str) -> str:
        try:
            return lock_open_batch(session, batch_id).id
        except ConflictError as error:
            msg = (
                f"Batch {batch_id} was cancelled. What it did not hold yet is submitted as a new one by the next look."
            )
            raise ConflictError(msg) from error

    def _create_batch(self, session: Session, *, count: int, is_all: bool) -> str:
        priority = priority_of(count) if is_all else FOLDER
        now = utc_now().astimezone()
        name = f"{self._desk.shown}, {now.day} {now:%b %Y %H:%M}"
        return create_batch(session, self._desk.owner.id, name, priority=priority, source_key=self._desk.key).id
