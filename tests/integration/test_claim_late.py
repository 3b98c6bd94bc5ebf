"""A claim whose answer is held up: its lease is counted from the moment when it was asked for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from delivery.deliver import CLAIM_LATE
from delivery.models import Delivery
from delivery.sender import Transport
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.integration.attempts import both_ways
from tests.integration.moves import aside, wait_until_blocked
from tests.integration.test_outbox import happen
from tests.receiver import Receiver

MARGIN_SECONDS = 0.2


@pytest.mark.parametrize("way", both_ways)
def test_a_claim_that_is_answered_too_late_sends_nothing_and_the_next_one_does(
    way: str,
    organization: Organization,
    subscribe: Callable[..., Subscription],
    transport: Transport,
    receiver: Receiver,
    settings: Settings,
) -> None:
    settings.DELIVERY_LEASE_MARGIN_SECONDS = MARGIN_SECONDS
    subscribe()
    delivery = happen(organization).deliveries.get()

    with both_ways[way](transport) as make, ThreadPoolExecutor(1) as threads:
        with transaction.atomic(), connection.cursor() as cursor:
            Delivery.objects.select_for_update().get(pk=delivery.pk)
            attempt = aside(threads, lambda: make(delivery))
            wait_until_blocked()
            cursor.execute("SELECT pg_sleep(%s)", [2 * MARGIN_SECONDS])

        assert attempt.result(20) is None
        delivery.refresh_from_db()
        assert receiver.requests == []
        assert (delivery.state, delivery.reason, delivery.attempts) == (State.PENDING, CLAIM_LATE, 0)
        assert delivery.lease_until is None

        make(delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, len(receiver.requests)) == (State.DELIVERED, 1, 1)
