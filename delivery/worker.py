"""Parts that live as long as a worker process: the transport, the bound on held retries, the requeuer.

Built once, on first use, so that a forked pool process has its own; closed when the worker stops.
"""

import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections, connection

from delivery.database import DATABASE_AWAY
from delivery.held import HeldRetries
from delivery.requeue import requeue_once
from delivery.sender import Transport
from subscriptions.rules import target_rule

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    process_id: int
    transport: Transport
    held: HeldRetries


_parts: Parts | None = None
_lock = threading.Lock()


def parts() -> Parts:
    """This process's parts."""
    global _parts
    with _lock:
        if _parts is None or _parts.process_id != os.getpid():
            _parts = Parts(
                process_id=os.getpid(),
                transport=Transport(
                    rule=target_rule(),
                    connections_per_receiver=settings.DELIVERY_CONNECTIONS_PER_RECEIVER,
                    body_max_characters=settings.DELIVERY_RESPONSE_BODY_MAX_CHARACTERS,
                ),
                held=HeldRetries(
                    longest_seconds=settings.DELIVERY_RETRY_IN_CELERY_SECONDS,
                    most=settings.DELIVERY_RETRIES_HELD_MAX,
                ),
            )
        return _parts


class RequeueLoop:
    """The requeuer, on a thread of the worker: a task for it would wait behind the very backlog it mends."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="requeuer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                close_old_connections()
                published = requeue_once()
                if published:
                    logger.info("requeued deliveries=%d", published)
            except DATABASE_AWAY as error:
                logger.warning("requeuer waits for the database error=%s", str(error).strip())
                connection.close()
            except Exception:
                logger.exception("requeuer failed; it looks again")
            self._stop.wait(settings.REQUEUE_INTERVAL_SECONDS)
        connection.close()


_loop: RequeueLoop | None = None


@worker_ready.connect
def _start_requeuer(**_: Any) -> None:
    global _loop
    _loop = RequeueLoop()
    _loop.start()


@worker_shutting_down.connect
def _stop_requeuer(**_: Any) -> None:
    if _loop is not None:
        _loop.stop()


@worker_shutdown.connect
def _close_parts(**_: Any) -> None:
    if _parts is not None and _parts.process_id == os.getpid():
        _parts.transport.close()
