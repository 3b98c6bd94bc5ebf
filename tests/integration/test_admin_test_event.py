"""A test event from a subscription's page: its answer is shown at once."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from delivery import services
from delivery.models import Delivery
from subscriptions.models import Subscription
from tests.admin_pages import act
from tests.factories import places_taken
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
SUBSCRIPTIONS = "/admin/subscriptions/subscription/"


def sent_from_page(client: Client, hook: Subscription) -> str:
    """What one sees after the button of the subscription's page, as one reads it."""
    text = act(client, SUBSCRIPTIONS, "send_test", hook.pk, from_page="yes")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


@pytest.mark.usefixtures("worker")
def test_an_acceptance_is_shown_with_the_delivery(
    admin_client: Client, subscribe: Subscribe, receiver: Receiver
) -> None:
    text = sent_from_page(admin_client, subscribe())

    assert "The receiver accepted the test event: it answered 204." in text
    assert "Delivered: the receiver answered 204 to attempt 1" in text
    assert "Attempt 1 204 accepted" in text
    assert len(receiver.requests) == 1


@pytest.mark.usefixtures("worker")
def test_a_failure_is_shown_with_its_reason(
    admin_client: Client, subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.reply(500)

    text = sent_from_page(admin_client, subscribe())

    assert "The test event was not accepted: the receiver answered 500." in text
    assert "Exhausted: the receiver answered 500, and it had a single attempt." in text


def test_without_an_answer_in_time_the_page_looks_again(
    admin_client: Client, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "test_wait_seconds", lambda _: 0.01)
    hook = subscribe()

    text = act(admin_client, SUBSCRIPTIONS, "send_test", hook.pk, from_page="yes")

    assert "No answer yet: this page shows it when it comes." in text
    assert "data-refresh-seconds" in text


def test_where_too_many_wait_already_nobody_waits(
    admin_client: Client, subscribe: Subscribe, settings: Settings
) -> None:
    hook = subscribe()

    with places_taken(hook.organization, settings.DELIVERY_WAITS_MAX // 2):
        text = sent_from_page(admin_client, hook)

    assert "No answer yet" in text
    assert Delivery.objects.get().is_test
