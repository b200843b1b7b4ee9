"""Reading a request's body."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

import ui.submitting
from ui.submitting import body_of


class Request:
    """The part of a request that is read: its stream."""

    def __init__(self, parts: list[bytes], pause_s: float) -> None:
        self._parts = parts
        self._pause_s = pause_s

    async def stream(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            await asyncio.sleep(self._pause_s)
            yield part


def read(request: Request) -> list[bytes]:
    """All parts of a body."""

    async def gather() -> list[bytes]:
        return [part async for part in body_of(cast("Any", request))]

    return asyncio.run(gather())


def test_a_body_is_read_to_its_end() -> None:
    """In the parts in which it came."""
    assert read(Request([b"a", b"", b"b"], 0)) == [b"a", b"", b"b"]


def test_a_sender_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would hold its file, and a connection, for ever."""
    monkeypatch.setattr(ui.submitting, "SILENCE_S", 0.02)

    with pytest.raises(TimeoutError):
        read(Request([b"a", b"b"], 0.5))
