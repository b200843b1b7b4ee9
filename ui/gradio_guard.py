"""The guard of one mounted Gradio app: an allow-list of routes, own files and own event streams only.

Gradio 6.31 lets every logged-in user read every upload and every event stream (CVE-like behaviour that its docs state),
keeps the temp files of aborted uploads for ever, and takes form fields of any size into memory. Re-test with each bump:
tests/integration/test_web_gradio_guard.py. Ownership is kept in this process: one web process, or sticky sessions.
"""

import json
import os
import re
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.schema import User
from ui.access import USER_KEY, Role
from ui.answers import refuse
from ui.gradio_upload import GuardedUpload

# What Gradio's front end and gradio_client ask for, relative to <mount>/gradio_api/. All else is 404.
ALLOWED = {
    "GET": re.compile(
        r"(queue/data|upload_progress|heartbeat/[A-Za-z0-9-]{1,64}|file=.+|info/?|startup-events|theme\.css|app_id"
        r"|user/?|login_check)$"
    ),
    "HEAD": re.compile(r"file=.+$"),
    "POST": re.compile(r"(queue/join|upload|cancel)$"),
}
STATIC = re.compile(r"/(static|assets|svelte)/|/(theme\.css|favicon\.ico|robots\.txt)$")
# Pages and the configuration; /monitoring, /login, /logout, /manifest.json, /pwa_icon are not served.
PAGES = re.compile(r"/?$|/config/?$|/[a-z-]+/?$")
NOT_PAGES = re.compile(r"/(monitoring|login|logout|pwa_icon|manifest\.json)\b")
MAX_JSON_BYTES = 1024**2
MAX_OWNED = 200_000
OWNED_FOR_S = 24 * 3600.0

JsonNode = dict[str, Any] | list[Any]


