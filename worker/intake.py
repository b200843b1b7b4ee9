"""Unpacking: an archive's entries become photos and items, a group at a time, while tagging goes on.

    claim ──► entries ──► staging (running SHA-256) ──► group ──► blobs ──► one transaction ──► next group
                                                                           (lease extended, items added)

A worker that is killed loses at most the group at hand: the next one passes over the entries that are items already.
"""

import hashlib
import itertools
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from db.archives import (
    ClaimedArchive,
    claim_archive,
    extend_archive_lease,
    finish_archive,
    refuse_archive,
    release_archive,
)
from db.batches import NewItem, add_items
from db.blobs import Blobs, full_disk_noticed, require_space
from db.errors import BlobMissingError, ConflictError, NotFoundError, Refusal, StorageFullError
from db.garbage import queue_bytes_without_photo
from db.schema import Archive, Photo, Upload
from db.session import Database
from db.settings import DataSettings
from worker.archives import read_archive
from worker.entries import ArchiveRefusal, Entry
from worker.headers import HEAD_BYTES, photo_format, too_big
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

# A group is one transaction and one write to the disk; tagging starts after the first.
GROUP_ITEMS = 200
GROUP_S = 1.0
STORING_THREADS = 8
# Of a lease, how much may pass before it is extended in the middle of a group.
_LEASE_PART = 4


class _StopUnpacking(Exception):  # noqa: N818 - no error: what is done is kept
    """Leave the archive as it is. `release`: another worker may take it at once."""

    def __init__(self, *, release: bool) -> None:
        super().__init__()
        self.release = release


def unpack_archive(
    database: Database,
    blobs: Blobs,
    data_settings: DataSettings,
    settings: WorkerSettings,
    worker_id: str,
    *,
    stopping: Callable[[], bool] = lambda: False,
    on_group: Callable[[], None] = lambda: None,
) -> bool:
    """Claims one archive and unpacks it, or refuses it.

    Args:
        database: where archives wait.
        blobs: where photos' bytes go.
        data_settings: where the staging folder lies.
        settings: the limits, and the length of a lease.
        worker_id: who holds the lease.
        stopping: whether to give the archive back after the entry at hand.
        on_group: called after each group was added, to have it tagged.

    Returns:
        Whether there was one, so that there may be more.

    Raises:
        DatabaseUnavailableError: the database went away; the lease runs out and the archive comes back.
    """
    try:
        require_space(data_settings, 0)
    except StorageFullError as error:
        log.warning("Archives are not unpacked for now. %s", error)
        return False
    with database.transaction() as session:
        claimed = claim_archive(session, worker_id, settings.lease_s)
    if claimed is None:
        return False
    unpacking = _Unpacking(database, blobs, data_settings, settings, worker_id, claimed, stopping, on_group)
    return unpacking.run()


