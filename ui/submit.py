"""Submits files from the command line: hashed, and read in place or copied, in groups so that tagging starts early."""

import hashlib
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.orm import Session

from db.batch_view import iter_items
from db.batches import NewItem, add_archive, add_items, create_batch, find_resumable, seal_batch
from db.blobs import Blobs, full_disk_noticed
from db.errors import PhototagError, Refusal
from db.known import finish_known_items
from db.priorities import SMALL_BATCH_FILES, priority_of
from db.schema import User
from db.session import Database
from db.settings import DataSettings
from ui.listing import Found, Source, count_files, is_storable, list_files
from ui.reading import Content, read_copy, read_in_place
from worker.limits import Limits

FILES_PER_GROUP = 200
# A group of large photos on a slow disk must not hold back the first ones.
SECONDS_PER_GROUP = 2.0


@dataclass(frozen=True)
class Intake:
    """Where submissions go and what they may cost."""

    database: Database
    blobs: Blobs
    data: DataSettings
    limits: Limits


@dataclass(frozen=True)
class Submission:
    """What a person submits.

    Attributes:
        sources: from `ui.listing.examine`.
        copy: whether bytes are copied into the blob store; else files are read where they lie.
        skip: files and folders left out while listing.
    """

    sources: Sequence[Source]
    copy: bool = False
    skip: Collection[Path] = ()

    @property
    def name(self) -> str:
        """The batch's name."""
        first, others = self.sources[0].shown, len(self.sources) - 1
        return (f"{first} and {others} more" if others else first)[:255]

    def key(self, owner_id: int) -> str:
        """The same for the same paths of the same person: finds the batch to resume."""
        paths = sorted(os.fsencode(source.path) for source in self.sources)
        return hashlib.sha256(b"\0".join([str(owner_id).encode(), str(self.copy).encode(), *paths])).hexdigest()

    def priority(self) -> int:
        """By size; less goes first.

        Raises:
            PhototagError: there is nothing to submit.
        """
        count = count_files(self.sources, self.skip, at_most=SMALL_BATCH_FILES + 1)
        if count == 0:
            shown = ", ".join(source.shown for source in self.sources)
            msg = f"{shown} holds no photos. Name a folder, an archive or files that do."
            raise PhototagError(msg)
        return priority_of(count)


class Submitter:
    """Submits one submission for one person.

    Attributes:
        batch_id: the batch; None until its first group is written.
    """

    def __init__(self, intake: Intake, owner: User, submission: Submission, on_group: Callable[[str], None]) -> None:
        """Nothing happens yet.

        Args:
            intake: where it goes.
            owner: whose batch it is.
            submission: what.
            on_group: called with the batch's id after each group that can be worked on.
        """
        self._intake = intake
        self._owner = owner
        self._submission = submission
        self._on_group = on_group
        self.batch_id: str | None = None
        self._is_open_for_files = True
        self._present: set[str] = set()
        self._position = 0

    def find_unfinished(self) -> str | None:
        """The id of an unfinished batch of the same paths, which `submit` then goes on with; None if there is none."""
        with self._intake.database.reading() as session:
            batch = find_resumable(session, self._owner.id, self._submission.key(self._owner.id))
            if batch is None:
                return None
            self.batch_id, self._is_open_for_files = batch.id, batch.state == "receiving"
            for item in iter_items(session, batch.id) if self._is_open_for_files else ():
                if item.archive_number == 0:
                    self._present.add(item.path)
                    self._position = max(self._position, item.position + 1)
            return batch.id

    def submit(self) -> str:
        """Submits everything and seals the batch; returns its id.

        Raises:
            PhototagError: there is nothing to submit.
            StorageFullError: the disk has no room for the copies.
            ConflictError: the batch was cancelled meanwhile.
        """
        if self._is_open_for_files:
            with full_disk_noticed():
                self._add_all(self._submission.priority())
            with self._intake.database.transaction() as session:
                seal_batch(session, self._id)
            self._on_group(self._id)
        return self._id

    @property
    def _id(self) -> str:
        if self.batch_id is None:
            msg = "No group was written although there is something to submit. Please report this."
            raise PhototagError(msg)
        return self.batch_id

    def _add_all(self, priority: int) -> None:
        group = Group(self._intake, copy=self._submission.copy)
        if self.batch_id is None:
            group.archives = [self._archive(source) for source in self._submission.sources if source.archive]
        for found in list_files(self._submission.sources, self._submission.skip):
            if found.path in self._present:
                continue
            group.add(found, self._position)
            self._position += 1
            if group.is_full():
                self._write(group, priority)
                self._on_group(self._id)
                group = Group(self._intake, copy=self._submission.copy)
        if group.items or group.archives:
            self._write(group, priority)

    def _write(self, group: "Group", priority: int) -> None:
        self.batch_id = write_group(
            self._intake.database, group, lambda session: self.batch_id or self._create_batch(session, priority)
        )

    def _create_batch(self, session: Session, priority: int) -> str:
        key = self._submission.key(self._owner.id)
        return create_batch(session, self._owner.id, self._submission.name, priority=priority, source_key=key).id

    def _archive(self, source: Source) -> "ArchiveToAdd":
        if not self._submission.copy and is_storable(source.path):
            return ArchiveToAdd(source.shown, str(source.path), None)
        content = read_copy(source.path, self._intake.limits.max_archive_bytes, self._intake.data)
        if content.staged is not None:
            self._intake.blobs.add_file(content.staged, content.sha256)
        return ArchiveToAdd(source.shown, None, content.sha256)


