"""The requeuer: what was lost is nudged again, what only waits its turn does not multiply."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from delivery import queue, requeue
from delivery.models import Delivery
from delivery.queue import WakeUp
from delivery.requeue import LOST, mark_due, requeue_once
from delivery.states import Lane, State
from subscriptions.models import Organization, Subscription
from tests.brokers import Broker, pointed_at, some
from tests.integration.test_claim import claimed_from
from tests.integration.test_outbox import happen
from tests.integration.test_sender import closed_port

Make = Callable[..., list[Delivery]]


@pytest.fixture
def deliveries(organization: Organization, subscribe: Callable[..., Subscription]) -> Make:
    """`deliveries(3, nudged_ago=5)`: due ones whose wake-ups were lost."""
    subscribe()

    def make(number: int = 1, *, nudged_ago: float | None = 10.0, **values: Any) -> list[Delivery]:
        made = [happen(organization).deliveries.get() for _ in range(number)]
        nudged = None if nudged_ago is None else Now() - timedelta(seconds=nudged_ago)
        rows = Delivery.objects.filter(pk__in=[one.pk for one in made])
        rows.update(**({"nudged_at": nudged, "next_attempt_at": Now() - timedelta(seconds=60)} | values))
        return made

    return make


def ids(deliveries: list[Delivery], attempt: int = 1) -> set[tuple[str, int]]:
    return {(str(delivery.id), attempt) for delivery in deliveries}


def age_nudges(seconds: float) -> None:
    Delivery.objects.update(nudged_at=F("nudged_at") - timedelta(seconds=seconds))


def test_what_was_lost_is_nudged_again_after_the_grace(broker: Broker, deliveries: Make) -> None:
    lost = deliveries(3)
    deliveries(nudged_ago=0.0)

    assert requeue_once() == 3

    assert set(broker.wake_ups(Lane.FIRST)) == ids(lost)


@pytest.mark.parametrize("lane", Lane)
def test_it_is_nudged_in_its_own_lane_for_its_next_attempt(
    broker: Broker, deliveries: Make, lane: Lane
) -> None:
    lost = deliveries(lane=lane, attempts=4, state=State.WAITING)

    requeue_once()

    assert set(broker.wake_ups(lane)) == ids(lost, attempt=5)


def test_a_long_wait_that_is_over_is_nudged_at_once(broker: Broker, deliveries: Make) -> None:
    over = deliveries(nudged_ago=None, lane=Lane.RETRY)
    deliveries(nudged_ago=None, lane=Lane.RETRY, next_attempt_at=Now() + timedelta(seconds=60))

    assert requeue_once() == 1

    assert set(broker.wake_ups(Lane.RETRY)) == ids(over)


def test_a_retry_that_celery_holds_is_left_to_it(broker: Broker, deliveries: Make) -> None:
    later = Now() + timedelta(seconds=30)
    deliveries(nudged_ago=-30.0, next_attempt_at=later)

    assert requeue_once() == 0


def test_what_is_being_sent_is_left_alone_until_its_lease_ends(broker: Broker, deliveries: Make) -> None:
    (delivery,) = deliveries()
    claimed_from(delivery)

    during = requeue_once()
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))

    assert (during, requeue_once()) == (0, 1)


LEFT_ALONE: dict[str, dict[str, Any]] = {
    "delivered": {"state": State.DELIVERED, "finished_at": Now()},
    "cancelled": {"state": State.CANCELLED, "finished_at": Now(), "next_attempt_at": None},
    "held": {"state": State.HELD, "next_attempt_at": None},
}


@pytest.mark.parametrize("values", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_has_ended_or_is_held_is_left_alone(
    broker: Broker, deliveries: Make, values: dict[str, Any]
) -> None:
    deliveries(**values)

    assert requeue_once() == 0


def test_in_a_lane_that_holds_too_few_messages_each_nudge_comes_later_than_the_one_before(
    broker: Broker, deliveries: Make, settings: Settings
) -> None:
    settings.REQUEUE_BACKOFF_SECONDS = 30.0
    deliveries(2, nudged_ago=0.0)
    nudged_after = []

    for seconds in range(10, 251, 10):
        age_nudges(10)
        # One message for two rows: whose it is nobody can tell.
        broker.take_all(Lane.FIRST)
        queue.send(some(Lane.FIRST)[:1])
        if requeue_once():
            nudged_after.append(seconds)

    # One of the two, then the other; 30 s after its last nudge, then 60, then 120.
    assert nudged_after == [30, 40, 90, 100, 210, 220]


def test_rows_that_all_have_a_message_are_not_nudged_however_long_they_wait(
    broker: Broker, deliveries: Make
) -> None:
    deliveries(20)
    assert requeue_once() == 20

    for _ in range(20):
        age_nudges(60)
        assert requeue_once() == 0


def test_what_a_worker_left_behind_passes_the_backlog_as_soon_as_its_lease_is_over(
    broker: Broker, deliveries: Make
) -> None:
    queue.send(some(Lane.FIRST))
    (left,) = deliveries()
    claimed_from(left)
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))

    assert (requeue_once(), requeue_once()) == (1, 0)

    assert set(broker.wake_ups(Lane.RETRY)) == ids([left])


def test_a_requeuer_that_was_stopped_in_mid_work_holds_no_other_up(broker: Broker, deliveries: Make) -> None:
    deliveries(3)
    with closing(connection.copy()) as stopped, stopped.cursor() as cursor:
        stopped.set_autocommit(False)
        parameters: dict[str, Any] = {"lane": "first", "grace": 2.0, "look": 0.0, "rows": 1}
        cursor.execute(requeue.MARK.format(condition=LOST), parameters)

        assert requeue_once() == 2

        stopped.rollback()


def test_a_look_that_is_not_thorough_counts_nothing(broker: Broker, deliveries: Make) -> None:
    deliveries(3, nudged_ago=60)
    queue.send(some(Lane.FIRST)[:1])

    assert requeue_once(thorough=False) == 0
    assert requeue_once() == 2


BACKLOG = """
INSERT INTO delivery_delivery (
    id, organization_id, event_id, body_id, subscription_id, url, webhook_id, is_test,
    lane, state, reason, attempts, once, claim_number, nudges)
