"""Gradio's upload route, guarded: size caps while streaming, and nothing left of an upload that did not finish."""

import contextvars
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.answers import refuse

# Gradio's parser keeps a form field without a file name in memory: 300 MB of it cost 900 MB.
MAX_BEFORE_FILE_BYTES = 64 * 1024

_temp_files: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("temp_files", default=None)


def track_temp_files() -> None:
    """Makes Gradio's multipart parser tell which temp files it opens, per request.

    It keeps those of aborted uploads for ever; a comparison of directory listings would also hit other people's.
    """
    import gradio.route_utils  # noqa: PLC0415 - the guard is imported before the environment is set that it reads

    parser: Any = gradio.route_utils
    real = parser.NamedTemporaryFile
    if getattr(real, "tracked", False):
        return

    def named_temporary_file(*args: Any, **kwargs: Any) -> Any:
        file = real(*args, **kwargs)
        opened = _temp_files.get()
        if opened is not None:
            opened.append(file.name)
        return file

    named_temporary_file.tracked = True  # pyright: ignore[reportFunctionMemberAccess]
    parser.NamedTemporaryFile = named_temporary_file


class GuardedUpload:
    """One request to Gradio's upload route."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._received = 0
        self._seen = b""
        self._file_began = False
        self._too_large = False
        self._gone = False
        self._status = 0
        self._answer = bytearray()

    async def answer(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> list[str]:
        """Passes the request on.

        Returns:
            The paths of the files that were stored.
        """
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._max_bytes:
            await self._refuse_too_large(send)
            return []
        opened: list[str] = []
        token = _temp_files.set(opened)
        try:
            await self._app(scope, self._counting(receive), self._listening(send))
        except Exception:
            if not (self._too_large or self._gone):
                raise
        finally:
            _temp_files.reset(token)
            stored = self._stored_paths()
            if not stored:
                for path in opened:
                    Path(path).unlink(missing_ok=True)
        if self._too_large:
            await self._refuse_too_large(send)
        return stored

    def _counting(self, receive: Receive) -> Receive:
        async def counted() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._gone = True
                return message
            body = message.get("body", b"")
            self._received += len(body)
            if not self._file_began:
                self._seen = self._seen[-200:] + body
                self._file_began = b"filename=" in self._seen
            limit = self._max_bytes if self._file_began else MAX_BEFORE_FILE_BYTES
            self._too_large = self._received > limit
            return {"type": "http.disconnect"} if self._too_large else message

        return counted

    def _listening(self, send: Send) -> Send:
        async def heard(message: Message) -> None:
            if self._too_large:
                return
            if message["type"] == "http.response.start":
                self._status = message["status"]
            elif self._status == 200:
                self._answer.extend(message.get("body", b""))
            await send(message)

        return heard

    def _stored_paths(self) -> list[str]:
        if self._too_large or self._status != 200:
            return []
        try:
            paths = json.loads(bytes(self._answer))
        except ValueError:
            return []
        return [path for path in paths if isinstance(path, str)]

    async def _refuse_too_large(self, send: Send) -> None:
        message = f"The upload is larger than the limit of {self._max_bytes:,} bytes."
        await refuse(send, 413, "TOO_LARGE", message, close=True)
