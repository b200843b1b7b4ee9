"""Answers that say no, in one shape: {"code": ..., "message": ...}; and reading headers of an ASGI scope."""

import json
from collections.abc import Mapping

from starlette.types import Scope, Send

from ui.pages.layout import plain_page


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
    """
    body = plain_page(message, f"({status})") if page else json.dumps({"code": code, "message": message})
    await _send(send, status, body.encode(), page=page, retry_after_s=retry_after_s, close=close)


async def _send(send: Send, status: int, body: bytes, *, page: bool, retry_after_s: int | None, close: bool) -> None:
    headers = [
        (b"content-type", b"text/html; charset=utf-8" if page else b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
