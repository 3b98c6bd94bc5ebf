"""What the broker says of itself: whether it answers, how it keeps its data, what waits in the queues."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from celery import current_app
from django.conf import settings
from redis.exceptions import ResponseError

Answer = TypeVar("Answer")

NO_QUEUE = "runhooks.no-queue"
CONFIGURATION = ("appendonly", "maxmemory-policy")


class BrokerAway(Exception):
    """The broker did not answer; the message says how, without the password."""


@dataclass(frozen=True, kw_only=True)
class BrokerFacts:
    """Of a Redis or Valkey server. None: it refuses to say, as managed servers do."""

    configuration: Mapping[str, str] | None
    memory: Mapping[str, Any] | None
    persistence: Mapping[str, Any] | None
    clock_ahead_seconds: float
    """Its clock against that of this host."""
    waiting: Mapping[str, int]
    """Messages per queue."""
    refuses_to_hand_out: str = ""
    """Why it does not hand out messages in the way that workers ask for, in its own words."""


def ask(timeout_seconds: float) -> BrokerFacts:
    """All facts, each answer within `timeout_seconds`; raises BrokerAway."""
    return _on_channel(timeout_seconds, _facts)


def ping(timeout_seconds: float) -> None:
    """Raises BrokerAway unless it answers in time."""
    _on_channel(timeout_seconds, lambda channel: bool(channel.client.ping()))


def queue_names() -> list[str]:
    return [queue.name for queue in settings.CELERY_TASK_QUEUES]


def _on_channel(timeout_seconds: float, work: Callable[[Any], Answer]) -> Answer:
    """On a connection of its own, made in a single try, so that the time is bounded."""
    options = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "max_retries": 0,
        "interval_start": 0,
    }
    try:
        with current_app.connection_for_write(transport_options=options) as connection:
            return work(connection.default_channel)
    except Exception as error:
        raise BrokerAway(" ".join(str(error).split()).rstrip(".") or type(error).__name__) from error


def _facts(channel: Any) -> BrokerFacts:
    client = channel.client
    asked_at = time.time()
    seconds, microseconds = client.time()
    answered_at = time.time()
    return BrokerFacts(
        configuration=_unless_refused(
            lambda: {name: str(client.config_get(name)[name]) for name in CONFIGURATION}
        ),
        memory=_unless_refused(lambda: client.info("memory")),
        persistence=_unless_refused(lambda: client.info("persistence")),
        clock_ahead_seconds=seconds + microseconds / 1e6 - (asked_at + answered_at) / 2,
        waiting={name: messages_waiting(channel, name) for name in queue_names()},
        refuses_to_hand_out=_refusal_to_hand_out(client),
    )


def _refusal_to_hand_out(client: Any) -> str:
    """Asks as workers do (webhooks_project/transport.py), for a queue that is not there."""
    try:
        client.execute_command("BLMPOP", 0.001, 1, NO_QUEUE, "RIGHT", "COUNT", 1)
    except ResponseError as error:
        return str(error)
    return ""


def messages_waiting(channel: Any, queue: str) -> int:
    """How many messages the queue holds; makes it if it is not there yet."""
    return int(channel.queue_declare(queue=queue, durable=True, auto_delete=False).message_count)


def _unless_refused(read: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return read()
    except (ResponseError, KeyError):
        # CONFIG is unknown, renamed, not permitted, or knows no such name.
        return None
