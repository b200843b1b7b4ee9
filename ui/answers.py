"""Answers that say no, in one shape: {"code": ..., "message": ...}; and reading headers of an ASGI scope.

Below /api/v1 they are problem details (RFC 9457), for programs of other people.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Scope, Send

from ui.pages.layout import plain_page
from ui.problems import PROBLEM_TYPE, problem


def headers_of(scope: Scope) -> dict[str, str]:
    """Request headers by lower-case name; of a repeated one the first."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin1").lower(), value.decode("latin1"))
    return headers


def wants_page(headers: Mapping[str, str]) -> bool:
    """Whether a person's browser asks for a page, rather than a script for data."""
    return "text/html" in headers.get("accept", "")


async def refuse(
    send: Send,
    status: int,
    code: str,
    message: str,
    *,
    retry_after_s: int | None = None,
    close: bool = False,
    page: bool = False,
    api: bool = False,
) -> None:
    """Answers with an error that a page can show and a program can tell apart.

    Args:
        send: the ASGI channel.
        status: HTTP status.
        code: short name of the cause.
        message: what happened and what to do, for a person.
        retry_after_s: when it is worth another try.
        close: ends the connection, for a request whose body will not be read.
        page: a person reads it: a page instead of JSON.
        api: a program of somebody else reads it: problem details.
    """
    if api:
        content_type, body = PROBLEM_TYPE, json.dumps(problem(status, code, message))
    elif page:
        content_type, body = "text/html; charset=utf-8", plain_page(message, f"({status})")
    else:
        content_type, body = "application/json", json.dumps({"code": code, "message": message})
    more: list[tuple[bytes, bytes]] = []
    if retry_after_s is not None:
        more.append((b"retry-after", str(retry_after_s).encode()))
    if close:
        more.append((b"connection", b"close"))
    if api and status == HTTPStatus.UNAUTHORIZED:
        more.append((b"www-authenticate", b"Bearer"))
    await _send(send, status, content_type, body.encode(), more)


async def _send(send: Send, status: int, content_type: str, body: bytes, more: list[tuple[bytes, bytes]]) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
