"""One photo alone: stored through the same accept path as a batch, ahead of every folder, and waited for."""

import asyncio
import uuid
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from db.batch_view import ItemView, batch_items
from db.batches import NewItem, add_archive, add_items, create_batch, get_batch, seal_batch
from db.blobs import Blobs, full_disk_noticed, require_space
from db.errors import ConflictError, LimitExceededError, Refusal
from db.names import archive_kind
from db.schema import OPEN_ITEM_STATES, Archive, Item, Photo, User
from db.session import Database
from db.settings import DataSettings
from ui.nudge import Nudger
from ui.staging import StagedFile, StagedWriter, uploads_dir
from worker.limits import Limits

PRIORITY = 0
# Looked at often at first: a warm worker needs well under a second.
POLL_S = 0.1
WAIT_S = 20.0


class SinglePhotos:
    """Accepts single photos and waits for their labels. One per web process."""

    def __init__(
        self, database: Database, blobs: Blobs, data_settings: DataSettings, limits: Limits, nudger: Nudger
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._data_settings = data_settings
        self._limits = limits
        self._nudger = nudger

    async def accept(self, user: User, name: str, body: AsyncIterator[bytes], idem_key: str | None = None) -> str:
        """Stores one photo (or small archive) as a batch of its own.

        Args:
            user: whose.
            name: a clean one.
            body: the bytes.
            idem_key: made by the client; the same again with the same bytes gives the batch made then.

        Returns:
            The id of the batch.

        Raises:
            ConflictError: the key was used for another photo.
            LimitExceededError: it is larger than one photo may be.
            Refusal: it is empty.
            StorageFullError: the disk has no room for it.
        """
        await run_in_threadpool(require_space, self._data_settings, self._limits.max_photo_bytes)
        staged = StagedFile(uploads_dir(self._data_settings.staging_dir) / "single" / uuid.uuid4().hex)
        writer = StagedWriter(staged, 0)
        try:
            with full_disk_noticed():
                async for part in body:
                    await writer.add(part)
                    if writer.received > self._limits.max_photo_bytes:
                        raise LimitExceededError(_too_big(self._limits))
                return await run_in_threadpool(self._store, user, name, writer, idem_key)
        finally:
            staged.remove()

    def _store(self, user: User, name: str, writer: StagedWriter, idem_key: str | None) -> str:
        if writer.received == 0:
            raise Refusal("EMPTY")
        sha256 = writer.finish(writer.received)
        is_archive = archive_kind(writer.staged.head, name) is not None
        self._blobs.add_file(writer.staged.path, sha256)
        with self._database.transaction() as session:
            batch = create_batch(session, user.id, name, priority=PRIORITY, idem_key=idem_key)
            if batch.state != "receiving":  # sent again
                _require_same(session, batch.id, sha256)
                return batch.id
            if is_archive:
                add_archive(session, batch.id, 1, name, sha256=sha256)
            else:
                add_items(
                    session, batch.id, [NewItem(position=1, path=name, sha256=sha256, size_bytes=writer.received)]
                )
            seal_batch(session, batch.id)
        if is_archive:
            self._nudger.unpack(batch.id)
        else:
            self._nudger.tag()
        return batch.id

    async def wait(self, user: User, batch_id: str, wait_s: float = WAIT_S) -> ItemView | None:
        """The photo of a batch that `accept` made, once it is finished; None if that takes longer than `wait_s`."""
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            item = await run_in_threadpool(self._item, user, batch_id)
            if item is not None and item.state not in OPEN_ITEM_STATES:
                return item
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(POLL_S)

    def _item(self, user: User, batch_id: str) -> ItemView | None:
        with self._database.reading() as session:
            get_batch(session, batch_id, user)
            return next(iter(batch_items(session, batch_id, limit=1)), None)


def _require_same(session: Session, batch_id: str, sha256: str) -> None:
    photo = select(Photo.sha256).join(Item, Item.photo_id == Photo.id).where(Item.batch_id == batch_id)
    archive = select(Archive.sha256).where(Archive.batch_id == batch_id)
    if sha256 not in {*session.scalars(photo.limit(1)), *session.scalars(archive)}:
        msg = "This key was used for another photo. Make a new key for each photo."
        raise ConflictError(msg)


def _too_big(limits: Limits) -> str:
    return f"One photo may have {limits.max_photo_bytes // 1024**2} MiB; this one is larger. Archives go in as a batch."
