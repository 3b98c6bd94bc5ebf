"""The API describes itself: OpenAPI, interactive documentation, and pages for a browser."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from runs.dialects import profiles
from subscriptions.models import Organization
from tests.factories import Json, answer, completed_run, webhook

PATHS = """
    /v1/webhooks /v1/webhooks/{} /v1/webhooks/{}/logs /v1/webhooks/{}/test /v1/webhooks/{}/rotate-secret
    /v1/webhooks/logs/all /v1/workflows /v1/workflows/{} /v1/workflows/{}/rotate-secret
    /v1/runs /v1/runs/{} /v1/runs/{}/webhooks /v1/runs/{}/start /v1/runs/{}/complete /v1/runs/{}/fail
    /v1/runs/{}/cancel /v1/runs/{}/terminate /v1/runs/{}/time-out /v1/runs/{}/pause /v1/runs/{}/progress
    /v1/runs/{}/steps/{}/start /v1/runs/{}/steps/{}/complete /v1/runs/{}/steps/{}/fail
    /v1/deliveries /v1/deliveries/{} /v1/deliveries/{}/replay /v1/deliveries/{}/cancel /v1/events
    /v1/events/batch
    /v1/deliveries/{}/recover /v1/webhooks/{}/recover
    /v1/organizations /v1/organizations/{} /v1/organizations/{}/api-keys /v1/organizations/{}/api-keys/{}
    /v1/organizations/{}/rotate-secret /v1/users/me/organizations /v1/runs/batch /v1/portal/links
    /v1/replays /v1/replays/{} /v1/replays/{}/pause /v1/replays/{}/resume /v1/replays/{}/cancel
""".split()


@pytest.fixture
def schema(client: Client) -> Json:
    response = client.get("/openapi.json")
    assert response.status_code == 200
    found: Json = json.loads(response.content)
    return found


def operations(schema: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    for child in value if isinstance(value, list) else []:
        yield from references(child)


def test_it_is_openapi_3_1_and_needs_no_key(schema: Json) -> None:
    assert schema["openapi"].startswith("3.1")
    assert schema["info"]["title"] == "Runhooks"


def test_every_path_is_described(schema: Json) -> None:
    paths = {re.sub(r"\{\w+\}", "{}", path) for path in schema["paths"]}

    assert {path for path in paths if path.startswith("/v1/")} == set(PATHS)
    assert {path.split("/")[1] for path in paths} == {
        "v1",
        *(p.base_path for p in profiles().values() if p.urls),
    }


def test_every_operation_has_an_id_of_its_own_and_answers(schema: Json) -> None:
    ids = [operation["operationId"] for _, operation in operations(schema)]

    assert len(ids) == len(set(ids))
    for name, operation in operations(schema):
        assert any(code.startswith("2") for code in operation["responses"]), name


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("POST /v1/webhooks", {"name", "url", "events", "secret", "headers"}),
        ("POST /v1/runs", {"workflow_id", "input", "webhook_url", "external_id"}),
        ("POST /v1/runs/{run_id}/start", {"executor_id", "occurred_at"}),
        ("POST /v1/runs/{run_id}/complete", {"output", "artifacts", "occurred_at"}),
        ("POST /v1/runs/{run_id}/fail", {"error", "occurred_at"}),
        ("POST /v1/runs/{run_id}/steps/{key}/complete", {"output", "primary", "metadata"}),
        ("POST /v1/events", {"event_type", "data", "event_id"}),
        ("POST /v1/replays", {"states", "since", "until", "dry_run", "replay_key", "rate_per_second"}),
    ],
)
def test_the_body_of_a_report_is_described(schema: Json, name: str, fields: set[str]) -> None:
    operation = dict(operations(schema))[name]

    (reference,) = references(operation["requestBody"]["content"]["application/json"])
    component = schema["components"]["schemas"][reference.rsplit("/", 1)[-1]]

    assert fields <= set(component["properties"])


def test_every_tag_is_described(schema: Json) -> None:
    used = {tag for _, operation in operations(schema) for tag in operation["tags"]}

    assert used < {tag["name"] for tag in schema["tags"]}


def test_nothing_is_referred_to_that_is_not_there(schema: Json) -> None:
    known = {
        f"#/components/{kind}/{name}"
        for kind, components in schema["components"].items()
        for name in components
    }

    assert set(references(schema)) <= known


def test_both_ways_to_send_a_key_are_described(schema: Json) -> None:
    schemes = schema["components"].get("securitySchemes", {}).values()

    assert any(s["type"] == "http" and s["scheme"].lower() == "bearer" for s in schemes)
    assert any(s["type"] == "apiKey" and s["name"].lower() == "x-api-key" for s in schemes)


@pytest.mark.parametrize(
    ("name", "member", "status"),
    [
        ("GET /v1/webhooks", "webhooks", "200"),
        ("GET /v1/replays", "replays", "200"),
        ("GET /v1/runs", "runs", "200"),
        ("GET /v1/webhooks/logs/all", "logs", "200"),
        ("GET /v1/runs/{run_id}/webhooks", "events", "200"),
    ],
)
def test_lists_are_described_as_they_are(schema: Json, name: str, member: str, status: str) -> None:
    content = dict(operations(schema))[name]["responses"][status]["content"]["application/json"]["schema"]

    reference = content.get("$ref", "").rsplit("/", 1)[-1]
    described = schema["components"]["schemas"].get(reference, content)

    assert member in described.get("properties", {}), described


def outside(html: str) -> list[str]:
    """Assets that a page would fetch from elsewhere."""
    loaded = re.findall(r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)\s*=\s*["']([^"']+)""", html)
    loaded += re.findall(r"""url\(["']?([^"')]+)|@import\s+["']([^"']+)""", html)
    texts = [text if isinstance(text, str) else "".join(text) for text in loaded]
    return [text for text in texts if re.match(r"(https?:)?//", text)]


