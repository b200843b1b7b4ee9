"""GET /api/status: what a page must know besides its own subject: limits, the model version, and what is wrong."""

from fastapi import APIRouter

from db.blobs import space_trouble
from db.model_versions import active_version, version_label_ids
from db.schema import Worker
from db.session import Database
from db.settings import DataSettings
from db.workers import live_workers
from ui.access import Owner
from ui.nudge import Nudger
from ui.settings import UiSettings
from ui.shapes import Json, user_shape, version_shape
from ui.upload import CHUNK_BYTES
from worker.limits import Limits
from worker.queue import INTAKE, TAGGING

NO_TAGGING = (
    "No worker is running, so photos are not being tagged right now. What you send is kept and tagged as soon as one"
    " runs: start `phototag up`, or `phototag worker`."
)
NO_INTAKE = "No worker unpacks archives right now. Start one with `phototag worker --queues intake`."
BROKER_AWAY = (
    "The queue (Redis) does not answer. Nothing is lost: workers look for photos by themselves meanwhile, a little"
    " later than usual."
)


def status_routes(
    database: Database, data_settings: DataSettings, limits: Limits, settings: UiSettings, nudger: Nudger
) -> APIRouter:
    """GET /api/status for the pages, GET /health for whoever watches the process."""
    router = APIRouter()

    @router.get("/health")
    def health() -> Json:
        return {"ok": True}

    @router.get("/api/status")
    def status(user: Owner) -> Json:
        with database.reading() as session:
            workers = live_workers(session)
            version = active_version(session)
            labels = len(version_label_ids(session, version.id)) if version else 0
        return {
            "user": user_shape(user),
            "version": version_shape(version, labels),
            "notices": notices(workers, space_trouble(data_settings), broker_answers=nudger.broker_answers),
            "limits": {
                "photo_bytes": limits.max_photo_bytes,
                "archive_bytes": limits.max_archive_bytes,
                "batch_files": settings.max_batch_files,
                "batch_bytes": settings.max_batch_bytes,
                "chunk_bytes": CHUNK_BYTES,
            },
        }

    return router


def notices(workers: list[Worker], disk: str, *, broker_answers: bool) -> list[str]:
    """What a person should know when photos wait, in plain sentences; empty when all is well. `disk`: what it says."""
    queues = {queue for worker in workers for queue in worker.queues.split(",")}
    found: list[str] = []
    if TAGGING not in queues:
        found.append(NO_TAGGING)
    elif INTAKE not in queues:
        found.append(NO_INTAKE)
    if not broker_answers:
        found.append(BROKER_AWAY)
    return found + sorted({disk, *(worker.note for worker in workers)} - {""})
