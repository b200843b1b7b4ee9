"""Files that are being received for a batch, chunk by chunk. A broken connection resumes at `received_bytes`."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.batches import MAX_PATH, fit_text, lock_open_batch
from db.errors import ConflictError, NotFoundError
from db.schema import Upload
from db.statements import count_changed, insert_missing


def open_upload(session: Session, batch_id: str, number: int, path: str, size_bytes: int) -> Upload:
    """The upload of the client's file `number`; made if there is none.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch is closed, or the number stands for another file.
    """
    batch = lock_open_batch(session, batch_id)
    if batch.state != "receiving":
        msg = f"The batch is sealed; submit further files as a new one. Received: {batch_id}, {batch.state}"
        raise ConflictError(msg)
    path = fit_text(path, MAX_PATH)
    row = {"batch_id": batch_id, "number": number, "path": path, "size_bytes": size_bytes}
    insert_missing(session, Upload, [row])
    mine = Upload.batch_id == batch_id, Upload.number == number
    upload = session.scalars(select(Upload).where(*mine)).one()
    if (upload.path, upload.size_bytes) != (path, size_bytes):
        msg = (
            f"File {number} of this batch is {upload.path!r} with {upload.size_bytes} bytes; give another file another"
            f" number. Received: {path!r}, {size_bytes} bytes"
        )
        raise ConflictError(msg)
    return upload


def advance_upload(session: Session, upload_id: int, received: int) -> None:
    """Says that the first `received` bytes are on the disk. Never goes back.

    Raises:
        NotFoundError: there is no such upload.
        ConflictError: more bytes than the file has.
    """
    upload = _get(session, upload_id)
    if received > upload.size_bytes:
        msg = f"The file has {upload.size_bytes} bytes; send it again from the start. Received: {received} bytes"
        raise ConflictError(msg)
    forward = Upload.id == upload_id, Upload.received_bytes < received
    count_changed(session, update(Upload).where(*forward).values(received_bytes=received))


def finish_upload(session: Session, upload_id: int) -> None:
    """Says that the bytes are a blob, and an item or archive exists: same transaction as that row.

    Raises:
        NotFoundError: there is no such upload.
    """
    upload = _get(session, upload_id)
    done = {"done": True, "received_bytes": upload.size_bytes}
    count_changed(session, update(Upload).where(Upload.id == upload_id).values(done))


def uploads_of(session: Session, batch_id: str, *, after: int = 0, limit: int | None = None) -> list[Upload]:
    """Uploads of a batch, by number; all of them, or `limit` of those behind the number `after`."""
    query = select(Upload).where(Upload.batch_id == batch_id, Upload.number > after)
    return list(session.scalars(query.order_by(Upload.number).limit(limit)))


def _get(session: Session, upload_id: int) -> Upload:
    upload = session.get(Upload, upload_id)
    if upload is None:
        msg = f"There is no upload of this id; open it again. Received: {upload_id}"
        raise NotFoundError(msg)
    return upload
