"""The section `webhooks` of the OpenAPI document is what receivers really get."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from delivery import services
from delivery.webhook_schemas import OPERATIONAL
from subscriptions.event_types import CARRY_EVERY_EVENT, CATALOGUE, RUN_ENDED, PayloadFormat
from subscriptions.models import Organization, Subscription
from tests.factories import Json, answer, report, run, started_run, workflow
from tests.integration.dialects.conftest import Deliver
from tests.integration.dialects.conftest import deliver as deliver
from tests.integration.test_told import Attempting, fail, failed_for, succeed
from tests.openapi import problems, served
from tests.receiver import Received, Receiver

Subscribe = Callable[..., Subscription]
FORMATS_OF_RUNS = [name for name in PayloadFormat if name not in CARRY_EVERY_EVENT]
CUSTOM = "custom"
THEIRS = "order.shipped"


@pytest.fixture(scope="module")
def document(django_db_setup: None) -> Json:
    return served()


def body_schema(document: Json, name: str) -> Json:
    found: Json = document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
    return found


def listen(subscribe: Subscribe, receiver: Receiver) -> None:
    """A subscription in each format, to all that it can carry."""
    for name in PayloadFormat:
        events = [*CATALOGUE, THEIRS] if name in CARRY_EVERY_EVENT else list(RUN_ENDED)
        subscribe(url=receiver.url(f"/{name}"), payload_format=name, events=events)


def make_runs_of_every_kind(api: APIClient, dialect: str) -> None:
    """Runs that end in each way, with steps, errors of both forms and artifacts of each kind."""
    made = workflow(api, dialect=dialect)["id"]

    def started(**values: Any) -> str:
        run_id: str = started_run(api, workflow_id=made, **values)["id"]
        report(api, run_id, "steps/write/start", {"input": {"tokens": 100}})
        report(api, run_id, "steps/write/complete", {"output": ["a", 1, 2.5], "metadata": {"model": "m"}})
        return run_id

    artifacts = [
        {"kind": kind, "url": f"https://cdn.example.com/{kind}"}
        for kind in ("image", "file", "screenshot", "recording", "link")
    ]
    report(api, started(input={"prompt": "a cat"}), "complete", {"output": {"a": 1}, "artifacts": artifacts})
    report(api, started(), "complete")
    failed = started()
    report(api, failed, "steps/draw/start", {"name": "Draw"})
    report(api, failed, "steps/draw/fail", {"error": "no paper"})
    report(api, failed, "fail", {"error": {"message": "no paper", "code": "NoPaper", "category": "user"}})
    for move in ("terminate", "time-out", "cancel"):
        report(api, started(), move)
    report(api, run(api, workflow_id=made)["id"], "cancel", {"error": "not wanted"})


def name_in_document(request: Received) -> str:
    payload_format = request.path.strip("/")
    if payload_format in FORMATS_OF_RUNS:
        return payload_format
    body = json.loads(request.body)
    event_type: str = body.get("event_type") or body["type"]
    return event_type if event_type in CATALOGUE else CUSTOM


@pytest.mark.parametrize("dialect", ["elan", "leap", "leaperone", "skyvern", "eachlabs"])
def test_what_is_sent_of_runs_is_what_the_document_says(
    document: Json, api: APIClient, subscribe: Subscribe, receiver: Receiver, deliver: Deliver, dialect: str
) -> None:
    listen(subscribe, receiver)

    make_runs_of_every_kind(api, dialect)
    requests = deliver()

    assert {name_in_document(request) for request in requests} >= {
        *(name for name in CATALOGUE if name.startswith("workflow.")),
        *FORMATS_OF_RUNS,
    }
    for request in requests:
        name = name_in_document(request)
        found = problems(document, body_schema(document, name)["schema"], json.loads(request.body))
        assert found == [], (name, request.path, request.body)


def test_what_is_sent_of_everything_else_is_what_the_document_says(
    document: Json,
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    attempt: Attempting,
    api: APIClient,
    deliver: Deliver,
) -> None:
    listen(subscribe, receiver)
    ill = subscribe(events=["order.paid"])
    failed_for(ill)
    fail(organization, receiver, attempt, 4)
    succeed(organization, receiver, attempt)
    subscribe(url=receiver.url("/gone?token=t-1234"), events=["a.b"])
    receiver.reply(410, path="/gone?token=t-1234")
    answer(api.post("/v1/events", {"event_type": THEIRS, "data": {"n": 1}}), 202)
    answer(api.post("/v1/events", {"event_type": "a.b", "data": {}}), 202)

    deliver()
    deliver()

    sent = [request for request in receiver.requests if not request.path.startswith(("/gone", "/hook"))]
    assert {name_in_document(request) for request in sent} == {CUSTOM, *OPERATIONAL}
    for request in sent:
        name = name_in_document(request)
        assert problems(document, body_schema(document, name)["schema"], json.loads(request.body)) == []


@pytest.mark.parametrize("payload_format", PayloadFormat)
def test_a_test_event_is_what_the_document_says(
    document: Json, organization: Organization, subscribe: Subscribe, deliver: Deliver, payload_format: str
) -> None:
    made = subscribe(payload_format=payload_format, events=["workflow.completed"])

    services.send_test(organization=organization, subscription_id=made.pk)

    (request,) = deliver()
    name = "workflow.completed" if payload_format in CARRY_EVERY_EVENT else payload_format
    assert problems(document, body_schema(document, name)["schema"], json.loads(request.body)) == []


def test_every_event_type_and_every_format_is_described(document: Json) -> None:
    assert list(document["webhooks"]) == [*CATALOGUE, CUSTOM, *FORMATS_OF_RUNS]
    for name in [*CATALOGUE, CUSTOM]:
        assert set(body_schema(document, name)["examples"]) == set(CARRY_EVERY_EVENT), name
    ids = [methods["post"]["operationId"] for methods in document["webhooks"].values()]
    assert len(ids) == len(set(ids))


def test_every_example_of_a_body_is_what_its_schema_says(document: Json) -> None:
    for name in document["webhooks"]:
        content = body_schema(document, name)
        assert content["examples"], name
        for title, example in content["examples"].items():
            assert problems(document, content["schema"], example["value"]) == [], (name, title)


def test_the_schemas_of_bodies_notice_what_is_missing_and_what_is_more(document: Json) -> None:
    for name in document["webhooks"]:
        content = body_schema(document, name)
        for example in content["examples"].values():
            value = example["value"]
            assert problems(document, content["schema"], value | {"more": 1}), name
            first = next(iter(value))
            assert problems(document, content["schema"], {k: v for k, v in value.items() if k != first}), name


def test_the_headers_of_the_document_are_those_that_are_sent(
    document: Json, api: APIClient, subscribe: Subscribe, receiver: Receiver, deliver: Deliver
) -> None:
    schemes = ["standard_webhooks", "standard_webhooks_ed25519", "hmac_sha256_hex", "shared_secret"]
    subscribe(events=["a.b"], secret="a secret of theirs", signature_schemes=schemes)
    answer(api.post("/v1/events", {"event_type": "a.b", "data": {}}), 202)

    (request,) = deliver()

    described = {p["name"].lower(): p["required"] for p in document["components"]["parameters"].values()}
    sent = {name.lower() for name in request.headers} & set(described)
    assert {name for name, is_required in described.items() if is_required} < sent
    assert set(described) - sent == {"x-skyvern-signature", "x-skyvern-timestamp"}
