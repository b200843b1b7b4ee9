"""The Celery app and its messages: who may send what to which queue.

A message only says that there is work; what the work is stands in the database (docs/decisions/rows-not-messages.md).
A lost message costs at most one sweep, a repeated one an empty query.
"""

from typing import Any, cast

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from db.errors import BrokerUnavailableError, SettingsError

TAGGING, INTAKE, TRAINING = "tagging", "intake", "training"
# What one process can work on together. Training is a program of its own.
QUEUES = (TAGGING, INTAKE)

TAG_TASK = "phototag.tag"
UNPACK_TASK = "phototag.unpack"

# A message nobody took in this time is worth nothing: the sweep has sent another one.
MESSAGE_EXPIRES_S = 30


def broker_url(redis_url: str) -> str:
    """Kombu's spelling of a redis-py URL: `unix:///path` becomes `redis+socket:///path`.

    Raises:
        SettingsError: the scheme is none of redis, rediss and unix.
    """
    scheme, separator, rest = redis_url.partition("://")
    if not separator or scheme not in ("redis", "rediss", "unix"):
        msg = (
            "PHOTOTAG_REDIS_URL was expected to start with redis://, rediss:// or unix://. "
            f"Received one that starts with {scheme[:20]!r}."
        )
        raise SettingsError(msg)
    return f"redis+socket://{rest}" if scheme == "unix" else redis_url


def make_app(redis_url: str) -> Celery:
    """A Celery app that talks to the broker at `redis_url`; nothing is connected yet."""
    app = Celery("phototag", set_as_current=False)
    app.conf.update(
        broker_url=broker_url(redis_url),
        # Workers trust what is in the broker: JSON only, and no results to tamper with.
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_default_queue=TAGGING,
        task_routes={TAG_TASK: {"queue": TAGGING}, UNPACK_TASK: {"queue": INTAKE}},
        worker_prefetch_multiplier=1,
        task_publish_retry=False,  # a frozen broker must not hold the caller: the sweep sends again
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
            # Late-acked unpacks come back soon after a worker died; kombu's defaults took 103 s.
            "visibility_timeout": 3600,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            # Off: redis-py would retry inside the time limits above.
            "retry_on_timeout": False,
        },
    )
    return app


def enqueue_tag(app: Celery) -> None:
    """Says that items are ready to be tagged.

    Raises:
        BrokerUnavailableError: the broker did not take it; workers find the items by polling.
    """
    _send(app, TAG_TASK, [])


def enqueue_unpack(app: Celery, batch_id: str) -> None:
    """Says that `batch_id` has an archive to be unpacked.

    Raises:
        BrokerUnavailableError: the broker did not take it; workers find the archive by polling.
    """
    _send(app, UNPACK_TASK, [batch_id])


def queue_length(app: Celery, queue: str) -> int:
    """The number of messages that wait in `queue`.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    try:
        with cast("Any", app).connection_for_read() as connection:  # Kombu has no types
            return int(connection.default_channel.client.llen(queue))
    except (OperationalError, RedisError, OSError) as error:
        raise _unavailable(error) from error


def ping(app: Celery) -> None:
    """Returns when the broker answers.

    Raises:
        BrokerUnavailableError: it does not.
    """
    queue_length(app, TAGGING)


def _send(app: Celery, task: str, args: list[str]) -> None:
    try:
        app.send_task(task, args=args, expires=MESSAGE_EXPIRES_S, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> BrokerUnavailableError:
    msg = (
        "The broker (Redis or Valkey) does not answer. Check that it runs and that PHOTOTAG_REDIS_URL is right; "
        f"accepted photos are kept and tagged all the same. Received: {type(error).__name__}"
    )
    return BrokerUnavailableError(msg)
