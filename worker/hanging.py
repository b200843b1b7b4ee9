"""What is done about a network that hangs."""

import faulthandler
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def ends_when_hung(limit_s: float) -> Generator[None]:
    """Ends this process, with all its stacks on stderr, if what is done within takes longer than `limit_s`."""
    faulthandler.dump_traceback_later(limit_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
