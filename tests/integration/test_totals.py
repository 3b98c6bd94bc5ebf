"""What lists say of their length: exact where that is cheap, and never so small that rows are missed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery
from subscriptions.api import totals
from subscriptions.models import Organization, Subscription
from tests.integration.test_outbox import happen

pytestmark = pytest.mark.usefixtures("counted_by_threes")
Subscribe = Callable[..., Subscription]
ROWS = 10


@pytest.fixture
def counted_by_threes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "COUNTED_MAX", 3)


@pytest.fixture
def deliveries(organization: Organization, subscribe: Subscribe) -> list[str]:
    """Their ids, newest first."""
    subscribe()
    for _ in range(ROWS):
        happen(organization)
    return [str(id_) for id_ in Delivery.objects.order_by("-id").values_list("id", flat=True)]


def listed(api: APIClient, offset: int, limit: int = 4) -> dict[str, Any]:
    page: dict[str, Any] = api.get(f"/v1/deliveries?offset={offset}&limit={limit}").json()
    return page


@pytest.mark.parametrize("is_counted", [False, True])
def test_whoever_reads_on_until_the_total_is_reached_sees_every_row_of_a_long_list(
    api: APIClient, deliveries: list[str], is_counted: bool
) -> None:
    if is_counted:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE delivery_delivery")
    seen: list[str] = []
    total = 1
    while len(seen) < total:
        page = listed(api, offset=len(seen))
        seen += [delivery["id"] for delivery in page["deliveries"]]
        total = page["total"]

    assert seen == deliveries
    assert total == ROWS


def test_a_long_list_is_about_as_long_as_the_database_believes(api: APIClient, deliveries: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE delivery_delivery")

    assert listed(api, offset=0)["total"] == ROWS
    # Beyond the end nobody is told of rows that would follow.
    assert listed(api, offset=1_000)["total"] == ROWS


def test_a_short_list_is_counted_whatever_is_asked_for(
    api: APIClient, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    for _ in range(3):
        happen(organization)

    assert [listed(api, offset)["total"] for offset in (0, 2, 1_000)] == [3, 3, 3]
    assert api.get("/v1/webhooks/logs/all").json()["total"] == Attempt.objects.count() == 0