@dataclass(frozen=True)
class ArchiveToAdd:
    """An archive that the intake worker will unpack: read in place, or a blob."""

    path: str
    source: str | None
    sha256: str | None


class Group:
    """Items that go into one transaction."""

    def __init__(self, intake: Intake, *, copy: bool) -> None:
        self.items: list[NewItem] = []
        self.archives: list[ArchiveToAdd] = []
        self._intake = intake
        self._copy = copy
        self._staged: list[tuple[Path, str]] = []
        self._started_at = time.monotonic()

    def add(self, found: Found, position: int) -> None:
        """Hashes the file, and stages a copy if one is wanted. What cannot be read becomes a refused item."""
        item = NewItem(position, found.path, refused=found.code, detail=found.detail)
        if found.code is None:
            item = self._accepted(found, item)
        self.items.append(item)

    def is_full(self) -> bool:
        """Whether it is time to write it."""
        return len(self.items) >= FILES_PER_GROUP or time.monotonic() - self._started_at > SECONDS_PER_GROUP

    def store_copies(self) -> None:
        """Moves the copies to their place, before any row refers to them."""
        if self._staged:
            self._intake.blobs.add_files(self._staged)
            self._staged = []

    def _accepted(self, found: Found, item: NewItem) -> NewItem:
        # The database cannot hold a name that is not text, so such a file cannot be found again: it is copied.
        copy = self._copy or not is_storable(found.source)
        try:
            content = self._read(found.source, copy=copy)
        except Refusal as refusal:
            return replace(item, refused=refusal.code, detail=refusal.detail)
        source_path = None if copy else str(found.source)
        return replace(item, sha256=content.sha256, size_bytes=content.size_bytes, source_path=source_path)

    def _read(self, source: Path, *, copy: bool) -> Content:
        max_bytes = self._intake.limits.max_photo_bytes
        if not copy:
            return read_in_place(source, max_bytes)
        content = read_copy(source, max_bytes, self._intake.data)
        if content.staged is not None:
            self._staged.append((content.staged, content.sha256))
        return content


def write_group(database: Database, group: Group, open_batch: Callable[[Session], str]) -> str:
    """Writes one group in one transaction and returns the id of its batch.

    Args:
        database: where to.
        group: what.
        open_batch: the id of its batch; called first, it makes the batch of a first group, so that none is ever left
            without content.
    """
    group.store_copies()
    with database.transaction() as session:
        batch_id = open_batch(session)
        for number, archive in enumerate(group.archives, start=1):
            add_archive(session, batch_id, number, archive.path, source_path=archive.source, sha256=archive.sha256)
        add_items(session, batch_id, group.items)
        if group.items:
            finish_known_items(session, batch_id, group.items[0].position, group.items[-1].position)
    return batch_id
