"""Ends a process at its n-th step: each write to the disk, each statement and each commit counts, before and after.

Nothing of phototag knows of it: the steps are Python's own audit events, `os.fsync`, and SQLAlchemy's cursors.
"""

import itertools
import os
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

# What changes the disk. "open" counts when it is for writing.
_DISK_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime", "shutil.rmtree"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CRASHED = 137


def steps_of(action: Callable[[], None]) -> int | None:
    """How many steps `action` has when nobody disturbs it; None if it failed."""
    reader, writer = os.pipe()
    code = _forked(lambda: _counted(action, writer))
    os.close(writer)
    with os.fdopen(reader) as pipe:
        counted = pipe.read()
    return int(counted) if code == 0 else None


def crash_at(step: int, action: Callable[[], None]) -> int:
    """Runs `action` in a process that ends at this step, without a word; returns the exit code."""
    return _forked(lambda: _run(action, step))


def in_process(action: Callable[[], None]) -> int:
    """Runs `action` undisturbed in a process of its own; returns the exit code."""
    return _forked(action)


def _forked(action: Callable[[], None]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        except BaseException:  # noqa: BLE001 - the parent reports it
            sys.excepthook(*sys.exc_info())  # pyright: ignore[reportArgumentType]
            sys.stderr.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _counted(action: Callable[[], None], writer: int) -> None:
    counter = itertools.count(1)
    _install(lambda: next(counter))
    action()
    os.write(writer, str(next(counter) - 1).encode())


def _run(action: Callable[[], None], step: int) -> None:
    counter = itertools.count(1)

    def on_step() -> None:
        if next(counter) == step:
            os._exit(CRASHED)

    _install(on_step)
    action()


def _install(on_step: Callable[[], object]) -> None:
    """From now on calls `on_step` at each step of this process. For good: the process is made to end."""

    def audit(name: str, arguments: tuple[Any, ...]) -> None:
        if name in _DISK_EVENTS or (name == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            on_step()

    def statement(*_: object) -> None:
        on_step()

    sys.addaudithook(audit)
    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "after_cursor_execute", statement)
    _wrap(os, "fsync", on_step)
    _wrap(DefaultDialect, "do_commit", on_step)


def _wrap(owner: Any, name: str, on_step: Callable[[], object]) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any) -> Any:
        on_step()
        result = original(*arguments)
        on_step()
        return result

    setattr(owner, name, wrapped)
