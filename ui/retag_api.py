"""JSON routes of re-tagging: the batch that reads features, what would flip, showing it, and showing again what was."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.audit import record_audit
from db.batch_view import batch_progress
from db.model_versions import active_version, get_version
from db.retag_preview import Preview, preview
from db.retag_showing import Applied, Pair, apply_some, restore_some
from db.retags import last_retag, start_retag
from db.schema import ModelVersion, Photo, User
from db.session import Database
from db.version_history import photos_to_restore
from ui.access import Admin
from ui.nudge import Nudger
from ui.shapes import Json, batch_shape

Id = Annotated[int, Field(ge=1, le=2**62)]
# A page shows how far it is, so each call is short; the next one goes on.
LIMIT_S = 2.0


class Shown(BaseModel):
    """What is to be shown of the active version: all of it, or the photos that flip from one label to another."""

    version: str = Field(max_length=64)
    pair: tuple[Id, Id] | None = None


def retag_routes(database: Database, nudger: Nudger) -> APIRouter:
    """GET how far it is and what would flip, POST start, apply and restore."""
    router = APIRouter(prefix="/api/models/retag")

    @router.get("")
    def state(_user: Admin) -> Json:
        with database.reading() as session:
            return _state(session)

    @router.post("", status_code=201)
    def start(user: Admin) -> Json:
        with database.transaction() as session:
            start_retag(session, user)
            found = _state(session)
        nudger.tag()
        return found

    @router.get("/preview")
    def flips(_user: Admin) -> Json:
        with database.reading() as session:
            found = preview(session)
            ids = {photo_id for flip in found.flips for photo_id in flip.samples}
            there = select(Photo.id).where(Photo.id.in_(ids), Photo.has_previews)
            return _preview_shape(found, set(session.scalars(there)))

    @router.post("/apply")
    def apply(asked: Shown, user: Admin) -> Json:
        with database.reading() as session:
            version = get_version(session, asked.version)
        applied = apply_for(database, user, version, asked.pair, LIMIT_S)
        return {"done": applied.done, "left": applied.left}

    @router.post("/restore")
    def restore(_user: Admin) -> Json:
        restored = restore_some(database, limit_s=LIMIT_S)
        return {"done": restored.done, "left": restored.left}

    return router


def apply_for(database: Database, user: User, version: ModelVersion, pair: Pair | None, limit_s: float) -> Applied:
    """`apply_some`, and who did it in the log.

    Raises:
        ConflictError: another version is active.
    """
    applied = apply_some(database, version.id, pair=pair, limit_s=limit_s)
    if applied.done:
        with database.transaction() as session:
            record_audit(session, user, "models.apply", version.name, {"photos": applied.done, "pair": pair})
    return applied


def _state(session: Session) -> Json:
    active, batch = active_version(session), last_retag(session)
    return {
        "version": active.name if active else None,
        "batch": batch_shape(batch, batch_progress(session, batch.id)) if batch else None,
        "restoring": photos_to_restore(session),
    }


def _preview_shape(found: Preview, with_previews: set[int]) -> Json:
    return {
        "version": found.version,
        "same": found.same,
        "flips": [
            {
                "pair": [flip.from_label_id, flip.to_label_id],
                "from": flip.from_name,
                "to": flip.to_name,
                "photos": flip.photos,
                "samples": [{"id": n, "has_previews": n in with_previews} for n in flip.samples],
            }
            for flip in found.flips
        ],
    }
