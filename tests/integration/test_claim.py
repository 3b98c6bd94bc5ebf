"""Leases and the fence: of all messages about a delivery, one at a time may act on it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from delivery.cancel import cancel_one
from delivery.claim import Claimed, claim
from delivery.models import Delivery
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.factories import body_of
from tests.integration.test_outbox import CALLBACK, happen

Subscribe = Callable[..., Subscription]


@pytest.fixture
def delivery(organization: Organization, subscribe: Subscribe) -> Delivery:
    """One that is due for its first attempt."""
    subscribe(name="Hook")
    return happen(organization).deliveries.get()


def claimed_from(delivery: Delivery, attempt: int = 1) -> Claimed:
    claimed = claim(delivery.id, attempt)
    assert claimed is not None
    return claimed


def expire_lease(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(lease_until=Now() - timedelta(seconds=1))


def test_a_claim_knows_all_that_an_attempt_needs(delivery: Delivery) -> None:
    claimed = claimed_from(delivery)

    assert (claimed.id, claimed.attempt, claimed.claim_number) == (delivery.id, 1, 1)
    assert claimed.body == body_of(delivery)
    assert (claimed.event_id, claimed.event_type) == (delivery.event.event_id, "order.paid")
    assert (claimed.webhook_id, claimed.lane) == (delivery.webhook_id, "first")
    assert (claimed.subscription_id, claimed.is_active) == (delivery.subscription_id, True)


def test_a_doubled_message_is_turned_away_while_the_lease_lives(delivery: Delivery) -> None:
    claimed_from(delivery)

    assert claim(delivery.id, 1) is None


@pytest.mark.parametrize("attempt", [0, 2, 3, -1])
def test_a_message_about_another_attempt_is_turned_away(delivery: Delivery, attempt: int) -> None:
    assert claim(delivery.id, attempt) is None


def test_a_stale_message_is_turned_away(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(attempts=1, state=State.WAITING)

    assert claim(delivery.id, 1) is None
    assert claimed_from(delivery, 2).attempt == 2


def test_a_message_about_nothing_is_turned_away() -> None:
    assert claim(uuid4(), 1) is None


def test_an_expired_lease_is_taken_over_under_a_higher_number(delivery: Delivery) -> None:
    first = claimed_from(delivery)
    expire_lease(delivery)

    second = claimed_from(delivery)

    assert (second.attempt, second.claim_number) == (first.attempt, first.claim_number + 1)


def test_an_early_message_is_turned_away(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=Now() + timedelta(seconds=30))

    assert claim(delivery.id, 1) is None


@pytest.mark.parametrize("state", [State.DELIVERED, State.EXHAUSTED, State.CANCELLED, State.BLOCKED])
def test_an_ended_delivery_is_never_claimed(delivery: Delivery, state: State) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(state=state, finished_at=timezone.now())

    assert claim(delivery.id, 1) is None


def test_a_held_delivery_is_not_claimed(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(state=State.HELD, next_attempt_at=None)

    assert claim(delivery.id, 1) is None


def test_of_many_at_once_exactly_one_claims(delivery: Delivery) -> None:
    start = Barrier(8)

    def compete(_: int) -> Claimed | None:
        try:
            connection.ensure_connection()
            start.wait()
            return claim(delivery.id, 1)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(compete, range(8)))

    assert len([one for one in claims if one is not None]) == 1
    delivery.refresh_from_db()
    assert delivery.claim_number == 1


def test_a_claim_that_waited_for_a_cancellation_comes_too_late(delivery: Delivery) -> None:
    def late() -> Claimed | None:
        try:
            return claim(delivery.id, 1)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            cancel_one(delivery.id, "cancelled_by_request")
            waiting = threads.submit(late)
            wait_until_blocked()

        assert waiting.result() is None


def wait_until_blocked() -> None:
    """Until another connection waits for a lock of ours."""
    with connection.cursor() as cursor:
        blocked = 0
        while blocked == 0:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            (blocked,) = cursor.fetchall()[0]


@pytest.mark.parametrize(("timeout", "expected"), [(None, 17.0), (0.5, 10.5), (60.0, 70.0)])
def test_a_lease_outlives_the_timeout_of_the_subscription(
    organization: Organization,
    subscribe: Subscribe,
    settings: Settings,
    timeout: float | None,
    expected: float,
) -> None:
    settings.DELIVERY_LEASE_MARGIN_SECONDS = 10.0
    settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS = 7.0
    subscribe(timeout_seconds=timeout)

    claimed = claimed_from(happen(organization).deliveries.get())

    assert claimed.lease_seconds == pytest.approx(expected)
    until = Delivery.objects.get(pk=claimed.id).lease_until
    assert until is not None
    assert (until - timezone.now()).total_seconds() == pytest.approx(expected, abs=5)


def test_a_lease_outlives_the_timeout_of_the_callback(organization: Organization, settings: Settings) -> None:
    settings.DELIVERY_LEASE_MARGIN_SECONDS = 10.0

    event = happen(organization, replace(CALLBACK, timeout_seconds=2.5))

    claimed = claimed_from(event.deliveries.get())
    assert claimed.lease_seconds == pytest.approx(12.5)
    assert claimed.callback is not None
    assert claimed.callback["url"] == CALLBACK.url


def test_a_claim_touches_no_index(delivery: Delivery) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        claimed_from(delivery)
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid) "
            "FROM pg_class WHERE oid = 'delivery_delivery'::regclass"
        )
        updated = cursor.fetchone()

    assert updated == (1, 1)
