"""The ASGI guard in front of everything: host, origin, login, size of bodies, headers. Denied unless allowed.

Gradio's own routes are narrowed further by `ui.gradio_guard`, to which this one hands over what is under a mount.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.errors import DatabaseUnavailableError
from db.schema import User
from ui.access import SCOPES_KEY, USER_KEY, Sessions, has_role, token_of_cookies
from ui.answers import headers_of, refuse, wants_page
from ui.bearer import ApiTokens, token_of_header
from ui.gradio_guard import GradioGuard
from ui.next_page import login_address
from ui.page_headers import with_headers
from ui.problems import is_api

# Reachable without a login: how to get in, whether we are alive, and our own scripts and styles (no data in them).
PUBLIC = re.compile(r"/(login|health|favicon\.ico|manifest\.json|robots\.txt|web/[a-z0-9]+/[a-z0-9_-]+\.(js|css|svg))$")
READING = ("GET", "HEAD", "OPTIONS")
# A tab keeps a handful of connections; this stops a script that hoards them.
MAX_CONNECTIONS = 120
DEFAULT_BODY_CAP = 1024**2
DISCARD_BYTES, DISCARD_S = 4 * 1024**2, 5.0


class HostRule:
    """Which Host headers are answered. A web page elsewhere can point its own name at our address (DNS rebinding)."""

    def __init__(self, bound_to: str, allowed: Sequence[str]) -> None:
        self._names = {"localhost", *(name.lower() for name in allowed)}
        self._any_address = not _is_loopback(bound_to)
        if self._any_address:
            self._names.add(socket.gethostname().lower())

    def accepts(self, host_header: str) -> bool:
        """Whether a request for this Host may be answered; the port does not matter."""
        name = re.sub(r":\d{1,5}$", "", host_header.strip()).lower().removeprefix("[").removesuffix("]")
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # Rebinding needs a name, so a bare address is safe where we serve more than this machine.
        return self._any_address or address.is_loopback


class Guard:
    """Wraps the whole application.

    Args:
        app: the FastAPI application with Gradio mounted.
        sessions: finds the user of a cookie.
        tokens: finds whose an API token is.
        hosts: which Host headers are answered.
        mounts: the guards of the mounted Gradio apps by path, e.g. "/app".
        body_caps: path patterns with the bytes a request body may have; the first that matches counts.
        page_heads: HTML put into the head of every mounted page, by the role of its reader.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Sessions,
        tokens: ApiTokens,
        hosts: HostRule,
        mounts: Mapping[str, GradioGuard],
        body_caps: Sequence[tuple[str, int]] = (),
        page_heads: Mapping[str, str],
    ) -> None:
        self.app = app
        self._sessions = sessions
        self._tokens = tokens
        self._hosts = hosts
        self._mounts = mounts
        self._body_caps = [(re.compile(pattern), cap) for pattern, cap in body_caps]
        self._page_heads = {role: head.encode() for role, head in page_heads.items()}
        self._connections: Counter[object] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers or refuses one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        mount = next((path for path in self._mounts if _under(scope["path"], path)), None)
        send = with_headers(scope, send, page_head=partial(self._page_head, scope) if mount else None)
        headers = headers_of(scope)
        api = is_api(scope["path"])
        if not self._hosts.accepts(headers.get("host", "")):
            message = "This address is not served here. Set PHOTOTAG_ALLOWED_HOSTS to allow it."
            await refuse(send, 400, "BAD_HOST", message, api=api)
        elif scope["method"] not in READING and not _same_origin(headers):
            message = "A page of another site sent this request; it was not carried out."
            await refuse(send, 403, "CROSS_SITE", message, api=api)
        else:
            await self._identify(scope, receive, send, headers, mount)

    async def _identify(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], mount: str | None
    ) -> None:
        api = is_api(scope["path"])
        try:
            user, scope[SCOPES_KEY] = await self._caller(headers, api=api)
        except DatabaseUnavailableError as error:
            message = str(error).split(" Received:", maxsplit=1)[0]
            await refuse(send, 503, "DATABASE_AWAY", message, retry_after_s=2, page=wants_page(headers), api=api)
            return
        scope[USER_KEY] = user
        static = mount is not None and scope["method"] in READING and GradioGuard.is_static(scope["path"][len(mount) :])
        if user is None and not static and not PUBLIC.match(scope["path"]):
            await _ask_to_log_in(scope, send, headers)
            return
        key = user.id if user else (scope.get("client") or ("?",))[0]
        if self._connections[key] >= MAX_CONNECTIONS:
            message = "Too many requests at once. Close some tabs."
            await refuse(send, 429, "TOO_MANY_CONNECTIONS", message, retry_after_s=2, api=api)
            return
        self._connections[key] += 1
        try:
            if mount is not None and (static or user is None or has_role(user, self._mounts[mount].role)):
                await self._mounts[mount](scope, receive, send, headers)
            elif mount is not None:
                role = self._mounts[mount].role
                message = (
                    f"This page needs the role {role}. Ask an admin for it, or go back to the pages that you have."
                )
                await refuse(send, 403, "ROLE_REQUIRED", message, page=wants_page(headers))
            else:
                await self._own_route(scope, receive, send, headers)
        finally:
            self._connections[key] -= 1
            if not self._connections[key]:
                del self._connections[key]

    async def _caller(self, headers: Mapping[str, str], *, api: bool) -> tuple[User | None, frozenset[str] | None]:
        """Who asks, and the scopes of the API token; None for a session. A token counts below /api/v1 only."""
        text = token_of_header(headers) if api else None
        if text is not None:
            # a request with a token is the token's: its cookie, if it has one, does not count
            bearer = self._tokens.remembered(text) or await run_in_threadpool(self._tokens.bearer_of, text)
            return (bearer.user, bearer.scopes) if bearer else (None, None)
        token = token_of_cookies(headers.get("cookie", ""))
        if token is None:
            return None, None
        return self._sessions.remembered(token) or await run_in_threadpool(self._sessions.user_of, token), None

    def _page_head(self, scope: Scope) -> bytes:
        user = scope.get(USER_KEY)
        return self._page_heads[user.role] if user else b""

    async def _own_route(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        cap = next((cap for pattern, cap in self._body_caps if pattern.match(scope["path"])), DEFAULT_BODY_CAP)
        limited = LimitedBody(receive, send, cap, api=is_api(scope["path"]))
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > cap:
            await limited.answer_too_large()
            return
        try:
            await self.app(scope, limited.receive, limited.send)
        except Exception:
            if not limited.exceeded:
                raise
        if limited.exceeded:
            await limited.answer_too_large()


class LimitedBody:
    """Counts a request's body while it streams and stops at the cap, whatever Content-Length says."""

    def __init__(self, receive: Receive, send: Send, cap: int, *, api: bool = False) -> None:
        self._receive = receive
        self._send = send
        self._cap = cap
        self._api = api
        self._received = 0
        self._answering = False
        self._complete = False
        self.exceeded = False

    async def receive(self) -> Message:
        """The next part of the body; looks like a lost connection once the cap is passed."""
        message = await self._next()
        if self._received > self._cap:
            self.exceeded = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Passes the answer on, unless the answer will be that the body was too large."""
        if not self.exceeded or self._answering:
            self._answering = True
            await self._send(message)

    async def answer_too_large(self) -> None:
        """413, unless an answer has begun already."""
        if not self._answering:
            await self._discard()
            message = f"The request is larger than the limit of {self._cap:,} bytes."
            await refuse(self._send, 413, "TOO_LARGE", message, close=True, api=self._api)

    async def _discard(self) -> None:
        """Reads on a little: who is cut off while sending never sees the answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_S):
                while not self._complete and self._received <= self._cap + DISCARD_BYTES:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message


def _same_origin(headers: Mapping[str, str]) -> bool:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    # Programs send neither header; they hold no cookie by accident, which is what this is about.
    return origin is None or re.sub(r"^https?://", "", origin) == headers.get("host")


async def _ask_to_log_in(scope: Scope, send: Send, headers: Mapping[str, str]) -> None:
    if scope["method"] == "GET" and wants_page(headers) and not is_api(scope["path"]):
        address = login_address(scope["path"], scope["query_string"].decode("latin1"))
        redirect = [(b"location", address.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": redirect})
        await send({"type": "http.response.body", "body": b""})
        return
    if is_api(scope["path"]):
        message = "Send `Authorization: Bearer TOKEN`; `phototag users token` makes one. This one is unknown or over."
    else:
        message = "Please log in: open /login in a browser, or open the link that `phototag up` prints."
    await refuse(send, 401, "LOGIN_REQUIRED", message, api=is_api(scope["path"]))


def _under(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount + "/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
