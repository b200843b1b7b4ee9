"""The web application: FastAPI with our routes, Gradio mounted behind the guard."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from db.blobs import open_blobs
from db.errors import (
    BlobMissingError,
    ConflictError,
    DatabaseUnavailableError,
    LimitExceededError,
    NotFoundError,
    PhototagError,
    Refusal,
    StorageFullError,
)
from db.codes import reason_text
from db.session import Database
from db.settings import DataSettings
from ui.access import USER_KEY, Sessions
from ui.batches_api import batches_routes
from ui.guard import Guard, HostRule
from ui.login import login_routes
from ui.media import media_routes
from ui.nudge import Nudger
from ui.pages.layout import page_head, plain_page
from ui.services_file import redis_url_of
from ui.settings import UiSettings
from ui.single import SinglePhotos
from ui.status_api import status_routes
from ui.upload import CHUNK_BYTES, Receiver, remove_stale_uploads
from ui.uploads_api import uploads_routes
from ui.web_files import web_file_routes
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

MOUNT = "/app"
NO_SUCH_PAGE = "There is nothing at this address."
JANITOR_EVERY_S = 3600.0
# Room for the multipart headers around the one photo that Gradio's upload may carry.
MULTIPART_BYTES = 64 * 1024
QUEUE_SIZE = 200

STATUS_OF: tuple[tuple[type[PhototagError], int, str], ...] = (
    (NotFoundError, 404, "NOT_FOUND"),
    (BlobMissingError, 404, "NOT_FOUND"),
    (ConflictError, 409, "CONFLICT"),
    (LimitExceededError, 413, "TOO_LARGE"),
    (Refusal, 422, "REFUSED"),
    (StorageFullError, 507, "STORAGE_FULL"),
    (DatabaseUnavailableError, 503, "DATABASE_AWAY"),
    (PhototagError, 500, "FAILED"),
)


def make_web_app(data_settings: DataSettings, worker_settings: WorkerSettings, ui_settings: UiSettings) -> ASGIApp:
    """The complete ASGI application. The database must have its tables.

    Args:
        data_settings: where the data lies.
        worker_settings: the broker's address and the limits; nothing of the network is loaded.
        ui_settings: how the pages are served.
    """
    gradio_dir = _private_gradio_dir(data_settings.data_dir)
    database = Database(data_settings.resolved_database_url)
    blobs = open_blobs(data_settings)
    limits = worker_settings.limits
    nudger = Nudger(lambda: worker_settings.redis_url or redis_url_of(data_settings))
    sessions = Sessions(database)
    singles = SinglePhotos(database, blobs, data_settings, limits, nudger)
    receiver = Receiver(database, blobs, data_settings, limits, ui_settings, nudger)

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=_lifespan(database, data_settings, nudger))
    app.include_router(web_file_routes())
    app.include_router(login_routes(database, sessions, https=ui_settings.https))
    app.include_router(status_routes(database, limits, ui_settings, nudger))
    app.include_router(uploads_routes(database, data_settings, ui_settings, receiver, singles))
    app.include_router(batches_routes(database, data_settings, nudger))
    app.include_router(media_routes(database, blobs))
    app.add_api_route("/", lambda: RedirectResponse(f"{MOUNT}/", 303), methods=["GET"], name="home")
    _answer_errors(app)
    _mount_gradio(app, singles, data_settings, limits.max_photo_bytes)
    return _guarded(app, sessions, ui_settings, gradio_dir, limits.max_photo_bytes)


def _private_gradio_dir(data_dir: Path) -> Path:
    """Gradio's folder for uploads, on the data volume. Its environment variables are read when it is imported."""
    folder = data_dir.resolve() / "gradio"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return folder


