"""Frames between a worker and its decoder processes: two lengths, a JSON head, raw bytes."""

import json
import socket
import struct
import time
from typing import Any

_LENGTHS = struct.Struct("<IQ")


class FrameClosedError(Exception):
    """Raised when the other end is gone, or closed in the middle of a frame."""


def send_frame(
    connection: socket.socket, head: dict[str, Any], body: bytes | bytearray = b"", *, until: float | None = None
) -> None:
    """Sends one frame.

    Args:
        connection: a connected stream socket.
        head: what JSON can hold.
        body: raw bytes that follow.
        until: `time.monotonic()` by which it must be taken; None waits for ever.

    Raises:
        TimeoutError: it was not taken in time.
        FrameClosedError: the other end is gone.
    """
    encoded = json.dumps(head).encode()
    try:
        for part in (_LENGTHS.pack(len(encoded), len(body)) + encoded, body):
            connection.settimeout(_left(until))
            connection.sendall(part)
    except TimeoutError:
        raise
    except OSError as error:
        raise FrameClosedError from error


def receive_frame(connection: socket.socket, *, until: float | None = None) -> tuple[dict[str, Any], bytearray]:
    """Receives one frame: its head and its body.

    Raises:
        TimeoutError: it did not come in time.
        FrameClosedError: the other end is gone.
    """
    head_length, body_length = _LENGTHS.unpack(_receive(connection, _LENGTHS.size, until))
    head = json.loads(bytes(_receive(connection, head_length, until)))
    return head, _receive(connection, body_length, until)


def _receive(connection: socket.socket, length: int, until: float | None) -> bytearray:
    data = bytearray(length)
    view, got = memoryview(data), 0
    try:
        while got < length:
            connection.settimeout(_left(until))
            count = connection.recv_into(view[got:])
            if count == 0:
                raise FrameClosedError
            got += count
    except TimeoutError:
        raise
    except OSError as error:
        raise FrameClosedError from error
    return data


def _left(until: float | None) -> float | None:
    if until is None:
        return None
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
