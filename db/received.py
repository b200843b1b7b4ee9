"""Files of a batch that have arrived completely: their uploads, items and archives, in groups."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.batches import MAX_PATH, NewItem, add_archive, add_items, fit_text, lock_open_batch
from db.errors import ConflictError
from db.schema import Upload
from db.statements import count_changed, insert_missing


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that is complete: its bytes are a blob, or it was refused.

    Attributes:
        number: the client's number of the file in its batch; the item's position, or the archive's number.
        refused: a code of `db.codes.REASONS`; then `sha256` is None.
    """

    number: int
    path: str
    size_bytes: int
    sha256: str | None = None
    is_archive: bool = False
    refused: str | None = None


def record_received(session: Session, batch_id: str, files: Sequence[ReceivedFile]) -> None:
    """Adds the items and archives of received files and marks their uploads done. Repeats are ignored.

    A group costs little more than one file: thousands of small files arrive one by one.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch takes no more files, or a number stands for another file.
    """
    try:
        _lock_receiving(session, batch_id)
    except ConflictError:
        if _are_done(session, batch_id, files):  # a repeat, while another request has sealed the batch
            return
        raise
    done_before = _mark_done(session, batch_id, files)
    new = [file for file in files if file.number not in done_before]
    add_items(session, batch_id, [_item(file) for file in new if not file.is_archive])
    for file in new:
        if file.is_archive:
            add_archive(session, batch_id, file.number, file.path, sha256=file.sha256)


def _mark_done(session: Session, batch_id: str, files: Sequence[ReceivedFile]) -> set[int]:
    """Returns the numbers of uploads that were done before."""
    numbers = [file.number for file in files]
    known = {
        upload.number: upload
        for upload in session.scalars(select(Upload).where(Upload.batch_id == batch_id, Upload.number.in_(numbers)))
    }
    for file in files:
        upload = known.get(file.number)
        if upload is not None and (upload.path, upload.size_bytes) != (fit_text(file.path, MAX_PATH), file.size_bytes):
            msg = (
                f"File {file.number} of this batch is {upload.path!r} with {upload.size_bytes} bytes; give another file"
                f" another number. Received: {file.path!r}, {file.size_bytes} bytes"
            )
            raise ConflictError(msg)
    rows = [
        {
            "batch_id": batch_id,
            "number": file.number,
            "path": fit_text(file.path, MAX_PATH),
            "size_bytes": file.size_bytes,
            "received_bytes": file.size_bytes,
            "done": True,
        }
        for file in files
        if file.number not in known
    ]
    insert_missing(session, Upload, rows)
    begun = [upload.id for upload in known.values() if not upload.done]
    done = {"done": True, "received_bytes": Upload.size_bytes}
    if begun:
        count_changed(session, update(Upload).where(Upload.id.in_(begun)).values(done))
    return {number for number, upload in known.items() if upload.done}


def _lock_receiving(session: Session, batch_id: str) -> None:
    batch = lock_open_batch(session, batch_id)
    if batch.state != "receiving":
        msg = f"The batch is sealed; submit further files as a new one. Received: {batch_id}, {batch.state}"
        raise ConflictError(msg)


def _are_done(session: Session, batch_id: str, files: Sequence[ReceivedFile]) -> bool:
    done = select(Upload.number, Upload.path, Upload.size_bytes).where(Upload.batch_id == batch_id, Upload.done)
    known = {tuple(row) for row in session.execute(done.where(Upload.number.in_([file.number for file in files])))}
    return known.issuperset((file.number, fit_text(file.path, MAX_PATH), file.size_bytes) for file in files)


def _item(file: ReceivedFile) -> NewItem:
    return NewItem(
        position=file.number, path=file.path, sha256=file.sha256, size_bytes=file.size_bytes, refused=file.refused
    )
