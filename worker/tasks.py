"""The Celery tasks: thin, they call the tagger or the intake of this process."""

import logging
from collections.abc import Callable

from celery import Celery

from db.errors import BrokerUnavailableError, DatabaseUnavailableError
from worker.queue import TAG_TASK, UNPACK_TASK, enqueue_tag, enqueue_unpack

log = logging.getLogger(__name__)

# How long one message keeps the worker: then signals and the other queues get their turn.
TURN_S = 10.0


def register_tasks(
    app: Celery,
    *,
    tag: Callable[[float], bool] | None,
    unpack: Callable[[], bool] | None,
    stopping: Callable[[], bool],
) -> None:
    """Gives `app` the tasks that this process can run.

    Args:
        app: the app of this worker process.
        tag: tags ready items for at most the given seconds; returns whether work remains.
        unpack: unpacks one archive; returns whether there was one.
        stopping: whether the process was asked to stop.
    """
    if tag is not None:
        tag_turn = tag

        def tag_task() -> None:
            _work(lambda: tag_turn(TURN_S), lambda: enqueue_tag(app), stopping)

        app.task(name=TAG_TASK)(tag_task)

    if unpack is not None:
        unpack_one = unpack

        def unpack_task(batch_id: str) -> None:
            _work(unpack_one, lambda: enqueue_unpack(app, batch_id), stopping)

        # Late ack: a killed worker's message comes back; the archive's lease makes a repeat harmless.
        app.task(name=UNPACK_TASK, acks_late=True)(unpack_task)


def _work(turn: Callable[[], bool], again: Callable[[], None], stopping: Callable[[], bool]) -> None:
    """One turn, and a message for the next one while work remains. Rows and polling cover what fails here."""
    try:
        if turn() and not stopping():
            again()
    except (BrokerUnavailableError, DatabaseUnavailableError) as error:
        log.warning("%s", error)
