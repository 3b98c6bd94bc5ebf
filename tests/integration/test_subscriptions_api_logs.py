"""/v1/webhooks: logs, and what deactivating or deleting does to waiting deliveries."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from delivery.queue import WakeUp
from subscriptions.models import Subscription
from tests.factories import Json, answer, deliveries, logs, refusal, webhook
from tests.receiver import Receiver, Reply

Attempt = Callable[..., Any]
Subscribe = Callable[..., Subscription]
LOG_KEYS = {
    *("id", "subscription_id", "event_id", "event_type", "url", "attempt", "status", "status_code"),
    *("response_body", "error_message", "duration_ms", "is_test", "created_at", "next_retry_at"),
}


def send(api: APIClient, event_type: str = "invoice.paid", **data: Any) -> str:
    event: Json = answer(api.post("/v1/events", {"event_type": event_type, "data": data}), 202)
    return str(event["event_id"])


def test_every_attempt_is_logged_newest_first(
    api: APIClient, subscribe: Subscribe, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    receiver.reply(Reply(status=503, body=b"busy"), Reply(status=200, body=b"thanks"))
    subscription = subscribe(retry_schedule=[0])
    event_id = send(api)

    attempt(wake_ups[0].delivery_id, 1)
    attempt(wake_ups[0].delivery_id, 2)

    second, first = logs(api, subscription.pk)
    assert set(first) == LOG_KEYS
    assert (first["attempt"], first["status"], first["status_code"]) == (1, "failed", 503)
    assert (first["response_body"], first["error_message"]) == ("busy", "The receiver answered 503")
    assert first["next_retry_at"] is not None
    assert (second["attempt"], second["status"], second["status_code"]) == (2, "success", 200)
    assert (second["response_body"], second["error_message"], second["next_retry_at"]) == (
        "thanks",
        None,
        None,
    )
    for each in (first, second):
        assert (each["event_id"], each["event_type"]) == (event_id, "invoice.paid")
        assert (each["subscription_id"], each["url"]) == (subscription.pk, receiver.url())
        assert each["is_test"] is False
        assert each["duration_ms"] > 0
    assert logs(api) == [second, first]


def test_logs_are_paged_and_can_be_filtered_by_event_type(
    api: APIClient, subscribe: Subscribe, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    subscription = subscribe()
    ids = [send(api, event_type) for event_type in ("a.one", "a.two", "a.one")]
    for wake_up in wake_ups:
        attempt(wake_up.delivery_id)

    for path in ("/v1/webhooks/logs/all", f"/v1/webhooks/{subscription.pk}/logs"):
        everything = answer(api.get(path))
        part = answer(api.get(path, {"limit": 1, "offset": 1}))
        filtered = answer(api.get(path, {"event_type": "a.one"}))

        assert [log["event_id"] for log in everything["logs"]] == ids[::-1]
        assert (everything["total"], everything["limit"], everything["offset"]) == (3, 50, 0)
        assert [log["event_id"] for log in part["logs"]] == [ids[1]]
        assert (part["total"], part["limit"], part["offset"]) == (3, 1, 1)
        assert [log["event_id"] for log in filtered["logs"]] == [ids[2], ids[0]]
        assert filtered["total"] == 2
        assert answer(api.get(path, {"event_type": "a.three"}))["logs"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"limit={text}", "limit") for text in ("0", "101", "-1", "ten", "1.5", "1e2", "9" * 40)),
        *((f"offset={text}", "offset") for text in ("-1", "x", "9" * 40)),
        ("event_type=" + "x" * 129, "event_type"),
    ],
)
@pytest.mark.parametrize("which", ["all", "one"])
def test_a_bad_page_is_a_422_that_names_the_parameter(
    api: APIClient, which: str, query: str, field: str
) -> None:
    path = "/v1/webhooks/logs/all" if which == "all" else f"/v1/webhooks/{webhook(api)['id']}/logs"

    assert answer(api.get(f"{path}?{query}"), 422)["field"] == field


def test_up_to_100_logs_at_once(api: APIClient) -> None:
    assert answer(api.get("/v1/webhooks/logs/all?limit=100&offset=7"))["limit"] == 100


def test_one_subscription_s_logs_show_nothing_of_another(
    api: APIClient, subscribe: Subscribe, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    one, other = subscribe(events=["a.one"]), subscribe(events=["a.two"])
    send(api, "a.one")
    attempt(wake_ups[0].delivery_id)

    assert len(logs(api, one.pk)) == 1
    assert logs(api, other.pk) == []


def test_logs_of_a_deleted_subscription_stay_readable_and_its_owners_own(
    other_api: APIClient, api: APIClient, subscribe: Subscribe, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    subscription = subscribe()
    send(api)
    attempt(wake_ups[0].delivery_id)

    api.delete(f"/v1/webhooks/{subscription.pk}")

    refusal(other_api.get(f"/v1/webhooks/{subscription.pk}/logs"), 404, "not_found")
    for found in (logs(api), logs(api, subscription.pk)):
        assert [log["subscription_id"] for log in found] == [subscription.pk]


@pytest.mark.parametrize(
    ("stop", "reason", "message"),
    [
        ("patch", "subscription_deactivated", "Cancelled: the subscription was deactivated"),
        ("delete", "subscription_deleted", "Cancelled: the subscription was deleted"),
    ],
)
def test_stopping_a_subscription_cancels_what_waits_with_a_log_entry(
    api: APIClient,
    subscribe: Subscribe,
    receiver: Receiver,
    attempt: Attempt,
    wake_ups: list[WakeUp],
    stop: str,
    reason: str,
    message: str,
) -> None:
    receiver.reply(503)
    subscription, bystander = subscribe(retry_schedule=[0]), subscribe(url=receiver.url("/other"))
    send(api)
    send(api)
    waiting = next(w.delivery_id for w in wake_ups if not attempt_at(api, w, bystander))
    attempt(waiting)

    path = f"/v1/webhooks/{subscription.pk}"
    stopped = api.patch(path, {"is_active": False}) if stop == "patch" else api.delete(path)

    assert stopped.status_code in (200, 204)
    mine = deliveries(api, subscription_id=subscription.pk)
    assert [(d["state"], d["reason"]) for d in mine] == [("cancelled", reason)] * 2
    assert all(d["finished_at"] is not None and d["next_attempt_at"] is None for d in mine)
    entries = [log for log in logs(api) if log["error_message"] == message]
    assert sorted(log["attempt"] for log in entries) == [1, 2]
    assert all(log["status"] == "failed" and log["status_code"] is None for log in entries)
    assert {d["state"] for d in deliveries(api, subscription_id=bystander.pk)} == {"pending"}
    attempt(waiting, 2)
    assert len(receiver.at()) == 1


def attempt_at(api: APIClient, wake_up: WakeUp, subscription: Subscription) -> bool:
    """Is this the wake-up of a delivery to that subscription?"""
    story = answer(api.get(f"/v1/deliveries/{wake_up.delivery_id}"))
    return bool(story["subscription_id"] == subscription.pk)


def test_an_inactive_subscription_gets_no_new_events_until_it_is_active_again(
    api: APIClient, subscribe: Subscribe
) -> None:
    subscription = subscribe(is_active=False)
    path = f"/v1/webhooks/{subscription.pk}"

    send(api)
    assert deliveries(api) == []

    api.patch(path, {"is_active": True})
    event_id = send(api)
    assert [d["event_id"] for d in deliveries(api)] == [event_id]
