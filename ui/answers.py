"""Answers that say no, in one shape: {"code": ..., "message": ...}; and reading headers of an ASGI scope."""

import json

from starlette.types import Scope, Send


def headers_of(scope: Scope) -> dict[str, str]:
    """Request headers by lower-case name; of a repeated one the first."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin1").lower(), value.decode("latin1"))
    return headers


async def refuse(
    send: Send, status: int, code: str, message: str, *, retry_after_s: int | None = None, close: bool = False
) -> None:
    """Answers with an error that a page can show and a program can tell apart.

    Args:
        send: the ASGI channel.
        status: HTTP status.
        code: short name of the cause.
        message: what happened and what to do, for a person.
        retry_after_s: when it is worth another try.
        close: ends the connection, for a request whose body will not be read.
    """
    body = json.dumps({"code": code, "message": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
