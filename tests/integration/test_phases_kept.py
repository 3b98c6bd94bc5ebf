"""What is kept and told of where an attempt's time went."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from rest_framework.test import APIClient

from delivery.deliver import Again
from delivery.models import Attempt, Delivery
from subscriptions.models import Organization, Subscription
from tests.factories import answer, logs
from tests.integration.attempts import both_ways
from tests.integration.test_admin import happen
from tests.integration.test_admin_delivery import page

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]


@pytest.fixture
def delivery(organization: Organization, subscribe: Subscribe) -> Delivery:
    subscribe()
    happen(organization)
    return Delivery.objects.get()


@pytest.mark.parametrize("way", both_ways)
def test_an_attempt_keeps_its_phases(delivery: Delivery, transport: object, way: str) -> None:
    with both_ways[way](transport) as attempt:  # type: ignore[arg-type]
        attempt(delivery)

    kept = Attempt.objects.get()
    assert kept.measured is not None
    assert [name for name, _ in kept.measured.measured()] == ["connect", "wait", "read"]
    assert kept.duration_ms is not None
    assert sum(spent for _, spent in kept.measured.measured()) <= kept.duration_ms * 1000


def test_the_api_tells_them_in_milliseconds_where_its_shape_is_ours(
    api: APIClient, delivery: Delivery, attempt: Attempting
) -> None:
    attempt(delivery)
    Attempt.objects.update(phases=[1_500, 250, None, 12_345, 20])

    (shown,) = answer(api.get(f"/v1/deliveries/{delivery.pk}"))["attempt_log"]
    (logged,) = logs(api)

    assert shown["phases_ms"] == {"dns": 1.5, "connect": 0.25, "tls": None, "wait": 12.345, "read": 0.02}
    assert "phases_ms" not in logged


def test_what_was_recorded_before_tells_none(api: APIClient, delivery: Delivery, attempt: Attempting) -> None:
    attempt(delivery)
    Attempt.objects.update(phases=None)

    (shown,) = answer(api.get(f"/v1/deliveries/{delivery.pk}"))["attempt_log"]

    assert shown["phases_ms"] is None


def test_an_attempt_shows_where_its_time_went(
    admin_client: Client, delivery: Delivery, attempt: Attempting
) -> None:
    attempt(delivery)
    Attempt.objects.update(phases=[1_500, 200, None, 12_345, 20])

    text = page(admin_client, delivery)

    assert re.findall(r'<li class="phase-\w+">([^<]*)</li>', text) == [
        *("DNS 1.5 ms", "connect 0.2 ms", "wait 12.3 ms", "read 0.0 ms")
    ]
    assert text.count("<rect") == 4
