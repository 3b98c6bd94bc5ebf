"""The only receiver of messages. Thin doors: the work is in plain functions that tests call directly."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.exceptions import Reject
from django.db import close_old_connections

from delivery import cancel, hold, worker
from delivery.canary import mark_seen
from delivery.database import DATABASE_AWAY, on_live_connection
from delivery.deliver import Again
from delivery.deliver import deliver as deliver_once
from delivery.loop import results
from delivery.retention.prune import prune_for_a_while
from delivery.states import Lane
from delivery.stats import roll_up as stats
from subscriptions import idempotency, notices

logger = logging.getLogger(__name__)


@shared_task(bind=True, name="delivery.tasks.deliver", max_retries=None)
def deliver(self: "Task[Any, Any]", delivery_id: str, attempt: int) -> None:
    """One attempt. Acknowledged when this returns, which is after the outcome is committed.

    A short wait for the next attempt is Celery's own retry. If that cannot be published the row
    says when it is due, and the requeuer sees to it.
    """
    again = results.take() if results.is_at_hand() else _attempt(UUID(delivery_id), attempt)
    if again is None:
        return
    try:
        self.retry(
            args=(delivery_id, again.attempt),
            countdown=again.delay_seconds,
            queue=Lane.RETRY.queue,
            throw=False,
        )
    except Reject as error:
        logger.warning("retry left to the requeuer delivery=%s error=%s", delivery_id, error)


def _attempt(delivery_id: UUID, attempt: int) -> Again | None:
    close_old_connections()
    parts = worker.parts()
    try:
        return deliver_once(delivery_id, attempt, transport=parts.transport, short_waits=parts.short_waits)
    except DATABASE_AWAY as error:
        # Its lease ends, and the requeuer wakes it up again.
        logger.warning("left to the requeuer: database away delivery=%s error=%s", delivery_id, _line(error))
        return None


@shared_task(name="delivery.tasks.fan_out")
def fan_out() -> None:
    """An event with many recipients has happened."""
    worker.wake_fan_out()


@shared_task(name="delivery.tasks.send_notices")
def send_notices() -> None:
    """Mails to organizations, such as of a disabled subscription."""
    _maintain(notices.send_due)


@shared_task(name="delivery.tasks.cancel_forgotten")
def cancel_forgotten() -> None:
    """Held deliveries that nobody recovered in time."""
    _maintain(hold.cancel_forgotten)


@shared_task(name="delivery.tasks.forget_answers")
def forget_answers() -> None:
    """What calls with an Idempotency-Key were answered long ago."""
    _maintain(idempotency.forget_old)


@shared_task(name="delivery.tasks.prune")
def prune() -> None:
    """Attempts, bodies and events that are as old as they may become."""
    _maintain(lambda: prune_for_a_while(worker.is_stopping.is_set))


@shared_task(name="delivery.tasks.finish_stopped")
def finish_stopped() -> None:
    """The rest of what waits for subscriptions that their owners stopped."""
    _maintain(cancel.finish_stopped)


@shared_task(name="delivery.tasks.roll_up")
def roll_up() -> None:
    """Attempts counted by time, for pages and metrics."""
    _maintain(stats.roll_up)


@shared_task(name="delivery.tasks.forget_counts")
def forget_counts() -> None:
    """Counts of times that nobody looks at any more."""
    _maintain(stats.forget_old)


@shared_task(name="delivery.tasks.canary")
def canary() -> None:
    """Proof that the chain from beat over the broker to a worker and the database is alive."""
    _maintain(mark_seen)


def _maintain(work: Callable[[], object]) -> None:
    """Do what beat asks for; while the database is away the next round does it."""
    close_old_connections()
    try:
        on_live_connection(work)
    except DATABASE_AWAY as error:
        logger.warning("left to the next round: database away error=%s", _line(error))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
