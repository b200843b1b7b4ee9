"""Our errors become answers here, and nowhere else: JSON for programs, a plain page for people."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

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
    NotAllowedError,
    NotFoundError,
    PhototagError,
    Refusal,
    StorageFullError,
    TooManyAttemptsError,
    WrongPasswordError,
)
from ui.access import NotEnoughError
from ui.pages.layout import plain_page
from ui.problems import PROBLEM_TYPE, is_api, problem
from ui.upload import WrongOffsetError

log = logging.getLogger(__name__)

# Its name differs between versions of Python.
UNPROCESSABLE = 422
# Of a list with thousands of mistakes the first ones tell enough.
MOST_SAID = 10
NO_SUCH_PAGE = "There is nothing at this address."

STATUS_OF: tuple[tuple[type[PhototagError], int, str], ...] = (
    (NotFoundError, 404, "NOT_FOUND"),
    (BlobMissingError, 404, "NOT_FOUND"),
    (WrongOffsetError, 409, "WRONG_OFFSET"),
    (ConflictError, 409, "CONFLICT"),
    (NotAllowedError, 403, "NOT_ALLOWED"),
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
        more = {"received": error.received} if isinstance(error, WrongOffsetError) else None
        return _error(request, status, code, message, retry_after_s=retry_after_s, more=more)

    @app.exception_handler(TimeoutError)
    async def on_silence(request: Request, _: TimeoutError) -> Response:
        return _error(request, 408, "SILENT", "Nothing arrived for a minute. Send it again.")

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        message = NO_SUCH_PAGE if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
        name = "INVALID" if error.status_code == UNPROCESSABLE else HTTPStatus(error.status_code).name
        code = error.code if isinstance(error, NotEnoughError) else name
        return _error(request, error.status_code, code, message, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        found = [{"where": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in error.errors()]
        problems = "; ".join(f"{each['where'].partition('.')[2]}: {each['message']}" for each in found[:MOST_SAID])
        return _error(
            request, 422, "INVALID", f"The request was not understood. {problems}", more={"errors": found[:MOST_SAID]}
        )

    @app.exception_handler(Exception)
    async def on_failure(request: Request, _: Exception) -> Response:  # the server logs it, with where it happened
        return _error(request, 500, "FAILED", "This should not happen. The log of the pages says what went wrong.")


def _error(
    request: Request,
    status: int,
    code: str,
    message: str,
    *,
    retry_after_s: int | None = None,
    headers: Mapping[str, str] | None = None,
    more: dict[str, Any] | None = None,
) -> Response:
    headers = {**(headers or {}), "Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = 2
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if is_api(request.url.path):
        return JSONResponse(problem(status, code, message, more), status, headers, PROBLEM_TYPE)
    kind = request.headers.get("content-type", "")
    by_person = request.method == "GET" or kind.startswith("application/x-www-form-urlencoded")
    if by_person and "text/html" in request.headers.get("accept", ""):
        page = plain_page(message, f"({status})", link=("Go to the start page", "/"))
        return HTMLResponse(page, status)
    return JSONResponse({"code": code, "message": message}, status_code=status, headers=headers)
