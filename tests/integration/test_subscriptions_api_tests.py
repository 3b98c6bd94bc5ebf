"""POST /v1/webhooks/{id}/test: a real delivery that the call waits for."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient
from standardwebhooks.webhooks import Webhook

from subscriptions.models import Organization, Subscription
from tests.factories import Json, answer, deliveries, logs, places_taken, refusal, webhook
from tests.receiver import Receiver

Attempt = Callable[..., Any]
Subscribe = Callable[..., Subscription]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("values", [{}, {"is_active": False}, {"events": ["invoice.paid"]}], ids=str)
def test_a_test_event_is_sent_signed_and_logged_whatever_is_subscribed(
    api: APIClient, subscribe: Subscribe, receiver: Receiver, values: Json
) -> None:
    made = webhook(api, url=receiver.url(), secret="hush", headers={"X-Token": "abc"}, **values)

    tested = answer(api.post(f"/v1/webhooks/{made['id']}/test"))

    (request,) = receiver.at()
    assert set(tested) == {"event_id", "delivery_id", "success", "status_code", "error"}
    assert (tested["success"], tested["status_code"], tested["error"]) == (True, 204, None)
    assert request.headers["webhook-id"] == tested["event_id"]
    assert request.headers["X-Token"] == "abc"
    assert len(request.headers["X-Webhook-Signature"]) == 64
    body: Json = Webhook(made["signing_secret"]).verify(request.body, dict(request.headers.items()))
    assert body["event_type"] == "workflow.completed"
    (log,) = logs(api, made["id"])
    assert (log["is_test"], log["event_id"], log["status"]) == (True, tested["event_id"], "success")


@pytest.mark.usefixtures("worker")
def test_a_failing_test_event_is_answered_200_and_not_tried_again(
    api: APIClient, subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.reply(500)
    subscription = subscribe()

    tested = answer(api.post(f"/v1/webhooks/{subscription.pk}/test"))

    assert (tested["success"], tested["status_code"]) == (False, 500)
    assert tested["error"] == "The receiver answered 500"
    story = answer(api.get(f"/v1/deliveries/{tested['delivery_id']}"))
    assert (story["state"], story["attempts"], story["is_test"]) == ("exhausted", 1, True)


def test_a_test_that_takes_too_long_is_answered_202_and_names_the_delivery(
    api: APIClient, subscribe: Subscribe, settings: Settings
) -> None:
    settings.DELIVERY_WAIT_MARGIN_SECONDS = 0
    subscription = subscribe(timeout_seconds=0.1)

    tested = answer(api.post(f"/v1/webhooks/{subscription.pk}/test"), 202)

    assert (tested["success"], tested["status_code"], tested["error"]) == (None, None, None)
    assert answer(api.get(f"/v1/deliveries/{tested['delivery_id']}"))["state"] == "pending"


def test_more_waiting_tests_than_there_are_places_are_a_429_that_sends_nothing(
    api: APIClient,
    subscribe: Subscribe,
    organization: Organization,
    other_organization: Organization,
    settings: Settings,
) -> None:
    subscription = subscribe(timeout_seconds=0.1)
    path = f"/v1/webhooks/{subscription.pk}/test"

    with places_taken(organization, settings.DELIVERY_WAITS_MAX // 2):
        refusal(api.post(path), 429, "too_many_waiting")
        assert deliveries(api) == []

    with places_taken(other_organization, settings.DELIVERY_WAITS_MAX // 2):
        # Those of others are no hindrance, unless there are none left.
        answer(api.post(path), 202)
        with places_taken(organization, settings.DELIVERY_WAITS_MAX // 2):
            refusal(api.post(path), 429, "too_many_waiting")
