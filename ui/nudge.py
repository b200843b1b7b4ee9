"""Tells the workers that there is work, from a thread of its own: an answer never waits for the broker."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from celery import Celery

from db.errors import BrokerUnavailableError
from worker.queue import enqueue_tag, enqueue_unpack, make_app, ping

log = logging.getLogger(__name__)

# Thousands of files arrive one by one; more than a few messages a second say nothing new.
SPACING_S = 0.2
# How often the broker is looked at while nothing is sent, so that pages can say that it is away.
PING_EVERY_S = 10.0


class Nudger:
    """Sends coalesced messages. What fails is logged only: workers also look for work by themselves."""

    def __init__(self, find_broker: Callable[[], str | None]) -> None:
        """Nothing is connected yet.

        Args:
            find_broker: gives the broker's URL, None while there is none; asked again after each failure.
        """
        self._find_broker = find_broker
        self._app: Celery | None = None
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._tag = False
        self._unpack: set[str] = set()
        self._thread = threading.Thread(target=self._send_when_asked, name="nudger", daemon=True)
        self.broker_answers = True

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is sending."""
        self._stopping.set()
        self._asked.set()
        self._thread.join(3.0)

    def tag(self) -> None:
        """Items are ready to be tagged."""
        with self._lock:
            self._tag = True
        self._asked.set()

    def unpack(self, batch_id: str) -> None:
        """An archive of `batch_id` is ready to be unpacked."""
        with self._lock:
            self._unpack.add(batch_id)
        self._asked.set()

    def _send_when_asked(self) -> None:
        while not self._stopping.is_set():
            asked = self._asked.wait(PING_EVERY_S)
            self._asked.clear()
            with self._lock:
                tag, self._tag = self._tag, False
                unpack, self._unpack = self._unpack, set()
            try:
                self._send(tag=tag, unpack=unpack, look=not asked)
                self.broker_answers = True
            except BrokerUnavailableError as error:
                if self.broker_answers:
                    log.warning("%s", error)
                self.broker_answers = False
                self._app = None
            self._stopping.wait(SPACING_S)

    def _send(self, *, tag: bool, unpack: set[str], look: bool) -> None:
        app = self._connected()
        if tag:
            enqueue_tag(app)
        for batch_id in sorted(unpack):
            enqueue_unpack(app, batch_id)
        if look:
            ping(app)

    def _connected(self) -> Celery:
        if self._app is None:
            address = self._find_broker()
            if address is None:
                msg = "No broker runs on this data directory. Start `phototag up`, or set PHOTOTAG_REDIS_URL."
                raise BrokerUnavailableError(msg)
            self._app = make_app(address)
        return self._app


@contextmanager
def nudging(find_broker: Callable[[], str | None]) -> Generator[Nudger]:
    """Tells the workers of each group; without a broker they find it by themselves, a little later."""
    nudger = Nudger(find_broker)
    nudger.start()
    try:
        yield nudger
    finally:
        nudger.stop()
