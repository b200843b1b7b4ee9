"""Ctrl-C is heard, also where a library swallows it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from ui.cli_setup import Interruption, stopping_cleanly


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Whoever started the tests may have had signals ignored (nohup, a script's &); here all are heard."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, default) for number, default in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    """Sends a signal to this process and gives the interpreter time to handle it."""
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_way_to_stop_raises_at_once(number: int) -> None:
    """A closed terminal and a service manager count like Ctrl-C."""
    with pytest.raises(KeyboardInterrupt), stopping_cleanly():
        send(number)


def test_an_interruption_that_was_swallowed_is_raised_again() -> None:
    """Bare excepts of libraries that are being imported swallowed it for ten minutes."""
    with stopping_cleanly() as interruption:
        interruption.check()
        with contextlib.suppress(KeyboardInterrupt):
            send(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            interruption.check()


def test_a_signal_that_was_ignored_before_stays_ignored() -> None:
    """`nohup phototag up &` must survive the terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_cleanly() as interruption:
            send(signal.SIGHUP)
            interruption.check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_as_they_were_after_the_block() -> None:
    """Other commands in the same process, and tests, keep theirs."""
    before = signal.getsignal(signal.SIGTERM)

    with stopping_cleanly():
        assert isinstance(signal.getsignal(signal.SIGTERM), Interruption)

    assert signal.getsignal(signal.SIGTERM) == before
