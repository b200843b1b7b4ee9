"""The web application: FastAPI with our routes, Gradio mounted behind the guard."""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from db.blobs import Blobs, open_blobs
from db.errors import PhototagError
from db.janitor import JANITOR_S, Janitor
from db.look_alikes import LookAlikes
from db.session import Database
from db.settings import DataSettings
from ui.access import Sessions
from ui.acting_api import acting_routes
from ui.admin_api import admin_routes
from ui.batches_api import ClosedBatches, batches_routes
from ui.bearer import ApiTokens
from ui.deleting_api import BatchDeleter, deleting_routes
from ui.duplicates_api import duplicates_routes
from ui.gradio_guard import GradioGuard
from ui.guard import Guard, HostRule
from ui.labels_api import labels_routes
from ui.library_acting_api import library_acting_routes
from ui.library_api import library_routes
from ui.login import LOGIN_BYTES, PasswordDesk, hide_login_tokens, login_routes
from ui.me_api import me_routes
from ui.media import media_routes
from ui.models_api import models_routes
from ui.next_page import HOME
from ui.nudge import Nudger
from ui.pages.layout import MOUNTS, page_head
from ui.retag_api import retag_routes
from ui.review_acting_api import review_acting_routes
from ui.review_api import review_routes
from ui.review_numbers_api import review_numbers_routes
from ui.services_file import redis_url_of
from ui.settings import UiSettings
from ui.single import SinglePhotos
from ui.status_api import status_routes
from ui.submitting import Submitting
from ui.upload import CHUNK_BYTES, Receiver, remove_stale_uploads
from ui.uploads_api import uploads_routes
from ui.v1 import v1_routes
from ui.web_errors import answer_errors
from ui.web_files import web_file_routes
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

STALE_UPLOADS_EVERY_S = 3600.0
# Room for the multipart headers around the one photo that Gradio's upload may carry.
MULTIPART_BYTES = 64 * 1024


def make_web_app(data_settings: DataSettings, worker_settings: WorkerSettings, ui_settings: UiSettings) -> ASGIApp:
    """The complete ASGI application. The database must have its tables.

    Args:
        data_settings: where the data lies.
        worker_settings: the broker's address and the limits; nothing of the network is loaded.
        ui_settings: how the pages are served.
    """
    hide_login_tokens()
    gradio_dir = _private_gradio_dir(data_settings.data_dir)
    # Gradio reads its environment at import, and takes seconds of it: nothing else of ui needs it.
    from ui.gradio_mount import mount_gradio  # noqa: PLC0415

    database = Database(data_settings.resolved_database_url)
    blobs = open_blobs(data_settings)
    limits = worker_settings.limits
    nudger = Nudger(lambda: worker_settings.redis_url or redis_url_of(data_settings))
    sessions, tokens = Sessions(database), ApiTokens(database)
    closed = ClosedBatches()
    stopping = threading.Event()
    singles = SinglePhotos(database, blobs, data_settings, limits, nudger)
    receiver = Receiver(database, blobs, data_settings, limits, ui_settings, nudger)
    deleter = BatchDeleter(database, data_settings, closed, stopping.is_set)
    submitting = Submitting(database, data_settings, ui_settings, receiver)

    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(database, blobs, data_settings, nudger, stopping),
    )
    app.include_router(web_file_routes())
    _include_people(app, database, sessions, tokens, ui_settings)
    app.include_router(status_routes(database, data_settings, limits, ui_settings, nudger))
    app.include_router(uploads_routes(submitting, singles))
    app.include_router(batches_routes(database, closed))
    app.include_router(acting_routes(database, data_settings, nudger))
    app.include_router(deleting_routes(deleter))
    app.include_router(media_routes(database, blobs))
    app.include_router(library_routes(database))
    app.include_router(library_acting_routes(database, blobs, data_settings, nudger, closed))
    app.include_router(duplicates_routes(database))
    app.include_router(labels_routes(database))
    app.include_router(review_routes(database, LookAlikes(database)))
    app.include_router(review_acting_routes(database))
    app.include_router(review_numbers_routes(database))
    app.include_router(models_routes(database))
    app.include_router(retag_routes(database, nudger))
    app.include_router(v1_routes(database, blobs, nudger, submitting, singles, deleter))
    app.add_api_route("/", lambda: RedirectResponse(HOME, 303), methods=["GET"], name="home")
    answer_errors(app)
    mount_gradio(app, singles, data_settings, limits.max_photo_bytes)
    return _guarded(app, sessions, tokens, ui_settings, gradio_dir, limits.max_photo_bytes)


def _include_people(
    app: FastAPI, database: Database, sessions: Sessions, tokens: ApiTokens, settings: UiSettings
) -> None:
    def forget(user_id: int) -> None:
        sessions.forget_user(user_id)
        tokens.forget_user(user_id)

    desk = PasswordDesk(database)
    app.include_router(login_routes(database, desk, sessions, https=settings.https))
    app.include_router(me_routes(desk, sessions, https=settings.https))
    app.include_router(admin_routes(database, forget, settings.login_link_valid_s))


def _private_gradio_dir(data_dir: Path) -> Path:
    """Gradio's folder for uploads, on the data volume. Its environment variables are read when it is imported."""
    folder = data_dir.resolve() / "gradio"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return folder


def _guarded(
    app: FastAPI,
    sessions: Sessions,
    tokens: ApiTokens,
    settings: UiSettings,
    gradio_dir: Path,
    max_photo_bytes: int,
) -> Guard:
    largest = max_photo_bytes + MULTIPART_BYTES
    mounts = {
        path: GradioGuard(app, mount=path, role=role, upload_dir=gradio_dir, max_upload_bytes=largest)
        for path, role in MOUNTS.items()
    }
    return Guard(
        app,
        sessions=sessions,
        tokens=tokens,
        hosts=HostRule(settings.host, settings.allowed_hosts),
        mounts=mounts,
        body_caps=[
            (r"/api/(v1/)?batches/[^/]+/files/\d+$", CHUNK_BYTES),
            (r"/api/(v1/)?photos$", max_photo_bytes),
            (r"/login$", LOGIN_BYTES),
        ],
        page_heads={role: page_head(role) for role in MOUNTS.values()},
    )


def _lifespan(
    database: Database, blobs: Blobs, data_settings: DataSettings, nudger: Nudger, stopping: threading.Event
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    janitor = Janitor(database, blobs, data_settings.staging_dir, stopping.is_set)
    stale_uploads = partial(remove_stale_uploads, database, data_settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        nudger.start()
        cleaning = [
            asyncio.create_task(_repeat(JANITOR_S, janitor, "The janitor")),
            asyncio.create_task(_repeat(STALE_UPLOADS_EVERY_S, stale_uploads, "Removing stale uploads")),
        ]
        try:
            yield
        finally:
            stopping.set()
            for task in cleaning:
                task.cancel()
            await run_in_threadpool(nudger.stop)
            database.close()

    return lifespan


async def _repeat(every_s: float, action: Callable[[], object], what: str) -> None:
    while True:
        try:
            await run_in_threadpool(action)
        except (PhototagError, OSError) as error:
            log.warning("%s was interrupted, and goes on in %g s: %s", what, every_s, error)
        except Exception:  # e.g. of an object store
            log.exception("%s failed, and is tried again in %g s.", what, every_s)
        await asyncio.sleep(every_s)