class _Unpacking:
    """One archive from claim to end."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        database: Database,
        blobs: Blobs,
        data_settings: DataSettings,
        settings: WorkerSettings,
        worker_id: str,
        claimed: ClaimedArchive,
        stopping: Callable[[], bool],
        on_group: Callable[[], None],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._data_settings = data_settings
        self._lease_s = settings.lease_s
        self._limits = settings.limits
        self._worker_id = worker_id
        self._claimed = claimed
        self._stopping = stopping
        self._on_group = on_group
        self._staging = data_settings.staging_dir / f"archive-{claimed.id}-{uuid.uuid4().hex}"
        self._items: list[NewItem] = []
        self._staged: list[tuple[Path, str]] = []
        self._group_began = self._extended_at = time.monotonic()

    def run(self) -> bool:
        """Unpacks; returns whether to look for another one."""
        self._clear_left_staging()
        try:
            with full_disk_noticed():
                self._staging.mkdir(parents=True)
                self._unpack()
        except StorageFullError as error:
            log.warning("An archive was left for later. %s", error)
            self._release()
            return False
        except _StopUnpacking as stop:
            if stop.release:
                self._release()
            return not stop.release
        except FileNotFoundError:
            if self._is_held():
                raise
            return True  # who took the archive over has cleared the staging folder of one it thought dead
        finally:
            self._clear_staging()
        if self._claimed.sha256 is not None:
            drop_archive_bytes(self._database, self._blobs, self._claimed.sha256)
        return True

    @property
    def _lease(self) -> tuple[int, int, str]:
        return self._claimed.id, self._claimed.attempt, self._worker_id

    def _unpack(self) -> None:
        try:
            with self._open() as file:
                self._add_entries(file)
        except ArchiveRefusal as refusal:
            with self._database.transaction() as session:
                refuse_archive(session, *self._lease, refusal.code, refusal.detail)
            log.info("Archive %s was refused: %s", self._claimed.id, refusal)
        else:
            with self._database.transaction() as session:
                finish_archive(session, *self._lease)

    def _open(self) -> BinaryIO:
        """The archive: read in place, or from the blob store.

        Raises:
            ArchiveRefusal: BLOB_MISSING, SOURCE_GONE or NOT_READABLE.
        """
        claimed = self._claimed
        try:
            if claimed.source_path is not None:
                return Path(claimed.source_path).open("rb")
            return self._blobs.open(claimed.sha256 or "")
        except BlobMissingError as error:
            raise ArchiveRefusal("BLOB_MISSING") from error
        except FileNotFoundError as error:
            raise ArchiveRefusal("SOURCE_GONE") from error
        except PermissionError as error:
            raise ArchiveRefusal("NOT_READABLE") from error

    def _add_entries(self, file: BinaryIO) -> None:
        size = file.seek(0, 2)
        skip = self._claimed.skip_positions
        for entry in read_archive(file, size, self._limits, skip=skip, tick=self._tick):
            self._items.append(self._receive(entry))
            if len(self._items) >= GROUP_ITEMS or time.monotonic() - self._group_began >= GROUP_S:
                self._add_group()
            if self._stopping():
                self._add_group()
                raise _StopUnpacking(release=True)
        self._add_group()

    def _receive(self, entry: Entry) -> NewItem:
        number, code, detail = self._claimed.number, entry.code, entry.detail
        if entry.content is not None:
            try:
                sha256, size = self._stage(entry.content)
                return NewItem(entry.position, entry.path, sha256, size, archive_number=number)
            except ArchiveRefusal:
                raise
            except Refusal as refusal:
                code, detail = refusal.code, refusal.detail
        return NewItem(entry.position, entry.path, archive_number=number, refused=code, detail=detail or None)

    def _stage(self, content: Iterator[bytes]) -> tuple[str, int]:
        """Writes an entry to the staging folder; returns its SHA-256 and size.

        Raises:
            Refusal: it is no photo by its first bytes (then the rest is not stored), too big, or damaged.
        """
        head = _first_bytes(content)
        photo_format(head)
        path = self._staging / str(len(self._staged))
        sha256 = hashlib.sha256()
        size = 0
        with path.open("wb") as file:
            for chunk in itertools.chain((head,), content):
                size += len(chunk)
                if size > self._limits.max_photo_bytes:
                    raise too_big(self._limits)
                sha256.update(chunk)
                file.write(chunk)
        self._staged.append((path, sha256.hexdigest()))
        return sha256.hexdigest(), size

    def _add_group(self) -> None:
        """Bytes first, then the rows that refer to them."""
        if not self._items:
            return
        try:
            require_space(self._data_settings, 0)
            _store(self._blobs, self._staged)
            with self._database.transaction() as session:
                self._extend(session)
                add_items(session, self._claimed.batch_id, self._items)
        except (ConflictError, NotFoundError, _StopUnpacking) as error:  # cancelled, or deleted meanwhile
            with self._database.transaction() as session:
                queue_bytes_without_photo(session, [sha256 for _, sha256 in self._staged])
            raise _StopUnpacking(release=False) from error
        self._items.clear()
        self._staged.clear()
        self._group_began = time.monotonic()
        self._on_group()

    def _tick(self) -> None:
        """Keeps the lease through long entries, and notices a cancelled batch."""
        if time.monotonic() - self._extended_at > self._lease_s / _LEASE_PART:
            with self._database.transaction() as session:
                self._extend(session)

    def _extend(self, session: Session) -> None:
        if not extend_archive_lease(session, *self._lease, self._lease_s):
            raise _StopUnpacking(release=False)
        self._extended_at = time.monotonic()

    def _is_held(self) -> bool:
        with self._database.transaction() as session:
            return extend_archive_lease(session, *self._lease, self._lease_s)

    def _release(self) -> None:
        self._clear_staging()  # on a full disk the row below needs the room
        with self._database.transaction() as session:
            release_archive(session, *self._lease)

    def _clear_staging(self) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)

    def _clear_left_staging(self) -> None:
        """Removes what workers have left that were killed."""
        for folder in self._data_settings.staging_dir.glob(f"archive-{self._claimed.id}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _store(blobs: Blobs, staged: list[tuple[Path, str]]) -> None:
    """Moves a group to the blob store, in a few threads: a disk syncs many files in the time of a few."""
    ordered = sorted(staged, key=lambda file: file[1])  # files of one folder in one thread: it is synced once
    length = -(-len(ordered) // STORING_THREADS) or 1
    parts = [ordered[at : at + length] for at in range(0, len(ordered), length)]
    with ThreadPoolExecutor(STORING_THREADS) as threads:
        list(threads.map(blobs.add_files, parts))


def drop_archive_bytes(database: Database, blobs: Blobs, sha256: str) -> None:
    """Deletes an archive's blob, unless a row or an upload under way refers to the same bytes."""
    with database.transaction() as session:
        try:
            size = blobs.size(sha256)
        except BlobMissingError:
            return
        waiting = exists().where(Archive.sha256 == sha256, Archive.state.in_(("ready", "leased")))
        photo = exists().where(Photo.sha256 == sha256)
        # The bytes of an upload are stored before its row says so.
        arriving = exists().where(Upload.size_bytes == size, Upload.done.is_(False))
        if not session.scalar(select(or_(waiting, photo, arriving))):
            blobs.delete(sha256)


def _first_bytes(content: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in content:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head