def _mount_gradio(app: FastAPI, singles: SinglePhotos, data_settings: DataSettings, max_photo_bytes: int) -> None:
    import gradio as gr

    from ui.pages.blocks import make_blocks
    from ui.theme import make_theme

    blocks = make_blocks(singles)
    # Without this a mounted app (6.31) serves any file of this machine to any logged-in user.
    blocks.has_launched = True
    blocks.queue(max_size=QUEUE_SIZE, default_concurrency_limit=8)
    gr.mount_gradio_app(
        app,
        blocks,
        path=MOUNT,
        auth_dependency=_name_of_user,
        allowed_paths=[],
        blocked_paths=["/etc", "/proc", *_kept_from_gradio(data_settings.data_dir.resolve())],
        show_error=False,
        max_file_size=max_photo_bytes,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        footer_links=[],
        theme=make_theme(),
    )


def _kept_from_gradio(data_dir: Path) -> list[str]:
    """Our own files. Gradio's uploads lie beside them, so the data directory as a whole cannot be named."""
    return [str(data_dir / name) for name in ("blobs", "staging", "previews", "features", "models", "phototag.sqlite3")]


def _name_of_user(request: Request) -> str | None:
    """For Gradio's own check and `gr.Request.username`; the guard has found the user already."""
    user = request.scope.get(USER_KEY)
    return user.name if user is not None else None


def _guarded(
    app: FastAPI, sessions: Sessions, settings: UiSettings, gradio_dir: Path, max_photo_bytes: int
) -> Guard:
    from ui.gradio_guard import GradioGuard
    from ui.gradio_upload import track_temp_files

    track_temp_files()
    gradio = GradioGuard(app, mount=MOUNT, upload_dir=gradio_dir, max_upload_bytes=max_photo_bytes + MULTIPART_BYTES)
    return Guard(
        app,
        sessions=sessions,
        hosts=HostRule(settings.host, settings.allowed_hosts),
        mounts={MOUNT: gradio},
        body_caps=[
            (r"/api/batches/[^/]+/files/\d+$", CHUNK_BYTES),
            (r"/api/photos$", max_photo_bytes),
        ],
        page_head=page_head(),
    )


def _lifespan(database: Database, data_settings: DataSettings, nudger: Nudger) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nudger.start()
        janitor = asyncio.create_task(_clean_up_for_ever(database, data_settings))
        try:
            yield
        finally:
            janitor.cancel()
            await run_in_threadpool(nudger.stop)
            database.close()

    return lifespan


async def _clean_up_for_ever(database: Database, data_settings: DataSettings) -> None:
    while True:
        try:
            await run_in_threadpool(remove_stale_uploads, database, data_settings)
        except (PhototagError, OSError) as error:
            log.warning("Stale uploads were not removed: %s", error)
        await asyncio.sleep(JANITOR_EVERY_S)


def _answer_errors(app: FastAPI) -> None:
    """Our errors become answers here, and nowhere else."""

    @app.exception_handler(PhototagError)
    async def on_error(request: Request, error: PhototagError) -> Response:  # pyright: ignore[reportUnusedFunction]
        status, code = next((status, code) for kind, status, code in STATUS_OF if isinstance(error, kind))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s %s: %s", request.method, request.url.path, error)
        if isinstance(error, Refusal):
            return _error(request, status, error.code, f"Not accepted: {reason_text(error.code, error.detail)}.")
        # what the database driver said is for the log
        return _error(request, status, code, str(error).split(" Received:", maxsplit=1)[0])

    @app.exception_handler(TimeoutError)
    async def on_silence(request: Request, _error_: TimeoutError) -> Response:  # pyright: ignore[reportUnusedFunction]
        return _error(request, 408, "SILENT", "Nothing arrived for a minute. Send it again.")

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        message = NO_SUCH_PAGE if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
        return _error(request, error.status_code, HTTPStatus(error.status_code).name, message)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:  # pyright: ignore[reportUnusedFunction]
        problems = "; ".join(f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}" for e in error.errors())
        return _error(request, 422, "INVALID", f"The request was not understood. {problems}")


def _error(request: Request, status: int, code: str, message: str) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        page = plain_page(message, f"({status})", link=("Go to the start page", f"{MOUNT}/"))
        return HTMLResponse(page, status)
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {})
    return JSONResponse({"code": code, "message": message}, status_code=status, headers=headers)
