"""POST /v1/runs/{id}/retry_webhook: the webhook once more, while the call waits."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from delivery.models import Delivery
from runs.dialects.skyvern import replay
from subscriptions.models import Organization
from tests.factories import Json, answer
from tests.integration.dialects.conftest import report
from tests.integration.dialects.test_skyvern import Caller, caller_of, make_workflow
from tests.integration.dialects.test_skyvern_delivery import ended_task, validate_skyvern_request_headers
from tests.integration.test_sender import closed_port
from tests.receiver import Receiver, Reply

TEN_KEYS = (
    "run_id run_type default_webhook_url target_webhook_url payload headers status_code latency_ms "
    "response_body error"
).split()
MakeAttempt = Callable[..., Any]


@pytest.fixture
def caller(organization: Organization) -> Caller:
    return caller_of(organization)


def retry(caller: Caller, run_id: str, body: Any = None) -> Any:
    path = f"/skyvern/v1/runs/{run_id}/retry_webhook"
    if isinstance(body, str):
        return caller.api.post(path, body, content_type="application/json")
    return caller.api.post(path, body)


def told(caller: Caller, run_id: str, body: Any = None) -> Json:
    outcome: Json = answer(retry(caller, run_id, body))
    assert list(outcome) == TEN_KEYS
    return outcome


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("body", [None, "null", {}, {"webhook_url": None}, {"webhook_url": ""}])
def test_the_same_bytes_go_to_the_runs_url_again(body: Any, caller: Caller, receiver: Receiver) -> None:
    receiver.reply(204, Reply(status=200, body=b"thanks"))
    run_id = ended_task(caller, receiver.url(), {"price": 3.0, "name": "café"})
    receiver.wait_for(1)

    outcome = told(caller, run_id, body)

    first, second = receiver.at()
    assert first.body == second.body == outcome["payload"].encode()
    assert first.headers["x-skyvern-signature"] == second.headers["x-skyvern-signature"]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert validate_skyvern_request_headers(second, caller.key)
    assert outcome["run_id"] == run_id
    assert outcome["run_type"] == "task_v1"
    assert outcome["default_webhook_url"] == outcome["target_webhook_url"] == receiver.url()
    sent = dict(second.headers.items())
    assert {name: sent[name] for name in outcome["headers"]} == outcome["headers"]
    assert {"x-skyvern-signature", "x-skyvern-timestamp", "Content-Type"} <= set(outcome["headers"])
    assert (outcome["status_code"], outcome["response_body"], outcome["error"]) == (200, "thanks", None)
    assert isinstance(outcome["latency_ms"], int)


@pytest.mark.usefixtures("worker")
def test_another_url_for_a_run_that_had_none(caller: Caller, receiver: Receiver) -> None:
    run_id = caller.run_task()["run_id"]
    report(caller.api, run_id, "cancel")

    outcome = told(caller, run_id, {"webhook_url": f" {receiver.url('/other')} "})

    (request,) = receiver.at("/other")
    assert (outcome["default_webhook_url"], outcome["target_webhook_url"]) == (None, receiver.url("/other"))
    assert (outcome["status_code"], outcome["response_body"]) == (204, None)
    body = json.loads(request.body)
    assert (body["status"], "run_request" in body) == ("canceled", False)
    assert validate_skyvern_request_headers(request, caller.key)


@pytest.mark.usefixtures("worker")
def test_the_workflows_url_is_a_default_too(caller: Caller, receiver: Receiver) -> None:
    workflow = make_workflow(caller.api, webhook_url=receiver.url())
    run_id = answer(caller.api.post("/skyvern/v1/run/agents", {"agent_id": workflow["id"]}))["run_id"]
    report(caller.api, run_id, "cancel")
    receiver.wait_for(1)

    outcome = told(caller, run_id, {"webhook_url": receiver.url("/other")})

    assert (outcome["default_webhook_url"], outcome["run_type"]) == (receiver.url(), "workflow_run")
    assert receiver.at()[0].body == receiver.at("/other")[0].body


@pytest.mark.usefixtures("worker")
def test_a_receiver_that_fails_is_a_200_and_not_tried_again(caller: Caller, receiver: Receiver) -> None:
    receiver.reply(204, Reply(status=500, body=b"x" * 3000))
    run_id = ended_task(caller, receiver.url())
    receiver.wait_for(1)

    outcome = told(caller, run_id)

    assert (outcome["status_code"], outcome["error"]) == (500, None)
    assert outcome["response_body"] == "x" * 2048 + "\n... (truncated)"
    again = Delivery.objects.order_by("id").last()
    assert again is not None
    assert (again.state, again.attempts, again.replay_of_id is not None) == ("exhausted", 1, True)


@pytest.mark.usefixtures("worker")
def test_an_answer_of_just_the_limit_is_not_marked_as_cut(caller: Caller, receiver: Receiver) -> None:
    receiver.reply(204, Reply(status=200, body=b"x" * 2048))
    run_id = ended_task(caller, receiver.url())
    receiver.wait_for(1)

    assert told(caller, run_id)["response_body"] == "x" * 2048


@pytest.mark.usefixtures("worker")
def test_a_receiver_that_cannot_be_reached(caller: Caller) -> None:
    run_id = ended_task(caller, f"http://127.0.0.1:{closed_port()}/")

    outcome = told(caller, run_id)

    assert outcome["error"].startswith("Could not reach URL: ")
    assert (outcome["status_code"], outcome["response_body"]) == (None, None)


@pytest.mark.usefixtures("worker")
def test_a_receiver_that_does_not_answer_in_time(
    caller: Caller, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "TIMEOUT_SECONDS", 0.2)
    receiver.hang("/slow")
    run_id = caller.run_task()["run_id"]
    report(caller.api, run_id, "cancel")

    outcome = told(caller, run_id, {"webhook_url": receiver.url("/slow")})

    assert outcome["error"] == "Request timed out after 0.2 seconds."


def test_it_waits_for_sixty_seconds(caller: Caller, receiver: Receiver, settings: Settings) -> None:
    settings.DELIVERY_WAIT_MARGIN_SECONDS = -60.0
    run_id = ended_task(caller, receiver.url())

    outcome = told(caller, run_id)

    delivery = Delivery.objects.order_by("id").last()
    assert delivery is not None
    callback = delivery.callback or {}
    assert (callback["timeout_seconds"], delivery.once, delivery.lane) == (60.0, True, "replay")
    assert str(delivery.id) in outcome["error"]
    assert (outcome["headers"], outcome["status_code"], outcome["latency_ms"]) == ({}, None, None)
