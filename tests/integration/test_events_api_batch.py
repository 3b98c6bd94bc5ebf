"""`POST /v1/events/batch`: many events, each accepted or refused on its own."""

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.factories import Json, answer, at_once, deliveries, refusal, row_counts, webhook
from tests.integration.conftest import CollectedWakeUps


def event(number: int, **values: Any) -> Json:
    return {"event_type": "a.b", "data": {"number": number}} | values


def batch(api: APIClient, *events: Any) -> list[Json]:
    results: list[Json] = answer(api.post("/v1/events/batch", {"events": list(events)}))["results"]
    return results


def test_each_event_reaches_who_asked_for_its_type(api: APIClient, wake_ups: CollectedWakeUps) -> None:
    webhook(api)
    webhook(api, events=["a.c"])

    results = batch(api, event(1), event(2, event_type="a.c"), event(3))

    assert [result["status"] for result in results] == [202, 202, 202]
    assert [result["subscriptions"] for result in results] == [1, 2, 1]
    assert len({result["event_id"] for result in results}) == 3
    assert len(wake_ups) == 4
    for result in results:
        assert len(deliveries(api, event_id=result["event_id"])) == result["subscriptions"]


def test_each_is_accepted_or_refused_on_its_own_and_answered_in_order(api: APIClient) -> None:
    webhook(api)
    answer(api.post("/v1/events", event(0, event_id="known")), 202)
    nonsense: list[Any] = [
        "text",
        None,
        5,
        [],
        {},
        event(1, colour="red"),
        event(1, event_type="workflow.completed"),
    ]

    results = batch(
        api, event(1), *nonsense, event(2, event_id="known", event_type="a.c"), event(3, event_id="new")
    )

    assert [result["status"] for result in results] == [202, *[422] * 7, 409, 202]
    assert results[-2]["error"]["code"] == "event_id_taken"
    assert results[-1]["event_id"] == "new"
    assert len(deliveries(api)) == 3


def test_a_known_id_is_answered_as_the_first_time_and_sends_nothing(
    api: APIClient, wake_ups: CollectedWakeUps
) -> None:
    webhook(api)
    first = answer(api.post("/v1/events", event(1, event_id="one")), 202)

    results = batch(api, event(2, event_id="one"), event(3, event_id="two"), event(4, event_id="two"))

    assert results[0] == {"status": 202} | first
    assert results[1] == results[2]
    assert len(wake_ups) == 2


def test_two_calls_with_the_same_ids_at_once_make_each_event_once(api: APIClient) -> None:
    webhook(api)
    events = [event(number, event_id=f"e-{number}") for number in range(50)]

    results = at_once(*[lambda: batch(api, *events)] * 4)

    assert all(result == results[0] for result in results)
    assert len(deliveries(api, limit=100)) == 50


def test_too_many_events_are_refused_as_a_whole(api: APIClient, settings: Settings) -> None:
    settings.EVENTS_PER_BATCH_MAX = 2
    counts = row_counts()

    refusal(api.post("/v1/events/batch", {"events": [event(1)] * 3}), 422, "too_many", "events")

    assert row_counts() == counts


def test_the_number_of_events_does_not_change_the_number_of_statements(api: APIClient) -> None:
    webhook(api)

    def statements(number: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            batch(api, *[event(n) for n in range(number)])
        return len(captured)

    batch(api, event(0))
    assert statements(100) == statements(1)