class GradioGuard:
    """Stands between the login and a mounted Gradio app.

    Args:
        app: the whole application, with the Gradio app mounted under `mount`.
        mount: its path, e.g. "/app".
        role: what its callers need, checked by the guard in front.
        upload_dir: Gradio's folder of uploads.
        max_upload_bytes: largest body of its upload route.
    """

    def __init__(self, app: ASGIApp, *, mount: str, role: Role, upload_dir: Path, max_upload_bytes: int) -> None:
        self._app = app
        self._mount = mount
        self.role: Role = role
        self._upload_dir = os.path.realpath(upload_dir)
        self._max_upload_bytes = max_upload_bytes
        self._files = Owners()
        self._streams = Owners()

    @staticmethod
    def is_static(path: str) -> bool:
        """Whether `path`, below the mount, is a part of Gradio's front end, the same for everyone."""
        return STATIC.match(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        """Answers or refuses one request below the mount."""
        path, method = scope["path"][len(self._mount) :], scope["method"]
        if self.is_static(path):
            await self._app(scope, receive, send)
        elif not path.startswith("/gradio_api/"):
            await self._page(scope, receive, send, path)
        else:
            call = path.removeprefix("/gradio_api/")
            if method not in ALLOWED or not ALLOWED[method].match(call):
                await _not_here(send)
            else:
                await self._call(scope, receive, send, call, headers)

    async def _page(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        known = PAGES.match(path) and not NOT_PAGES.match(path) and b"deep_link" not in scope["query_string"]
        if scope["method"] not in ("GET", "HEAD") or not known:
            await _not_here(send)
            return
        # Uncompressed, so that the nonce can be put in.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send, call: str, headers: Mapping[str, str]) -> None:
        user = cast("User", scope[USER_KEY])
        if call.startswith("file="):
            await (self._app(scope, receive, send) if self._owns_file(user, call[5:]) else _not_here(send))
            return
        query = parse_qs(scope["query_string"].decode("latin1"), keep_blank_values=True)
        # We read the first of a repeated parameter, FastAPI the last: ?session_hash=mine&session_hash=theirs.
        if any(len(values) > 1 for values in query.values()):
            await refuse(send, 400, "REPEATED_PARAMETER", "A parameter was given twice.")
            return
        stream = query.get("session_hash", [""])[0] or call.removeprefix("heartbeat/") * call.startswith("heartbeat/")
        upload = query.get("upload_id", [""])[0]
        if not (self._claim(user, stream) and self._claim(user, upload and f"upload {upload}")):
            await _not_here(send)
        elif call == "queue/data" and not stream:
            await refuse(send, 400, "NO_SESSION", "The parameter session_hash is missing.")
        elif call == "queue/data":
            await self._app(scope, receive, self._granting(user, send))
        elif call == "upload":
            guarded = GuardedUpload(self._app, self._max_upload_bytes)
            for path in await guarded.answer(scope, receive, send, headers):
                self._grant(user, path)
        elif scope["method"] == "POST":
            await self._post(scope, receive, send, headers)
        else:
            await self._app(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        user = cast("User", scope[USER_KEY])
        # A form of another site can send text/plain without asking; application/json it cannot.
        if not headers.get("content-type", "").startswith("application/json"):
            await refuse(send, 415, "JSON_EXPECTED", "Content-Type application/json was expected.", close=True)
            return
        body = await _whole_body(receive)
        if body is None:
            await refuse(send, 413, "TOO_LARGE", f"At most {MAX_JSON_BYTES:,} bytes were expected.", close=True)
            return
        try:
            asked: object = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            await refuse(send, 400, "BAD_JSON", "The body is not JSON.")
            return
        if self._names_foreign_file(user, asked):
            await refuse(send, 403, "NOT_YOUR_FILE", "Upload the file first; addresses and other files are not read.")
            return
        stream = cast("dict[str, object]", asked).get("session_hash") if isinstance(asked, dict) else None
        if not isinstance(stream, str) or not self._claim(user, stream):
            await _not_here(send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _claim(self, user: User, key: str) -> bool:
        """A stream belongs to who names it first: the client makes it up. Empty: nothing to claim."""
        if not key:
            return True
        owners = self._streams.of(key)
        if owners and user.id not in owners:
            return False
        self._streams.add(key, user.id)
        return True

    def _owns_file(self, user: User, path: str) -> bool:
        if re.match(r"\s*[a-z][a-z0-9+.-]*:", path, re.IGNORECASE):  # http: would be fetched by the server
            return False
        real = os.path.realpath(path)
        return real.startswith(self._upload_dir + os.sep) and user.id in self._files.of(real)

    def _grant(self, user: User, path: str) -> None:
        real = os.path.realpath(path)
        if real.startswith(self._upload_dir + os.sep):
            self._files.add(real, user.id)

    def _names_foreign_file(self, user: User, asked: object) -> bool:
        for node in _objects(asked):
            path, url = node.get("path"), node.get("url")
            if path is not None and not (isinstance(path, str) and self._owns_file(user, path)):
                return True
            if isinstance(url, str) and path is None:
                return True
        return False

    def _granting(self, user: User, send: Send) -> Send:
        """Files that Gradio hands to this user in his own stream are his to fetch."""
        buffer = bytearray()

        async def send_and_grant(message: Message) -> None:
            buffer.extend(message.get("body", b"") if message["type"] == "http.response.body" else b"")
            while (end := buffer.find(b"\n\n")) >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 2]
                if line.startswith(b"data:") and b"gradio.FileData" in line:
                    for node in _objects(json.loads(line[5:])):
                        if isinstance(node.get("path"), str):
                            self._grant(user, node["path"])
            await send(message)

        return send_and_grant


class Owners:
    """Which users a thing belongs to; bounded and forgetful. A set: the same file of two people has one path."""

    def __init__(self) -> None:
        self._owners: OrderedDict[Hashable, tuple[set[int], float]] = OrderedDict()

    def add(self, key: Hashable, user_id: int) -> None:
        """Adds an owner and renews the memory of `key`."""
        owners, _ = self._owners.pop(key, (set[int](), 0.0))
        self._owners[key] = (owners | {user_id}, time.monotonic() + OWNED_FOR_S)
        while len(self._owners) > MAX_OWNED:
            self._owners.popitem(last=False)

    def of(self, key: Hashable) -> set[int]:
        """The users that own `key`, none when it is unknown or too long ago."""
        owners, until = self._owners.get(key, (set[int](), 0.0))
        return owners if time.monotonic() < until else set()


def _objects(tree: object) -> Iterator[dict[str, Any]]:
    """Every JSON object in `tree`, without recursion: its depth is up to the sender."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            mapping = cast("dict[str, Any]", node)
            yield mapping
            stack.extend(mapping.values())
        elif isinstance(node, list):
            stack.extend(cast("list[Any]", node))


async def _whole_body(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_JSON_BYTES:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` once and then the connection's own messages."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


async def _not_here(send: Send) -> None:
    await refuse(send, 404, "NOT_FOUND", "There is nothing here.")
