"""Whatever comes in: a clear 4xx in one shape, never a 500, and nothing half-written."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from tests.factories import (
    PUBLIC_URL,
    Json,
    answer,
    deliveries,
    error_of,
    refusal,
    row_counts,
    run,
    started_run,
    webhook,
    workflow,
)

JSON = "application/json"
WEBHOOK = {"name": "Hook", "url": PUBLIC_URL, "events": ["*"]}

NASTY_VALUES = [
    *("null", "true", "-1", "1e308", "1" + "0" * 400, '""', '"x"', "[]", "{}", '"\\u0000"', '"a\\ud800"'),
    *('"' + "x" * 5000 + '"', "[null]", "[{}]", '["\\u0000"]', '["\\ud800"]', '{"":""}', "[1e308]"),
    *('{"\\ud800":"\\ud800"}', '{"\\u0000":"\\u0000"}', '"https://[::1"', '"0001-01-01T00:00:00+23:59"'),
    *('"9999-12-31T23:59:59.999999Z"', '{"message":"\\ud800\\u0000"}'),
]
NASTY_BODIES = [
    *(
        "",
        "null",
        "true",
        "5",
        '"x"',
        "[]",
        "[{}]",
        "{",
        "{}}",
        "NaN",
        '{"a":1e400}',
        '{"a":NaN}',
        "[" * 5000,
    ),
    *('{"a":' * 100 + "1" + "}" * 100, '{"\\ud800":1}', '{"\\u0000":1}', '{"":1}', '{"__proto__":{}}'),
    *('{"' + "x" * 5000 + '":1}', "\ufeff{}", "\x00", '{"a":"\x00"}', "<a/>", "a=b", "{'a':1}", "9" * 5000),
]

# Every address that takes a body, and its fields; {…} is filled in from what `world` makes.
FIELDS: dict[str, str] = {
    "POST /v1/webhooks": """name url events secret headers is_active payload_format signature_schemes
        retry_policy retry_schedule timeout_seconds rate_limit_per_second workflow_ids""",
    "PATCH /v1/webhooks/{webhook}": """name url events secret headers is_active payload_format
        signature_schemes retry_policy retry_schedule timeout_seconds rate_limit_per_second
        workflow_ids""",
    "POST /v1/webhooks/{webhook}/rotate-secret": "overlap_seconds",
    "POST /v1/workflows": """name slug dialect outputs webhook_url headers payload_format signature_schemes
        retry_policy retry_schedule timeout_seconds id version_id created_at""",
    "PATCH /v1/workflows/{workflow}": """name outputs webhook_url headers payload_format signature_schemes
        retry_policy retry_schedule timeout_seconds version_id""",
    "POST /v1/workflows/{workflow}/rotate-secret": "overlap_seconds",
    "POST /v1/runs": "workflow_id input webhook_url external_id id created_at",
    "POST /v1/runs/batch": "reports",
    "POST /v1/runs/{queued}/start": "executor_id occurred_at",
    "POST /v1/runs/{running}/pause": "occurred_at",
    "POST /v1/runs/{running}/progress": "progress occurred_at",
    "POST /v1/runs/{running}/complete": "output artifacts occurred_at",
    "POST /v1/runs/{running}/fail": "error artifacts occurred_at",
    "POST /v1/runs/{running}/terminate": "error artifacts occurred_at",
    "POST /v1/runs/{running}/time-out": "error artifacts occurred_at",
    "POST /v1/runs/{running}/cancel": "error artifacts occurred_at",
    "POST /v1/runs/{running}/steps/new/start": "name input output primary metadata artifacts occurred_at",
    "POST /v1/runs/{running}/steps/draw/complete": """name input output primary metadata artifacts
        occurred_at""",
    "POST /v1/runs/{running}/steps/draw/fail": "error name output metadata occurred_at",
    "POST /v1/events": "event_type data event_id",
    "POST /v1/events/batch": "events",
    "POST /v1/deliveries/{delivery}/replay": "new_id",
    "POST /v1/webhooks/{webhook}/recover": "since",
    "POST /v1/replays": """states subscription_id event_types since until answers run_id delivery_ids
        include_delivered new_ids limit rate_per_second replay_key dry_run""",
    "POST /v1/portal/links": "lifetime_seconds read_only name",
    "POST /v1/organizations": "name contact_email",
    "POST /v1/organizations/{organization}/api-keys": "name scopes signs expires_at",
    "POST /v1/organizations/{organization}/rotate-secret": "overlap_seconds",
}
# What the rest of the body has to be for the nasty value to be looked at.
REST: dict[str, Json] = {
    "POST /v1/webhooks": WEBHOOK,
    "POST /v1/workflows": {"name": "Cats"},
    "POST /v1/runs": {"workflow_id": "{workflow}"},
    "POST /v1/events": {"event_type": "a.b", "data": {}},
    "POST /v1/organizations": {"name": "New"},
    "POST /v1/runs/{running}/progress": {"progress": "x"},
    "POST /v1/runs/{running}/fail": {"error": "x"},
    "POST /v1/runs/{running}/steps/draw/fail": {"error": "x"},
}
World = dict[str, str]


@pytest.fixture
def world(api: APIClient) -> World:
    made = workflow(api)["id"]
    running = started_run(api, workflow_id=made)["id"]
    answer(api.post(f"/v1/runs/{running}/steps/draw/start"))
    subscription = webhook(api)["id"]
    answer(api.post("/v1/events", {"event_type": "a.b", "data": {}}), 202)
    return {
        "webhook": str(subscription),
        "workflow": made,
        "queued": run(api, workflow_id=made)["id"],
        "running": running,
        "delivery": deliveries(api)[0]["id"],
        "organization": answer(api.get("/v1/organizations"))["organizations"][0]["id"],
    }


def filled(text: str, world: World) -> str:
    for name, id_ in world.items():
        text = text.replace("{" + name + "}", id_)
    return text


class Watch:
    """Sends bodies, and looks at the shape of each answer and at what was left behind."""

    def __init__(self, api: APIClient, world: World) -> None:
        self._api = api
        self._world = world
        self._counts = row_counts()

    def send(self, endpoint: str, body: str) -> None:
        method, path = filled(endpoint, self._world).split(" ")
        call: Callable[..., Any] = getattr(self._api, method.lower())

        response = call(path, body.encode(), content_type=JSON)

        assert response.status_code < 500, f"{endpoint} {body[:80]!r}: {response.status_code}"
        before, self._counts = self._counts, row_counts()
        if response.status_code >= 400:
            error_of(response)
            assert self._counts == before, f"{endpoint} {body[:80]!r} left something behind"


@pytest.fixture
def patient(api: APIClient) -> APIClient:
    """Like `api`, but a fault is answered as by a server: 500."""
    api.raise_request_exception = False
    return api


@pytest.mark.parametrize("endpoint", FIELDS)
def test_a_nasty_body_is_a_clear_refusal(patient: APIClient, world: World, endpoint: str) -> None:
    watch = Watch(patient, world)

    for body in NASTY_BODIES:
        watch.send(endpoint, body)


@pytest.mark.parametrize("endpoint", FIELDS)
def test_a_nasty_value_in_any_field_is_a_clear_answer(
    patient: APIClient, world: World, endpoint: str
) -> None:
    rest = json.loads(filled(json.dumps(REST.get(endpoint, {})), world))
    watch, faults = Watch(patient, world), []

    for field in FIELDS[endpoint].split():
        members = [f"{json.dumps(name)}:{json.dumps(rest[name])}" for name in rest if name != field]
        for value in NASTY_VALUES:
            body = "{" + ",".join([*members, f'"{field}":{value}']) + "}"
            try:
                watch.send(endpoint, body)
            except AssertionError as fault:
                faults.append(f"{field}={value[:40]}: {str(fault).splitlines()[0][-100:]}")

    assert faults == []


def test_the_fuzz_covers_every_address_that_takes_a_body(client: Client) -> None:
    schema = json.loads(client.get("/openapi.json").content)
    offered = {
        f"{method.upper()} {path}"
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation and path.startswith("/v1/")
    }

    assert len(FIELDS) == len(offered), sorted(offered)


@pytest.mark.parametrize(
    "path",
    [
        *("/v1", "/v1/", "/v1/nope", "/v1/webhooks/", "/v1/webhooks/abc", "/v1/webhooks/-1", "/v1/runs/"),
        *("/nope", "/v1/deliveries/abc", "/v1/runs/x/nope", "/v1/webhooks/1/nope", "/v1/runs/%00"),
        *("/v1/runs/%FF%FE", "/v1/webhooks/" + "9" * 4000, "/v1/organizations/org_nope", "/v1/runs/x%2Fy"),
    ],
    ids=lambda path: path[:40],
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_does_not_exist_is_a_json_404(patient: APIClient, path: str, method: str) -> None:
    response = getattr(patient, method)(path)

    assert response.status_code in (404, 405, 422), response.content
    error_of(response)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("put", "/v1/webhooks"),
        ("delete", "/v1/runs"),
        ("post", "/v1/webhooks/logs/all"),
        ("get", "/v1/events"),
    ],
)
def test_a_method_that_is_not_offered_is_a_405(api: APIClient, method: str, path: str) -> None:
    response = getattr(api, method)(path)

    refusal(response, 405, "method_not_allowed")
    assert response["Allow"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_media_type_is_a_415(api: APIClient, media_type: str) -> None:
    response = api.post("/v1/webhooks", json.dumps(WEBHOOK), content_type=media_type)

    refusal(response, 415, "unsupported_media_type")
    assert answer(api.get("/v1/webhooks"))["total"] == 0


def test_a_body_that_is_too_large_is_a_413(api: APIClient, settings: Settings) -> None:
    settings.API_BODY_MAX_BYTES = 2048

    refusal(api.post("/v1/events", {"event_type": "a.b", "data": {"x": "y" * 3000}}), 413, "body_too_large")


def test_malformed_json_is_a_400(api: APIClient) -> None:
    refusal(api.post("/v1/webhooks", '{"name": ', content_type=JSON), 400, "malformed_json")
    refusal(api.post("/v1/events", "[" * 100 + "]" * 100, content_type=JSON), 400, "nested_too_deep")


@pytest.mark.parametrize("query", ["limit=%00", "event_type=%00", "event_type=a%00b", "offset=%ED%A0%80"])
def test_a_nul_in_a_query_is_a_422(patient: APIClient, query: str) -> None:
    assert patient.get(f"/v1/webhooks/logs/all?{query}").status_code == 422
