"""Parts that live as long as a worker process: the transport, the bound on waits inside Celery, the requeuer.

Built once, on first use, so that a forked pool process has its own; closed when the worker stops.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from celery.signals import task_received, worker_init, worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings

from delivery import attempt_line, slow, tally
from delivery.database import DATABASE_AWAY
from delivery.fan_out.loop import FanOutLoop
from delivery.presence import Load, Presence, sender_count
from delivery.replays.loop import ReplayLoop
from delivery.requeue import requeue_once
from delivery.sender import Transport
from delivery.sender.loop import LoopTransport
from delivery.short_waits import ShortWaits
from delivery.work_loop import WorkLoop
from subscriptions.rules import target_rule
from webhooks_project import collecting
from webhooks_project.process import OfProcess

logger = logging.getLogger(__name__)

# Each so many looks of the requeuer count what waits.
THOROUGH_EVERY = 5
# For a requeuer that still waits for a broker which does not answer.
LEAVE_SECONDS = 5.0


@dataclass(frozen=True)
class Parts:
    transport: Transport
    short_waits: ShortWaits


def new_transport() -> Transport:
    """A sender by the settings: the operator's rule and limits."""
    return Transport(
        connections_per_receiver=settings.DELIVERY_CONNECTIONS_PER_RECEIVER, **_transport_settings()
    )


def new_loop_transport() -> LoopTransport:
    """The same on an event loop, for the worker's own pool."""
    return LoopTransport(**_transport_settings())


def _transport_settings() -> dict[str, Any]:
    return {
        "rule": target_rule(),
        "body_max_characters": settings.DELIVERY_RESPONSE_BODY_MAX_CHARACTERS,
        "dns_timeout_seconds": settings.WEBHOOK_DNS_TIMEOUT_SECONDS,
        "lookups_per_organization": settings.WEBHOOK_DNS_LOOKUPS_PER_ORGANIZATION_MAX,
        "ca_file": settings.WEBHOOK_CA_FILE,
        "tls_session_max_age_seconds": settings.WEBHOOK_TLS_SESSION_MAX_AGE_SECONDS,
    }


def _new_parts() -> Parts:
    return Parts(
        transport=new_transport(),
        short_waits=ShortWaits(
            longest_seconds=settings.DELIVERY_RETRY_IN_CELERY_SECONDS,
            most=settings.DELIVERY_RETRIES_HELD_MAX,
        ),
    )


parts = OfProcess(_new_parts)


class RequeueLoop(WorkLoop):
    """The requeuer, on a thread of the worker: a task for it would wait behind the very backlog it mends."""

    def __init__(
        self, presence: Presence | None = None, share_among: Callable[[int], None] = lambda workers: None
    ) -> None:
        """`share_among` is told how many workers there are, each time that this one says that it lives."""
        super().__init__("requeuer", self._look, lambda: settings.REQUEUE_INTERVAL_SECONDS)
        self._presence = presence
        self._share_among = share_among
        self._looks = count()

    def _look(self, stop: Callable[[], bool]) -> float:
        """Short enough to be done when it is told to stop."""
        self._say_present()
        self._learn_of_slow_receivers()
        published = requeue_once(thorough=next(self._looks) % THOROUGH_EVERY == 0)
        tally.add(tally.REQUEUED, published)
        if published:
            logger.info("requeued deliveries=%d", published)
        return math.inf

    def _say_present(self) -> None:
        """What goes wrong here must not keep the requeuer from its work."""
        try:
            if self._presence is not None and self._presence.say_if_due():
                self._share_among(sender_count())
        except DATABASE_AWAY:
            raise
        except Exception:
            logger.exception("the worker could not say that it lives")

    def _learn_of_slow_receivers(self) -> None:
        """As above."""
        try:
            slow.receivers().sync()
        except DATABASE_AWAY:
            raise
        except Exception:
            logger.exception("what is known of slow receivers could not be shared")

    def leave(self) -> None:
        try:
            if self._presence is not None:
                self._presence.leave()
        except Exception as error:  # noqa: BLE001 - it will be noticed as silent instead
            logger.warning("the worker could not say that it stops error=%s", str(error).strip())


_loop: RequeueLoop | None = None
_replays: ReplayLoop | None = None
_fan_out: FanOutLoop | None = None

#: long tasks of beat end then, and the next ones go on
is_stopping = threading.Event()


_received_at = time.monotonic()


@task_received.connect
def _note_message(**_: Any) -> None:
    global _received_at
    _received_at = time.monotonic()


@worker_init.connect
def _name_worker(sender: Any, **_: Any) -> None:
    """Before a pool forks."""
    attempt_line.name_worker(sender.hostname)


@worker_ready.connect
def _start_requeuer(sender: Any, **_: Any) -> None:
    global _loop, _replays, _fan_out
    collecting.seldom()
    queues = sender.app.amqp.queues
    _loop = RequeueLoop(
        Presence(
            sender.hostname,
            lambda: list(queues.consume_from),
            sender.controller.concurrency,
            received_at=lambda: _received_at,
            load=getattr(sender.pool, "load", Load),
        ),
        # Celery's own pools know no such limits.
        getattr(sender.pool, "share_among", lambda workers: None),
    )
    _loop.start()
    _replays = ReplayLoop()
    _replays.start()
    _fan_out = FanOutLoop()
    _fan_out.start()


def wake_fan_out() -> None:
    """A process of a pool that forks has no loop: the worker's own looks each second."""
    if _fan_out is not None:
        _fan_out.wake()


@worker_shutting_down.connect
def _stop_requeuer(**_: Any) -> None:
    is_stopping.set()
    if _loop is not None:
        _loop.stop()
    if _replays is not None:
        _replays.stop()
    if _fan_out is not None:
        _fan_out.stop()


@worker_shutdown.connect
def _close_parts(**_: Any) -> None:
    if _loop is not None:
        _loop.join(LEAVE_SECONDS)
    if (own := parts.if_made()) is not None:
        own.transport.close()
