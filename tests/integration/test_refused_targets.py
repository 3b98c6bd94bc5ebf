"""Whatever way a request comes about, one guard refuses its target; tenants hear one text and no time."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery
from delivery.sender.result import REFUSED
from subscriptions.models import Organization
from tests.factories import Json, answer, deliveries, logs, run, webhook
from tests.integration.conftest import CollectedWakeUps
from tests.integration.dialects.conftest import report
from tests.integration.dialects.test_skyvern import caller_of
from tests.integration.dialects.test_skyvern_retry_webhook import retry
from tests.integration.test_replay import start, through
from tests.sockets import Resolver, connects

MakeAttempt = Callable[..., Any]
# A name that looks like any other: only the look-up tells.
URL = "https://hooks.example/in"
INNER = "10.0.0.1"


@pytest.fixture(autouse=True)
def inner(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch).says(INNER)


@pytest.fixture(autouse=True)
def connected() -> Iterator[list[tuple[str, int]]]:
    """No socket of the test went there, whatever it did."""
    with connects() as seen:
        yield seen
    assert [target for target in seen if target[0] == INNER] == []


def send(api: APIClient) -> None:
    body = json.dumps({"event_type": "invoice.paid", "data": {}})
    answer(api.post("/v1/events", body, content_type="application/json"), 202)


def assert_blocked(api: APIClient) -> Json:
    """The latest delivery ended, and its attempt says what a tenant may know."""
    story: Json = answer(api.get(f"/v1/deliveries/{deliveries(api)[0]['id']}"))
    (attempt,) = story["attempt_log"]
    assert (story["state"], story["reason"]) == ("blocked", "address_not_allowed")
    assert (attempt["error_class"], attempt["error_message"]) == ("address_not_allowed", REFUSED)
    assert attempt["duration_ms"] is None
    assert INNER not in json.dumps(story)
    return story


def test_a_delivery(api: APIClient, attempt: MakeAttempt, wake_ups: CollectedWakeUps) -> None:
    webhook(api, url=URL)
    send(api)

    attempt(wake_ups[0].delivery_id)

    assert_blocked(api)
    (entry,) = logs(api)
    assert (entry["error_message"], entry["duration_ms"]) == (REFUSED, None)


@pytest.mark.usefixtures("worker")
def test_a_test_event(api: APIClient) -> None:
    made = webhook(api, url=URL)

    tested = answer(api.post(f"/v1/webhooks/{made['id']}/test"))

    assert (tested["success"], tested["error"]) == (False, REFUSED)
    assert_blocked(api)


def test_a_replay(api: APIClient, attempt: MakeAttempt, wake_ups: CollectedWakeUps) -> None:
    webhook(api, url=URL)
    send(api)
    attempt(wake_ups[0].delivery_id)

    answer(api.post(f"/v1/deliveries/{wake_ups[0].delivery_id}/replay"), 202)
    attempt(wake_ups[1].delivery_id)

    assert assert_blocked(api)["replay_of"] == str(wake_ups[0].delivery_id)


def test_a_replay_of_many(
    api: APIClient, organization: Organization, attempt: MakeAttempt, wake_ups: CollectedWakeUps
) -> None:
    webhook(api, url=URL)
    send(api)
    attempt(wake_ups[0].delivery_id)

    through(start(organization))
    copy = Delivery.objects.get(replay_of=wake_ups[0].delivery_id)
    attempt(copy)

    assert_blocked(api)


def test_a_callback_that_came_with_a_bulk_report(
    api: APIClient, attempt: MakeAttempt, wake_ups: CollectedWakeUps
) -> None:
    made = run(api, webhook_url=URL)
    reports = [{"run_id": made["id"], "move": move} for move in ("start", "complete")]

    answer(api.post("/v1/runs/batch", {"reports": reports}))
    attempt(wake_ups[0].delivery_id)

    assert_blocked(api)


@pytest.mark.usefixtures("worker")
def test_a_webhook_retried_at_another_url(organization: Organization) -> None:
    caller = caller_of(organization)
    run_id = caller.run_task()["run_id"]
    report(caller.api, run_id, "cancel")

    refused = retry(caller, run_id, {"webhook_url": URL})

    assert refused.status_code == 400
    assert refused.json()["detail"].startswith(REFUSED)
    assert INNER not in refused.content.decode()
    assert Attempt.objects.get().error_class == "address_not_allowed"


def test_staff_see_the_address_and_the_rule_on_the_attempts_page_alone(
    api: APIClient, admin_client: Client, attempt: MakeAttempt, wake_ups: CollectedWakeUps
) -> None:
    webhook(api, url=URL)
    send(api)
    attempt(wake_ups[0].delivery_id)
    made = Attempt.objects.get()

    def page(kind: str, id_: Any) -> str:
        return admin_client.get(f"/admin/delivery/{kind}/{id_}/change/").content.decode()

    assert "10.0.0.1: private (10.0.0.0/8)" in page("attempt", made.id)
    assert INNER not in page("delivery", made.delivery_id)
    for path in ("deliveries", f"deliveries/{made.delivery_id}", "webhooks/logs/all"):
        assert INNER not in api.get(f"/v1/{path}").content.decode()


def test_the_log_says_nothing_of_time_or_address(
    api: APIClient, attempt: MakeAttempt, wake_ups: CollectedWakeUps, caplog: pytest.LogCaptureFixture
) -> None:
    webhook(api, url=URL)
    send(api)

    with caplog.at_level("INFO"):
        attempt(wake_ups[0].delivery_id)

    assert "error=address_not_allowed ms=None" in caplog.text
    assert INNER not in caplog.text
