"""One run told in every format at once; and texts and numbers that break lesser services."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from delivery import services
from delivery.models import Delivery, EventBody
from subscriptions.event_types import CARRY_EVERY_EVENT, PayloadFormat
from tests.factories import body_of
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_leap import make_workflow
from tests.receiver import Receiver

FIRST_KEYS = {
    PayloadFormat.STANDARD: ["type", "timestamp", "data"],
    PayloadFormat.ELAN_EVENT: ["event_id", "event_type", "workflow_id"],
    PayloadFormat.LEAP_V1: ["id", "version_id", "status"],
    PayloadFormat.LEAP_V2: ["id", "version_id", "status"],
    PayloadFormat.LEAPERONE: ["id", "status", "images"],
    PayloadFormat.SKYVERN_RUN: ["run_id", "run_type", "status"],
    PayloadFormat.EACHLABS_EXECUTION: ["execution_id", "workflow_id", "status"],
}
ENDS = ["workflow.completed", "workflow.failed"]
HARD = {
    "emoji": "👩‍👩‍👧",
    "right to left": "שלום مرحبا",
    "separators": "\u2028\u2029",
    "nul": "a\x00b",
    "large": 2**63 + 1,
    "small": 5e-324,
    "zero": -0.0,
    "nested": [[[[[[[[{"deep": True}]]]]]]]],
    "": "an empty key",
}


def subscribe_in_every_format(subscribe: Callable[..., Any], receiver: Receiver) -> None:
    for name in PayloadFormat:
        for twice in range(2):
            events = ["*"] if name in CARRY_EVERY_EVENT else ENDS
            subscribe(url=receiver.url(f"/{name}/{twice}"), payload_format=name, events=events)


def complete_a_run(api: APIClient, receiver: Receiver, output: Any) -> str:
    workflow = make_workflow(api, webhook_url=receiver.url("/callback"))
    run: str = api.post("/leap/v1/runs", {"workflow_id": workflow["id"]}).json()["id"]
    report(api, run, "start")
    report(api, run, "steps/one/start")
    report(api, run, "steps/one/complete", {"output": output})
    report(api, run, "complete", {"output": output})
    return run


def test_every_format_is_rendered_once_however_many_want_it(
    api: APIClient, subscribe: Callable[..., Any], receiver: Receiver, deliver: Deliver
) -> None:
    subscribe_in_every_format(subscribe, receiver)

    complete_a_run(api, receiver, {"answer": 42})
    deliver()

    rendered = EventBody.objects.filter(event__type="workflow.completed").values_list("payload_format")
    assert sorted(name for (name,) in rendered) == sorted(PayloadFormat)
    for name in PayloadFormat:
        bodies = [receiver.at(f"/{name}/{twice}")[-1].body for twice in range(2)]
        assert bodies[0] == bodies[1]
        assert list(json.loads(bodies[0]))[:3] == FIRST_KEYS[name], name
    assert receiver.at("/callback")[0].body == receiver.at("/leap_v2/0")[0].body
    steps = EventBody.objects.filter(event__type="workflow.step.completed").values_list("payload_format")
    assert sorted(name for (name,) in steps) == sorted(CARRY_EVERY_EVENT)


@pytest.mark.parametrize("name", PayloadFormat)
def test_a_test_event_is_sent_in_every_format(
    name: PayloadFormat, subscribe: Callable[..., Any], receiver: Receiver, deliver: Deliver
) -> None:
    """Sent as the API's call does it, which would then wait for a worker."""
    events = ["*"] if name in CARRY_EVERY_EVENT else ENDS
    made = subscribe(url=receiver.url(), payload_format=name, events=events)

    services.send_test(organization=made.organization, subscription_id=made.pk)

    (request,) = deliver()
    body = json.loads(request.body)
    assert list(body)[:3] == FIRST_KEYS[name]
    assert "completed" in str(body.get("status") or body.get("event_type") or body["type"])


@pytest.mark.parametrize("lone", [False, True], ids=["utf-8", "with a lone surrogate"])
def test_hard_content_is_sent_as_it_is_stored_in_every_format(
    lone: bool, api: APIClient, subscribe: Callable[..., Any], receiver: Receiver, deliver: Deliver
) -> None:
    subscribe_in_every_format(subscribe, receiver)
    output = HARD | ({"lone": "\ud83d"} if lone else {})

    complete_a_run(api, receiver, output)
    requests = deliver()

    stored = {delivery.webhook_id + delivery.url: body_of(delivery) for delivery in Delivery.objects.all()}
    for request in requests:
        url = receiver.url(request.path)
        assert request.body == stored[request.headers["webhook-id"] + url]
    elan = json.loads(receiver.at("/elan_event/0")[-1].body)
    assert elan["data"]["output"] == output
    assert list(elan["data"]["output"]) == list(output)


def test_duplicate_keys_count_last_and_numbers_out_of_range_are_refused(api: APIClient) -> None:
    workflow = make_workflow(api)
    path = "/leap/v1/runs"

    def post(input_: str) -> Any:
        body = f'{{"workflow_id": "{workflow["id"]}", "input": {input_}}}'
        return api.generic("POST", path, body, content_type="application/json")

    assert post('{"a": 1, "a": 2}').json()["input"] == {"a": 2}
    assert post('{"a": 1e400}').status_code == 400
    assert post('{"a": ' + "[" * 100 + "]" * 100 + "}").status_code == 400


def test_an_output_of_five_megabytes_is_told_and_one_beyond_the_limit_is_a_413(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    run = complete_a_run(api, receiver, "x" * 5_000_000)
    second = api.post("/v1/runs", {"workflow_id": make_workflow(api)["id"]}).json()["id"]
    report(api, second, "start")

    too_large = api.post(f"/v1/runs/{second}/complete", {"output": "x" * 6_300_000})

    assert len(deliver()[0].body) > 5_000_000
    assert too_large.status_code == 413
    assert api.get(f"/v1/runs/{second}").json()["status"] == "running"
    assert api.get(f"/v1/runs/{run}").json()["status"] == "completed"
