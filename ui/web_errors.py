"""Our errors become answers here, and nowhere else: JSON for programs, a plain page for people."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from db.codes import reason_text
from db.errors import (
    BlobMissingError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidNameError,
    InvalidPasswordError,
    LimitExceededError,
    NotFoundError,
    PhototagError,
    Refusal,
    StorageFullError,
    TooManyAttemptsError,
    WrongPasswordError,
)
from ui.answers import PROBLEM_TYPE, is_api, problem
from ui.pages.layout import plain_page

log = logging.getLogger(__name__)

NO_SUCH_PAGE = "There is nothing at this address."

STATUS_OF: tuple[tuple[type[PhototagError], int, str], ...] = (
    (NotFoundError, 404, "NOT_FOUND"),
    (BlobMissingError, 404, "NOT_FOUND"),
    (ConflictError, 409, "CONFLICT"),
    (LimitExceededError, 413, "TOO_LARGE"),
    (InvalidNameError, 422, "INVALID"),
    (InvalidPasswordError, 422, "INVALID"),
    (WrongPasswordError, 422, "WRONG_PASSWORD"),
    (TooManyAttemptsError, 429, "TOO_MANY_ATTEMPTS"),
    (Refusal, 422, "REFUSED"),
    (StorageFullError, 507, "STORAGE_FULL"),
    (DatabaseUnavailableError, 503, "DATABASE_AWAY"),
    (PhototagError, 500, "FAILED"),
)


def answer_errors(app: FastAPI) -> None:
    """Registers the handlers on `app`."""

    @app.exception_handler(PhototagError)
    async def on_error(request: Request, error: PhototagError) -> Response:
        status, code = next((status, code) for kind, status, code in STATUS_OF if isinstance(error, kind))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s %s: %s", request.method, request.url.path, error)
        if isinstance(error, Refusal):
            return _error(request, status, error.code, f"Not accepted: {reason_text(error.code, error.detail)}.")
        # what the database driver said is for the log
        message = str(error).split(" Received:", maxsplit=1)[0]
        retry_after_s = error.retry_after_s if isinstance(error, TooManyAttemptsError) else None
        return _error(request, status, code, message, retry_after_s)

    @app.exception_handler(TimeoutError)
    async def on_silence(request: Request, _: TimeoutError) -> Response:
        return _error(request, 408, "SILENT", "Nothing arrived for a minute. Send it again.")

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        message = NO_SUCH_PAGE if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
        return _error(request, error.status_code, HTTPStatus(error.status_code).name, message)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        problems = "; ".join(f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}" for e in error.errors())
        return _error(request, 422, "INVALID", f"The request was not understood. {problems}")


def _error(request: Request, status: int, code: str, message: str, retry_after_s: int | None = None) -> Response:
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = 2
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if is_api(request.url.path):
        return JSONResponse(problem(status, code, message), status, headers, PROBLEM_TYPE)
    kind = request.headers.get("content-type", "")
    by_person = request.method == "GET" or kind.startswith("application/x-www-form-urlencoded")
    if by_person and "text/html" in request.headers.get("accept", ""):
        page = plain_page(message, f"({status})", link=("Go to the start page", "/"))
        return HTMLResponse(page, status)
    return JSONResponse({"code": code, "message": message}, status_code=status, headers=headers)
