"""/v1/deliveries: list, read, replay and cancel."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient
from standardwebhooks.webhooks import Webhook

from delivery import deliver
from delivery.queue import WakeUp
from delivery.states import Lane
from tests.factories import (
    Json,
    answer,
    at_once,
    deliveries,
    logs,
    refusal,
    row_counts,
    started_run,
    webhook,
)
from tests.receiver import Receiver, Reply

Attempt = Callable[..., Any]


def send(api: APIClient, event_type: str = "invoice.paid", **data: Any) -> str:
    body = json.dumps({"event_type": event_type, "data": data})
    accepted = answer(api.post("/v1/events", body, content_type="application/json"), 202)
    return str(accepted["event_id"])


def get(api: APIClient, id_: Any) -> Json:
    found: Json = answer(api.get(f"/v1/deliveries/{id_}"))
    return found


@pytest.fixture
def ended(api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]) -> Json:
    """A delivery that the receiver has accepted."""
    receiver.reply(Reply(status=200, body=b"thanks", headers={"X-Seen": "1", "Set-Cookie": "session=hush"}))
    webhook(api, url=receiver.url(), secret="hush", headers={"Authorization": "Bearer hush"})
    send(api, amount=5)
    attempt(wake_ups[0].delivery_id)
    return get(api, wake_ups[0].delivery_id)


def test_a_delivery_tells_its_whole_story(ended: Json, receiver: Receiver) -> None:
    (request,) = receiver.at()

    assert (ended["state"], ended["reason"], ended["attempts"]) == ("delivered", "accepted", 1)
    assert (ended["last_status_code"], ended["url"]) == (200, receiver.url())
    assert ended["webhook_id"] == ended["event_id"] == request.headers["webhook-id"]
    assert (ended["next_attempt_at"], ended["replay_of"]) == (None, None)
    assert ended["finished_at"] is not None
    (tried,) = ended["attempt_log"]
    assert (tried["status_code"], tried["response_body"], tried["late"]) == (200, "thanks", False)
    assert tried["response_headers"]["X-Seen"] == "1"
    assert tried["request_headers"]["webhook-id"] == ended["event_id"]


def test_secrets_are_masked_in_what_is_on_record(api: APIClient, ended: Json) -> None:
    (tried,) = ended["attempt_log"]

    assert tried["request_headers"]["Authorization"] == "***"
    assert tried["response_headers"]["Set-Cookie"] == "***"
    assert b"hush" not in api.get(f"/v1/deliveries/{ended['id']}").content


def test_deliveries_are_listed_newest_first_and_filtered(
    api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    one = webhook(api, url=receiver.url(), events=["a.one"])["id"]
    webhook(api, url=receiver.url(), events=["a.two"])
    events = [send(api, event_type) for event_type in ("a.one", "a.two", "a.one")]
    attempt(wake_ups[0].delivery_id)

    def ids(**filters: Any) -> list[str]:
        return [delivery["event_id"] for delivery in deliveries(api, **filters)]

    assert ids() == events[::-1]
    assert ids(limit=1, offset=1) == [events[1]]
    assert ids(state="delivered") == [events[0]]
    assert ids(state="pending") == [events[2], events[1]]
    assert ids(event_type="a.one") == [events[2], events[0]]
    assert ids(subscription_id=one, state="pending") == [events[2]]
    assert ids(event_id=events[1]) == [events[1]]
    assert ids(event_id="evt_unknown") == []
    assert ids(subscription_id=10**30) == []


@pytest.mark.parametrize("query", ["state=bogus", "subscription_id=x", "limit=0", "limit=101", "offset=-1"])
def test_a_bad_filter_is_a_422_that_names_the_parameter(api: APIClient, query: str) -> None:
    assert answer(api.get(f"/v1/deliveries?{query}"), 422)["field"] == query.split("=")[0]


@pytest.mark.parametrize("id_", ["1", "nope", "01900000-0000-7000-8000-000000000000", "0" * 32])
def test_an_unknown_delivery_is_a_404(api: APIClient, id_: str) -> None:
    for response in (
        api.get(f"/v1/deliveries/{id_}"),
        api.post(f"/v1/deliveries/{id_}/replay"),
        api.post(f"/v1/deliveries/{id_}/cancel"),
    ):
        refusal(response, 404, "not_found")


def test_a_replay_sends_identical_bytes_with_the_same_id_newly_signed(
    api: APIClient,
    receiver: Receiver,
    attempt: Attempt,
    wake_ups: list[WakeUp],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = webhook(api, url=receiver.url(), secret="hush")
    send(api, text="café \ud800", big=10**30)
    with monkeypatch.context() as then:
        then.setattr(deliver, "database_time", lambda claimed, _: claimed.claimed_at - timedelta(minutes=1))
        attempt(wake_ups[0].delivery_id)
    old = wake_ups[0].delivery_id

    copy = answer(api.post(f"/v1/deliveries/{old}/replay"), 202)
    attempt(wake_ups[1].delivery_id)

    first, second = receiver.at()
    assert second.body == first.body
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert second.headers["X-Webhook-Signature"] == first.headers["X-Webhook-Signature"]
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert Webhook(made["signing_secret"]).verify(second.body, dict(second.headers.items()))
    assert (copy["replay_of"], copy["state"], copy["lane"]) == (str(old), "pending", "replay")
    assert wake_ups[1].lane is Lane.REPLAY
    assert get(api, copy["id"])["state"] == "delivered"
    assert get(api, old)["attempts"] == 1


def test_a_replay_may_ask_for_a_new_id(
    api: APIClient, ended: Json, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    copy = answer(api.post(f"/v1/deliveries/{ended['id']}/replay", {"new_id": True}), 202)
    attempt(wake_ups[1].delivery_id)

    first, second = receiver.at()
    assert second.body == first.body
    assert second.headers["webhook-id"] == copy["webhook_id"] != ended["webhook_id"]
    assert copy["event_id"] == ended["event_id"]


@pytest.mark.parametrize("body", [{"new_id": "yes"}, {"new_id": 1}, {"new": True}, []], ids=str)
def test_a_malformed_replay_is_refused(api: APIClient, ended: Json, body: Any) -> None:
    counts = row_counts()

    assert api.post(f"/v1/deliveries/{ended['id']}/replay", body).status_code == 422

    assert row_counts() == counts


def test_a_callback_can_be_replayed(
    api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    run = started_run(api, webhook_url=receiver.url())
    answer(api.post(f"/v1/runs/{run['id']}/complete", {"output": 1}))
    attempt(wake_ups[0].delivery_id)

    copy = answer(api.post(f"/v1/deliveries/{wake_ups[0].delivery_id}/replay"), 202)
    attempt(wake_ups[1].delivery_id)

    first, second = receiver.at()
    assert first.body == second.body
    assert copy["subscription_id"] is None


def test_what_has_not_ended_cannot_be_replayed(api: APIClient) -> None:
    webhook(api)
    send(api)
    (pending,) = deliveries(api)

    refused = refusal(api.post(f"/v1/deliveries/{pending['id']}/replay"), 409, "not_replayable")

    assert "pending" in refused["detail"]
    assert len(deliveries(api)) == 1


@pytest.mark.parametrize("stop", ["deactivate", "delete"])
def test_a_stopped_subscription_gets_no_replays(api: APIClient, ended: Json, stop: str) -> None:
    path = f"/v1/webhooks/{ended['subscription_id']}"
    api.delete(path) if stop == "delete" else api.patch(path, {"is_active": False})

    refusal(api.post(f"/v1/deliveries/{ended['id']}/replay"), 409, "not_replayable")

    assert len(deliveries(api)) == 1


@pytest.mark.parametrize("failed_before", [False, True], ids=["pending", "waiting"])
def test_cancelling_ends_what_waits_with_a_log_entry(
    api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp], failed_before: bool
) -> None:
    receiver.reply(503)
    webhook(api, url=receiver.url(), retry_schedule=[0])
    send(api)
    id_ = wake_ups[0].delivery_id
    if failed_before:
        attempt(id_)

    cancelled = answer(api.post(f"/v1/deliveries/{id_}/cancel"))

    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "cancelled_by_request")
    assert (cancelled["next_attempt_at"], cancelled["attempts"]) == (None, int(failed_before))
    assert logs(api)[0]["error_message"] == "Cancelled before this attempt was made"
    attempt(id_, 1 + failed_before)
    assert len(receiver.at()) == int(failed_before)


def test_cancelling_twice_changes_nothing(api: APIClient) -> None:
    webhook(api)
    send(api)
    path = f"/v1/deliveries/{deliveries(api)[0]['id']}/cancel"
    first = answer(api.post(path))

    assert answer(api.post(path)) == first
    assert len(logs(api)) == 1


def test_what_has_ended_cannot_be_cancelled(api: APIClient, ended: Json) -> None:
    refused = refusal(api.post(f"/v1/deliveries/{ended['id']}/cancel"), 409, "delivery_ended")

    assert "delivered" in refused["detail"]
    assert get(api, ended["id"]) == ended


def test_cancelling_at_the_same_moment_logs_once(api: APIClient) -> None:
    webhook(api)
    send(api)
    path = f"/v1/deliveries/{deliveries(api)[0]['id']}/cancel"

    responses: list[Any] = at_once(*[lambda: api.post(path)] * 4)

    assert [response.status_code for response in responses] == [200] * 4
    assert len(logs(api)) == 1


def test_a_url_that_is_refused_at_the_socket_ends_blocked(
    api: APIClient, attempt: Attempt, wake_ups: list[WakeUp], settings: Any
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8", "10.0.0.0/8"]
    webhook(api, url="https://10.0.0.1/")
    send(api)

    attempt(wake_ups[0].delivery_id)

    story = get(api, wake_ups[0].delivery_id)
    assert (story["state"], story["reason"]) == ("blocked", "address_not_allowed")