def test_the_documentation_page_loads_nothing_from_outside(client: Client) -> None:
    page = client.get("/docs")
    html = page.content.decode()

    assert page.status_code == 200
    assert outside(html) == []
    assert "/openapi.json" in client.get("/docs?script=").content.decode()
    assets = re.findall(r"""(?:src|href)=["'](/static/[^"']+)""", html)
    assert assets
    for asset in assets:
        assert client.get(asset).status_code == 200, asset


def test_the_front_page_leads_to_the_documentation(client: Client) -> None:
    assert client.get("/")["Location"] == "/docs"


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/webhooks", "/v1/webhooks/{webhook}", "/v1/runs", "/v1/runs/{run}", "/v1/runs/{run}/webhooks"),
        *("/v1/workflows", "/v1/deliveries", "/v1/webhooks/logs/all", "/v1/organizations", "/v1/webhooks/1"),
    ],
)
def test_an_administrator_browses_the_api(
    admin_client: Client, api: APIClient, organization: Organization, path: str
) -> None:
    names = {
        "{webhook}": str(webhook(api)["id"]),
        "{run}": completed_run(api, input={"prompt": "a cat"})["id"],
    }
    for name, id_ in names.items():
        path = path.replace(name, id_)

    page = admin_client.get(path, HTTP_ACCEPT="text/html")

    assert page.status_code == (404 if path.endswith("/1") else 200)
    assert page["Content-Type"].startswith("text/html")
    assert outside(page.content.decode()) == []


def test_the_browsable_api_escapes_what_customers_write(
    admin_client: Client, api: APIClient, organization: Organization
) -> None:
    webhook(api, name="<script>alert(1)</script>")

    page = admin_client.get("/v1/webhooks", HTTP_ACCEPT="text/html")

    assert b"<script>alert(1)" not in page.content


def test_systems_that_know_no_422_do_not_announce_one(schema: Json) -> None:
    announced = {name.split()[1].split("/")[1] for name, o in operations(schema) if "422" in o["responses"]}

    assert announced == {"v1", "leap", "skyvern"}


def test_without_a_session_a_browser_is_refused_as_anyone(client: Client) -> None:
    page = client.get("/v1/webhooks", HTTP_ACCEPT="text/html")

    assert page.status_code == 401


def test_a_program_gets_json_by_default(api: APIClient) -> None:
    response = api.get("/v1/webhooks", HTTP_ACCEPT="*/*")

    assert response["Content-Type"] == "application/json"
    answer(response)
