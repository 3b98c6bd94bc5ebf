"""/v1/events: a platform's own events."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient
from standardwebhooks.webhooks import Webhook

from delivery.queue import WakeUp
from tests.factories import Json, answer, at_once, deliveries, refusal, row_counts, webhook
from tests.receiver import Receiver

EVENT = {"event_type": "invoice.paid", "data": {"amount": 5, "lines": [1, None]}}


def send(api: APIClient, **values: Any) -> Json:
    # Written by hand: the test client cannot send a lone surrogate.
    body = json.dumps(EVENT | values)
    said: Json = answer(api.post("/v1/events", body, content_type="application/json"), 202)
    return said


def test_an_event_is_accepted_with_its_id_and_the_number_of_subscriptions(api: APIClient) -> None:
    webhook(api, events=["invoice.paid"])
    webhook(api, events=["*"])
    webhook(api, events=["invoice.sent", "workflow.completed"])
    webhook(api, events=["invoice.paid"], is_active=False)

    said = send(api)

    assert said["event_id"].startswith("evt_")
    assert said["subscriptions"] == 2
    assert len(deliveries(api, event_id=said["event_id"])) == 2


def test_an_event_that_nobody_wants_is_accepted_too(api: APIClient, wake_ups: list[WakeUp]) -> None:
    assert send(api)["subscriptions"] == 0
    assert wake_ups == []


def test_the_receiver_gets_the_data_as_it_was_sent(
    api: APIClient, receiver: Receiver, attempt: Callable[..., Any], wake_ups: list[WakeUp]
) -> None:
    data = {"z": 1, "a": {"n": 10**30, "t": "café \x00 \ud800", "f": 1.5}}
    made = webhook(api, url=receiver.url(), payload_format="standard")
    said = send(api, data=data)

    attempt(wake_ups[0].delivery_id)

    (request,) = receiver.at()
    body: Json = Webhook(made["signing_secret"]).verify(request.body, dict(request.headers.items()))
    assert (body["type"], body["data"]) == ("invoice.paid", data)
    assert list(body["data"]) == ["z", "a"]
    assert request.headers["webhook-id"] == said["event_id"]


def test_the_same_event_id_again_is_answered_as_the_first_time_and_sends_nothing(
    api: APIClient, wake_ups: list[WakeUp]
) -> None:
    webhook(api)
    first = send(api, event_id="order-1")
    webhook(api)
    counts, nudged = row_counts(), len(wake_ups)

    again = send(api, event_id="order-1")

    assert again == first == {"event_id": "order-1", "subscriptions": 1}
    assert row_counts() == counts
    assert len(wake_ups) == nudged


def test_the_same_event_id_for_another_type_is_a_conflict(api: APIClient) -> None:
    webhook(api)
    send(api, event_id="order-1")
    counts = row_counts()

    response = api.post("/v1/events", EVENT | {"event_id": "order-1", "event_type": "invoice.sent"})

    refusal(response, 409, "event_id_taken", "event_id")
    assert row_counts() == counts


@pytest.mark.parametrize("round_", range(3))
def test_the_same_event_id_at_the_same_moment_is_one_event(
    api: APIClient, wake_ups: list[WakeUp], round_: int
) -> None:
    webhook(api)

    said = at_once(*[lambda: send(api, event_id="order-1")] * 6)

    assert said == [{"event_id": "order-1", "subscriptions": 1}] * 6
    assert len(deliveries(api)) == 1
    assert len(wake_ups) == 1


def test_two_types_with_one_id_at_the_same_moment_are_one_event_and_one_conflict(api: APIClient) -> None:
    def code(event_type: str) -> int:
        response = api.post("/v1/events", EVENT | {"event_id": "x", "event_type": event_type})
        return int(response.status_code)

    assert sorted(at_once(lambda: code("a.b"), lambda: code("a.c"))) == [202, 409]


def test_event_ids_are_the_organization_s_own(api: APIClient, other_api: APIClient) -> None:
    webhook(other_api)
    send(api, event_id="order-1")

    assert send(other_api, event_id="order-1")["subscriptions"] == 1


@pytest.mark.parametrize(
    "event_type",
    [
        *("workflow.completed", "workflow.step.failed", "workflow.mine", "workflow", "subscription.disabled"),
        *("subscription", "*", "a b", "a-b", "a.", "", "x" * 129, "a\x00", "é", 5, None, ["a.b"]),
    ],
)
def test_reserved_and_impossible_names_are_refused(api: APIClient, event_type: Any) -> None:
    webhook(api)
    counts = row_counts()

    response = api.post("/v1/events", EVENT | {"event_type": event_type})

    assert answer(response, 422)["field"] == "event_type"
    assert row_counts() == counts


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"data": "x"}, "data"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "a.b"}, "event_id"),
        ({"event_id": "a b"}, "event_id"),
        ({"event_id": "x" * 65}, "event_id"),
        ({"event_id": "é"}, "event_id"),
        ({"event_id": 5}, "event_id"),
        ({"type": "invoice.paid"}, "type"),
    ],
    ids=str,
)
def test_other_nonsense_is_refused(api: APIClient, values: Json, field: str) -> None:
    assert answer(api.post("/v1/events", EVENT | values), 422)["field"] == field
