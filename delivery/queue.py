"""The only publisher of wake-ups, and the only one to ask the broker how many wait.

Callers hand wake-ups over and go on: a thread per process sends what has gathered in one batch, so
neither a slow nor an absent broker costs an API call time or success. What cannot be published is
dropped with a warning, for the row is the truth and the requeuer finds it.
"""

import atexit
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import Any, NamedTuple
from uuid import UUID

from celery import current_app
from django.db import transaction
from kombu import Producer
from kombu.exceptions import OperationalError

from delivery.broker import messages_waiting
from delivery.prepared import PLACEHOLDER_ARGS, PLACEHOLDER_TASK_ID, PreparedMessage
from delivery.states import Lane
from webhooks_project.process import OfProcess

logger = logging.getLogger(__name__)

DELIVER = "delivery.tasks.deliver"
FAN_OUT = "delivery.tasks.fan_out"
FAN_OUT_QUEUE = "maintenance"
# 50,000 wake-ups of about 200 bytes: 10 MB. Beyond that the requeuer does it.
BACKLOG_MAX = 50_000
BATCH_MAX = 500
FLUSH_AT_EXIT_SECONDS = 5.0
POOL_WAIT_SECONDS = 5.0


class WakeUp(NamedTuple):
    """A nudge: this delivery expects this attempt (from 1)."""

    delivery_id: UUID
    attempt: int
    lane: Lane


class Publisher:
    """Publishes in the background, in order, in batches."""

    def __init__(self) -> None:
        # None: an event waits for its fan-out.
        self._queue: Queue[WakeUp | None] = Queue(BACKLOG_MAX)
        self._thread = threading.Thread(target=self._run, name="wake-up-publisher", daemon=True)
        self._thread.start()

    def publish(self, wake_ups: Sequence[WakeUp]) -> None:
        for position, wake_up in enumerate(wake_ups):
            try:
                self._queue.put_nowait(wake_up)
            except Full:
                logger.warning(
                    "wake-ups left to the requeuer: backlog full count=%d", len(wake_ups) - position
                )
                return

    def publish_fan_out(self) -> None:
        with suppress(Full):
            self._queue.put_nowait(None)

    def flush(self, seconds: float) -> bool:
        """Wait until everything handed over so far has been tried; False if the time ran out."""
        waiter = threading.Thread(target=self._queue.join, daemon=True)
        waiter.start()
        waiter.join(seconds)
        return not waiter.is_alive()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < BATCH_MAX:
                try:
                    batch.append(self._queue.get_nowait())
                except Empty:
                    break
            wake_ups = [wake_up for wake_up in batch if wake_up is not None]
            try:
                if len(wake_ups) < len(batch):
                    send_fan_out()
                if wake_ups:
                    send(wake_ups)
            except Exception:
                logger.warning("wake-ups left to the requeuer: publishing failed", exc_info=True)
            finally:
                for _ in batch:
                    self._queue.task_done()


def send_fan_out() -> bool:
    """Wake a worker's fan-out up, now, in this thread; without it, it looks each second."""
    return _published(lambda producer: _push(producer, FAN_OUT_QUEUE, FAN_OUT, (), [()]), "fan-out")


def send(batch: Sequence[WakeUp]) -> bool:
    """Publish now, in this thread, as one write to the broker; False where it did not take them."""
    return _published(lambda producer: _publish(batch, producer), f"count={len(batch)}")


def _published(publish: Callable[[Producer], None], what: str) -> bool:
    """A second try opens a new connection, for the first may have held one from before a restart. If
    only the answer was lost the messages are there twice, which the claim makes harmless.
    """
    try:
        with current_app.producer_pool.acquire(block=True, timeout=POOL_WAIT_SECONDS) as producer:
            connection = producer.connection
            assert connection is not None
            connection.ensure(producer, lambda: publish(producer), max_retries=1, interval_start=0)()
    except (OperationalError, OSError) as error:
        logger.warning("wake-ups left to the requeuer: broker away %s error=%s", what, error)
        return False
    return True


def _publish(batch: Sequence[WakeUp], producer: Producer) -> None:
    by_queue: dict[str, list[WakeUp]] = {}
    for wake_up in batch:
        by_queue.setdefault(wake_up.lane.queue, []).append(wake_up)
    for queue, wake_ups in by_queue.items():
        _push(producer, queue, DELIVER, PLACEHOLDER_ARGS, [(w.delivery_id, w.attempt) for w in wake_ups])


def _push(
    producer: Producer,
    queue: str,
    task: str,
    placeholders: tuple[object, ...],
    calls: Sequence[tuple[object, ...]],
) -> None:
    channel: Any = producer.channel  # of webhooks_project/transport.py
    prepared = prepared_message(queue, task, placeholders, producer)
    channel.push(queue, [prepared.text(*arguments) for arguments in calls])


def prepared_message(
    queue: str, task: str, placeholders: tuple[object, ...], producer: Producer
) -> PreparedMessage:
    """The form of this process's messages for the queue, as Celery itself would publish them."""
    if (queue, task) not in _prepared:
        channel: Any = producer.channel
        with channel.capturing() as captured:
            current_app.send_task(
                task,
                args=placeholders,
                task_id=PLACEHOLDER_TASK_ID,
                queue=queue,
                producer=producer,
                retry=False,
            )
        _prepared[queue, task] = PreparedMessage(captured[0], placeholders)
    return _prepared[queue, task]


_prepared: dict[tuple[str, str], PreparedMessage] = {}


def lane_depths() -> dict[Lane, int] | None:
    """Messages that wait in each lane's queue; None while the broker cannot be asked."""
    try:
        with current_app.connection_for_write() as broker:
            return {lane: messages_waiting(broker.default_channel, lane.queue) for lane in Lane}
    except Exception as error:  # noqa: BLE001 - each transport has errors of its own; all mean "not now"
        logger.warning("the broker cannot be asked error=%s", error)
        return None


publisher = OfProcess(Publisher)


def publish_after_commit(wake_ups: Sequence[WakeUp]) -> None:
    """Nudge the workers once the current transaction is committed; never raises into the caller."""

    def hand_over() -> None:
        publisher().publish(wake_ups)

    transaction.on_commit(hand_over, robust=True)


def wake_fan_out_after_commit() -> None:
    """The same for an event whose deliveries workers are to make."""
    transaction.on_commit(lambda: publisher().publish_fan_out(), robust=True)


@atexit.register
def _flush_at_exit() -> None:
    if (running := publisher.if_made()) is not None:
        running.flush(FLUSH_AT_EXIT_SECONDS)
