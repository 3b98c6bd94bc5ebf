"""Gives the delivery task to the engine, and every other task to a few threads.

Celery's requests, tracer, retries and acknowledgements stay what they are: a task's tracer runs when its
outcome is committed, finds it at hand, and returns; then Celery acknowledges. Where there is nothing to
retry and nobody listens to the tracer's signals it has nothing to do, and would be a third of the CPU of a
delivery; then its callback is called as it would call it, so events and acknowledgements are the same.
"""

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID
from weakref import ReferenceType

import orjson
from celery.concurrency.base import apply_target
from celery.signals import task_postrun, task_prerun, task_success
from django.conf import settings

from delivery import worker
from delivery.batches import Batches
from delivery.deliver import Again
from delivery.loop.engine import Engine
from delivery.loop.permits import Permits
from delivery.loop.results import at_hand
from delivery.loop.stages import Job
from delivery.presence import Load
from delivery.queue import DELIVER

logger = logging.getLogger(__name__)

# For the tasks of beat: short, and rarely two at once.
OTHER_THREADS = 4
LEAVE_SECONDS = 5.0

Result = Again | Exception | None


class Dispatch:
    """What the pool starts with the worker and stops with it."""

    def __init__(self) -> None:
        self._others = ThreadPoolExecutor(OTHER_THREADS, thread_name_prefix="tasks")
        # Tracing and acknowledging ask the broker: while it hangs, only this thread waits for it.
        self._finishing: Batches[Callable[[], None]] = Batches("finish", _call_each, most=64)
        self._finishing.start()
        self._is_traced = any(map(_listeners, (task_prerun, task_postrun, task_success)))
        permits = Permits(
            per_receiver=settings.DELIVERY_REQUESTS_PER_RECEIVER_MAX,
            per_organization=settings.DELIVERY_REQUESTS_PER_ORGANIZATION_MAX,
            per_slow_receiver=settings.DELIVERY_REQUESTS_PER_SLOW_RECEIVER_MAX,
            slow=settings.DELIVERY_REQUESTS_TO_SLOW_RECEIVERS_MAX,
        )
        self._engine = Engine(worker.new_loop_transport, worker.parts().short_waits, permits)
        self._engine.start()
        self.workers = 1

    def share_among(self, workers: int) -> None:
        self.workers = workers
        self._engine.share_among(workers)

    def load(self) -> Load:
        return Load(under_way=self._engine.in_flight, given_back=dict(self._engine.given_back))

    def stop(self) -> None:
        longest = settings.DELIVERY_TIMEOUT_MAX_SECONDS + settings.DELIVERY_LEASE_MARGIN_SECONDS
        if not self._engine.stop(longest):
            logger.warning("stopped with deliveries under way; their leases end, then they go out again")
        self._finishing.stop(LEAVE_SECONDS)
        self._others.shutdown(cancel_futures=True)

    def apply(
        self,
        target: Callable[..., Any],
        args: Any,
        kwargs: Any,
        callback: Callable[..., Any] | None,
        accept_callback: Callable[..., Any] | None,
    ) -> None:
        asked = _asked(args) if args[0] == DELIVER else None
        if asked is None:
            self._others.submit(apply_target, target, args, kwargs, callback, accept_callback)
            return
        if accept_callback is not None:
            accept_callback(os.getpid(), time.monotonic())

        def finish(result: Result) -> None:
            if result is None and callback is not None and not self._is_traced:
                callback((False, None, time.monotonic() - accepted_at))
                return
            with at_hand(result):
                apply_target(target, args, kwargs, callback)

        accepted_at = time.monotonic()

        self._engine.submit(Job(*asked, lambda result: self._finishing.put(partial(finish, result))))


def _call_each(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        try:
            call()
        except Exception:
            # The broker hands it out again, and the claim says no.
            logger.exception("a task could not be finished")


def _listeners(signal: Any) -> list[Any]:
    """Who wants to hear of each task, Celery's own care for Django aside: it looks after connections only."""
    found = [ref() if isinstance(ref, ReferenceType) else ref for _, ref in signal.receivers]
    return [one for one in found if one is not None and one.__module__ != "celery.fixups.django"]


def _asked(args: Any) -> tuple[UUID, int] | None:
    """The delivery and attempt that a message names; None for one that only Celery can complain about."""
    try:
        (delivery_id, attempt), *_ = orjson.loads(args[3])
        return UUID(delivery_id), int(attempt)
    except (ValueError, TypeError, AttributeError):
        return None
