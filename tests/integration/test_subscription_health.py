"""A subscription's page says how it fares."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from subscriptions.models import Organization, Subscription
from tests.counted import FAILED, attempted, count
from tests.integration.test_admin import staff
from tests.integration.test_queries import statements


def test_the_page_of_a_subscription_shows_its_health(
    admin_client: Client, organization: Organization, subscribe: Callable[..., Subscription]
) -> None:
    subscription, other = subscribe(), subscribe()
    now = timezone.now()
    whose = {"organization_id": organization.pk, "subscription_id": subscription.pk}
    attempted(10, at=now - timedelta(days=3), **whose, **FAILED)
    attempted(9, at=now - timedelta(hours=2), **whose)
    attempted(1, at=now - timedelta(hours=1), **whose, **FAILED)
    attempted(1, at=now, **whose, is_test=True)
    attempted(7, at=now, organization_id=organization.pk, subscription_id=other.pk)
    count()
    Subscription.objects.filter(pk=subscription.pk).update(failing_since=now)

    with CaptureQueriesContext(connection) as captured:
        response = admin_client.get(f"/admin/subscriptions/subscription/{subscription.pk}/change/")

    text = response.content.decode().partition('aria-label="Health"')[2]
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th><td>([^<]+)</td><td>([^<]+)</td>', text)
    assert rows[:2] == [("24 hours", "10", "90 %"), ("7 days", "20", "45 %")]
    assert "11 5xx, 9 2xx" in text
    assert f"Failing since {now:%Y-%m-%d %H:%M:%S} UTC" in text
    assert f"Last success: {now - timedelta(hours=2):%Y-%m-%d %H:%M:%S}" in text
    assert f"Last failure: {now - timedelta(hours=1):%Y-%m-%d %H:%M:%S}" in text
    assert f"subscription={subscription.pk}" in unescape(text)
    assert statements(captured).count("SELECT delivery_attempt") == 1
    assert statements(captured).count("SELECT delivery_attemptcount") == 1


def test_it_is_for_those_who_may_see_attempts(subscribe: Callable[..., Subscription]) -> None:
    url = f"/admin/subscriptions/subscription/{subscribe().pk}/change/"
    somebody = staff()
    assert 'aria-label="Health"' in somebody.get(url).content.decode()

    user = User.objects.get(username="somebody")
    user.user_permissions.remove(user.user_permissions.get(codename="view_attempt"))
    assert 'aria-label="Health"' not in somebody.get(url).content.decode()
