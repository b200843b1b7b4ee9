"""Headers of every answer, and the Content-Security-Policy of pages with a fresh nonce for each."""

import re
import secrets
from collections.abc import Callable

from starlette.types import Message, Scope, Send

# The strictest policy under which Gradio 6.31 ran without a violation. No 'unsafe-eval': gr.HTML would need it.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " font-src 'self' data:; connect-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self';"
    " base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
OTHER_POLICY = "default-src 'none'; frame-ancestors 'none'"

COMMON_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
SET_HERE = frozenset(name for name, _ in COMMON_HEADERS) | {b"server"}


def with_headers(scope: Scope, send: Send, *, page_head: Callable[[], bytes] | None = None) -> Send:
    """A `send` that adds the headers; an HTML page also gets a nonce on its scripts and `page_head` in its head.

    A page is held back until it is complete (Gradio's are 20 to 40 kB); everything else streams through.
    """
    nonce = secrets.token_urlsafe(16)
    held: list[Message] = []
    page = bytearray()

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if not _is_replaced(name.lower())]
            message = {**message, "headers": [*headers, *COMMON_HEADERS]}
            if _is_page(headers):
                held.append(message)
                return
            if not _has(headers, b"content-security-policy"):
                message["headers"].append((b"content-security-policy", OTHER_POLICY.encode()))
        elif held and message["type"] == "http.response.body":
            page.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            body = _prepared(bytes(page), nonce, page_head() if page_head else b"")
            await send(_page_start(held.pop(), nonce, len(body)))
            message = {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        await send(message)

    return send_with_headers


def _is_replaced(name: bytes) -> bool:
    # Gradio lets any other site read its answers, with the cookie, once the host is not local.
    return name in SET_HERE or name.startswith(b"access-control-")


def _prepared(page: bytes, nonce: str, page_head: bytes) -> bytes:
    page = page.replace(b"</head>", page_head + b"</head>", 1)
    return re.sub(rb"<script(?=[\s>])", f'<script nonce="{nonce}"'.encode(), page)


def _page_start(start: Message, nonce: str, length: int) -> Message:
    replaced = (b"content-length", b"content-security-policy", b"cache-control")
    headers = [(name, value) for name, value in start["headers"] if name.lower() not in replaced]
    headers += [
        (b"content-length", str(length).encode()),
        (b"content-security-policy", PAGE_POLICY.format(nonce=nonce).encode()),
        (b"cache-control", b"no-store"),
    ]
    return {**start, "headers": headers}


def _is_page(headers: list[tuple[bytes, bytes]]) -> bool:
    plain = not _has(headers, b"content-encoding")  # what is compressed cannot be given nonces
    return plain and any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers)


def _has(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bool:
    return any(name.lower() == wanted for name, _ in headers)
