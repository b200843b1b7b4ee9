"""Re-tags: a batch of all photos that the active version has not tagged yet. It reads features, not pixels.

A re-tag only writes what the version says; pages go on showing what they show until a person applies it
(`db.retag_showing`). Its items do not keep their photos (docs/decisions/retags-are-batches.md).

All open re-tags are the active version's: an activation cancels those of other versions, in its own transaction. What
they have written by then stays, so a re-tag with the same version later goes on from there. A worker that has not loaded
the version of a re-tag yet gives its items back, so no item is ever tagged by another version than its batch names.
"""

from typing import Any

from sqlalchemy import Select, and_, exists, func, insert, literal, select, text
from sqlalchemy.orm import Session

from db.batches import create_batch
from db.errors import ConflictError
from db.feature_spaces import active_space
from db.priorities import RETAG
from db.schema import (
    OPEN_BATCH_STATES,
    ActiveVersion,
    Batch,
    Item,
    ModelVersion,
    Photo,
    PhotoFeatures,
    Prediction,
    User,
)
from db.session import is_sqlite
from db.statements import table_of

# The rows of a million photos take PostgreSQL longer than other statements may.
INSERT_LIMIT = "10min"


def start_retag(session: Session, user: User) -> Batch:
    """A batch of all tagged photos that the active version has not tagged; the one that is open, if one is.

    In the order in which their features lie, so that a chunk reads one file; photos without features come last and are
    decoded.

    Raises:
        ConflictError: no version is active, or it has tagged all there are.
    """
    return _start(session, user.id)


def retry_retag(session: Session, batch: Batch, owner_id: int) -> Batch:
    """As `start_retag`, for a closed re-tag.

    Raises:
        ConflictError: its version is no longer active, or has tagged all there are.
    """
    active = _held_active(session)
    if active.id != batch.retag_version_id:
        msg = f"This re-tag is of a version that is no longer active. Re-tag with {active.name} instead."
        raise ConflictError(msg)
    return _start(session, owner_id)


def open_retag(session: Session) -> Batch | None:
    """The re-tag with the active version that is under way."""
    mine = ActiveVersion.model_version_id == Batch.retag_version_id
    query = select(Batch).join(ActiveVersion, mine).where(Batch.state.in_(OPEN_BATCH_STATES))
    return session.scalars(query.order_by(Batch.created_at.desc()).limit(1)).one_or_none()


def last_retag(session: Session) -> Batch | None:
    """The newest re-tag with the active version, open or not."""
    mine = ActiveVersion.model_version_id == Batch.retag_version_id
    query = select(Batch).join(ActiveVersion, mine).order_by(Batch.created_at.desc()).limit(1)
    return session.scalars(query).one_or_none()


def held_active_id(session: Session) -> int | None:
    """The id of the active version, which stays the active one until this transaction ends."""
    return session.scalars(select(ActiveVersion.model_version_id).with_for_update(read=True)).one_or_none()


def _start(session: Session, owner_id: int) -> Batch:
    version = _held_active(session)
    if (earlier := open_retag(session)) is not None:
        return earlier
    batch = create_batch(session, owner_id, f"Re-tag with {version.name}", priority=RETAG, state="running")
    batch.retag_version_id = version.id
    session.flush()
    if not is_sqlite(session):
        session.execute(text(f"SET LOCAL statement_timeout TO '{INSERT_LIMIT}'"))
    columns = ["batch_id", "archive_number", "position", "path", "retag_photo_id", "state", "priority"]
    defaults = ["suspect", "strikes", "attempt", "not_before"]
    rows = _untagged(version.id, active_space(session)).subquery()
    number = func.row_number().over(order_by=(rows.c.shard_id.is_(None), rows.c.shard_id, rows.c.row, rows.c.id)) - 1
    values = (literal(batch.id), literal(0), number, literal(""), rows.c.id, literal("ready"), literal(RETAG))
    zeros = (literal(False), literal(0), literal(0), literal(0.0))
    session.execute(insert(table_of(Item)).from_select([*columns, *defaults], select(*values, *zeros)))
    if not session.scalar(select(exists().where(Item.batch_id == batch.id))):
        session.delete(batch)
        session.flush()
        msg = f"{version.name} has tagged all photos there are: nothing is left to re-tag. `phototag models retag --apply all` shows what it says."
        raise ConflictError(msg)
    return batch


def _held_active(session: Session) -> ModelVersion:
    """The active version; nobody else starts a re-tag or activates another until this transaction ends."""
    held = select(ActiveVersion.model_version_id).with_for_update(key_share=True)
    version_id = session.scalars(held).one_or_none()
    if version_id is None:
        msg = "No model version is active yet. Run `phototag up` once, or `phototag models activate NAME`."
        raise ConflictError(msg)
    return session.get_one(ModelVersion, version_id)


def _untagged(version_id: int, space: str | None) -> Select[*tuple[Any, ...]]:
    """Tagged photos that the version has not tagged, and where their features lie."""
    said = exists().where(
        Prediction.photo_id == Photo.id, Prediction.model_version_id == version_id, Prediction.rank == 1
    )
    here = and_(PhotoFeatures.photo_id == Photo.id, PhotoFeatures.space == space)
    query = select(Photo.id, PhotoFeatures.shard_id, PhotoFeatures.row).outerjoin(PhotoFeatures, here)
    return query.where(Photo.state == "tagged", ~said)