SELECT uuidv7(), d.organization_id, d.event_id, d.body_id, d.subscription_id, d.url, d.webhook_id, false,
    'first', 'pending', '', 0, false, 0, 0
FROM delivery_delivery d, generate_series(2, 50000)
"""


class SlowLane:
    """A lane's queue as a list, and workers that take 20 messages a second from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages = [str(id_) for id_ in Delivery.objects.values_list("id", flat=True)]
        self.most = len(self.messages)
        monkeypatch.setattr(requeue, "lane_depths", lambda: {Lane.FIRST: len(self.messages)})
        monkeypatch.setattr(queue, "send", self.send)

    def send(self, wake_ups: Sequence[WakeUp]) -> bool:
        self.messages += [str(wake_up.delivery_id) for wake_up in wake_ups]
        self.most = max(self.most, len(self.messages))
        return True

    def work(self, seconds: int) -> None:
        taken, self.messages = self.messages[: 20 * seconds], self.messages[20 * seconds :]
        ended = {"state": State.DELIVERED, "finished_at": Now(), "next_attempt_at": None}
        Delivery.objects.filter(pk__in=taken).update(**ended)


def test_in_ten_minutes_50_000_pending_ones_and_slow_workers_make_no_more_messages_than_rows(
    deliveries: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries(nudged_ago=0.0)
    with connection.cursor() as cursor:
        cursor.execute(BACKLOG)
    lane = SlowLane(monkeypatch)
    # A crash lost 1,000 of them, none of the workers knows which.
    del lane.messages[10_000:11_000]

    for _ in range(20):
        age_nudges(30)
        for _ in range(6):  # of the 30 looks in these 30 s
            requeue_once()
        lane.work(30)

    assert lane.most <= 50_000
    assert Delivery.objects.filter(finished_at=None).count() >= 38_000
    assert len(lane.messages) <= Delivery.objects.filter(finished_at=None).count()


def test_a_lane_full_of_others_does_not_delay_an_empty_one(broker: Broker, deliveries: Make) -> None:
    queue.send(some(Lane.FIRST))
    deliveries(lane=Lane.FIRST)
    lost = deliveries(lane=Lane.REPLAY)

    assert requeue_once() == 1

    assert set(broker.wake_ups(Lane.REPLAY)) == ids(lost)


def test_many_lost_ones_are_nudged_in_batches_all_in_one_look(
    broker: Broker, deliveries: Make, settings: Settings
) -> None:
    settings.REQUEUE_BATCH_ROWS = 3
    lost = deliveries(10)

    assert requeue_once() == 10

    assert sorted(broker.wake_ups(Lane.FIRST)) == sorted(ids(lost))


def test_a_look_that_takes_longer_than_the_grace_nudges_nobody_twice(
    broker: Broker, deliveries: Make, settings: Settings
) -> None:
    settings.REQUEUE_BATCH_ROWS = 3
    settings.REQUEUE_GRACE_SECONDS = 0.0
    lost = deliveries(9)

    assert requeue_once() == 9

    assert sorted(broker.wake_ups(Lane.FIRST)) == sorted(ids(lost))


def test_those_that_wait_longest_come_first(broker: Broker, deliveries: Make, settings: Settings) -> None:
    settings.REQUEUE_BATCH_ROWS = 1
    young = deliveries()
    old = deliveries(next_attempt_at=Now() - timedelta(hours=1))

    requeue_once()

    assert [id_ for id_, _ in broker.wake_ups(Lane.FIRST)] == [str(old[0].id), str(young[0].id)]


def test_while_the_broker_is_away_nothing_is_marked(deliveries: Make) -> None:
    (delivery,) = deliveries()
    before = delivery.nudges, Delivery.objects.get().nudged_at

    with pointed_at(f"redis://127.0.0.1:{closed_port()}/0"):
        published = requeue_once()

    delivery.refresh_from_db()
    assert published == 0
    assert (delivery.nudges, delivery.nudged_at) == before


def test_two_requeuers_at_once_nudge_each_row_once(
    broker: Broker, deliveries: Make, settings: Settings
) -> None:
    settings.REQUEUE_BATCH_ROWS = 2
    lost = deliveries(20)
    start = Barrier(4)

    def look(_: int) -> int:
        try:
            connection.ensure_connection()
            start.wait()
            return requeue_once()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        published = sum(threads.map(look, range(4)))
    published += requeue_once()

    assert published == 20
    assert sorted(broker.wake_ups(Lane.FIRST)) == sorted(ids(lost))


def test_a_mark_says_when_and_how_often(deliveries: Make) -> None:
    (delivery,) = deliveries(nudges=2)

    marked = mark_due(Lane.FIRST, LOST, look_began=time.monotonic())

    delivery.refresh_from_db()
    assert marked == [(delivery.id, 1, Lane.FIRST)]
    assert delivery.nudges == 3
    assert delivery.nudged_at is not None
    assert timezone.now() - delivery.nudged_at < timedelta(seconds=5)
