"""Ids of another organization in queries and bodies: nothing is found by them (promise 8)."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from delivery.models import Delivery
from delivery.states import State
from runs.dialects import profiles
from subscriptions import services
from subscriptions.models import DEFAULT_SCOPES, Organization
from tests.factories import Json, answer, deliveries, run, started_run, webhook, workflow
from tests.integration.conftest import client_for
from tests.integration.tenancy import everything_of

URL = "https://hooks.example.com/in"
# Where an id of somebody else's could be said: the call, what the id is of, and the rest of the body or
# query. `{}` stands for the id, `own …` for a thing of the caller's.
PLACES: list[tuple[str, str, Json]] = [
    ("GET /v1/runs", "workflow", {"workflow_id": "{}"}),
    ("GET /v1/runs", "external", {"external_id": "{}"}),
    ("GET /v1/deliveries", "subscription", {"subscription_id": "{}"}),
    ("GET /v1/deliveries", "event", {"event_id": "{}"}),
    ("GET /eachlabs/api/v1/workflows/{own eachlabs}/executions", "bulk", {"bulk_id": "{}"}),
    ("GET /eachlabs/v1/workflows/{own eachlabs}/executions", "bulk", {"bulk_id": "{}"}),
    ("POST /v1/webhooks", "workflow", {"name": "H", "url": URL, "events": ["*"], "workflow_ids": ["{}"]}),
    ("PATCH /v1/webhooks/{own subscription}", "workflow", {"workflow_ids": ["{}"]}),
    ("POST /v1/workflows", "workflow", {"name": "Cats", "id": "{}"}),
    ("POST /v1/workflows", "version", {"name": "Cats", "version_id": "{}"}),
    ("PATCH /v1/workflows/{own workflow}", "version", {"version_id": "{}"}),
    ("POST /v1/runs", "workflow", {"workflow_id": "{}"}),
    ("POST /v1/runs", "run", {"workflow_id": "{own workflow}", "id": "{}"}),
    ("POST /v1/runs", "external", {"workflow_id": "{own workflow}", "external_id": "{}"}),
    ("POST /v1/runs/{own run}/start", "executor", {"executor_id": "{}"}),
    ("POST /v1/runs/{own run}/complete", "run", {"artifacts": [{"kind": "file", "url": URL, "id": "{}"}]}),
    ("POST /v1/runs/batch", "run", {"reports": [{"run_id": "{}", "move": "complete"}]}),
    ("POST /v1/events", "event", {"event_type": "order.sent", "data": {}, "event_id": "{}"}),
    ("POST /v1/replays", "subscription", {"subscription_id": "{}", "dry_run": True}),
    ("POST /v1/replays", "run", {"run_id": "{}", "dry_run": True}),
    ("POST /v1/replays", "delivery", {"delivery_ids": ["{}"], "dry_run": True}),
    ("POST /leap/v1/runs", "leap", {"workflow_id": "{}"}),
    ("POST /leap/v1/runs", "leap run", {"workflow_id": "{own leap}", "id": "{}"}),
    ("POST /leaperone/v1/images/generations", "leaperone run", {"prompt": "x", "model": "m", "id": "{}"}),
    ("POST /skyvern/v1/run/agents", "skyvern", {"agent_id": "{}"}),
    ("POST /skyvern/v1/run/agents", "skyvern", {"workflow_id": "{}"}),
    *(
        (f"POST /skyvern/v1/run/{name}", "skyvern run", {"workflow_id": "{own skyvern}", field: "{}"})
        for name in ("agents", "workflows")
        for field in ("parent_workflow_run_id", "browser_session_id", "id")
    ),
    ("POST /skyvern/v1/run/workflows", "skyvern", {"workflow_id": "{}"}),
    ("POST /skyvern/v1/run/workflows", "skyvern", {"agent_id": "{}"}),
    *(
        ("POST /skyvern/v1/run/tasks", "skyvern run", {"prompt": "x", field: "{}"})
        for field in ("workflow_run_id", "parent_workflow_run_id", "browser_session_id", "id")
    ),
    *(
        (call, kind, body)
        for call in (
            "POST /eachlabs/api/v1/{own eachlabs}/trigger",
            "POST /eachlabs/v1/workflows/trigger/{own eachlabs}/{own eachlabs version}",
        )
        for kind, body in (
            ("eachlabs run", {"inputs": {}, "id": "{}"}),
            ("eachlabs version", {"inputs": {}, "version_id": "{}"}),
        )
        if "version_id" not in body or "{own eachlabs version}" not in call
    ),
    *(
        (call, kind, {"inputs": [{}], **body})
        for call in (
            "POST /eachlabs/api/v1/{own eachlabs}/bulk-trigger",
            "POST /eachlabs/v1/workflows/bulk-trigger/{own eachlabs}/{own eachlabs version}",
        )
        for kind, body in (
            ("eachlabs run", {"ids": ["{}"]}),
            ("bulk", {"bulk_id": "{}"}),
            ("eachlabs version", {"version_id": "{}"}),
        )
        if "version_id" not in body or "{own eachlabs version}" not in call
    ),
]
# Words of the caller's, which are kept and by which nothing is found.
NEVER_LOOKED_UP = {"executor_id", "browser_session_id", "workflow_ids", "bulk_id"}
NEVER_LOOKED_UP_HERE = {("POST /v1/workflows", "version_id"), ("POST /v1/runs/{own run}/complete", "id")}
# New at each call, whosever id was said.
NEW = r'"(\w*_?id|slug|\w+_at|signing_secret|app_url|recording_url)":\s*("[^"]*"|\d+)'
Ids = dict[str, str]


def things(api: APIClient, organization: Organization) -> Ids:
    """One of each kind that an id can be of."""
    made = workflow(api)
    subscription = webhook(api)["id"]
    started = started_run(api, workflow_id=made["id"], external_id=f"job-of-{organization.pk}")
    sent = answer(api.post("/v1/events", {"event_type": "order.paid", "data": {}}), 202)
    ids = {
        "workflow": made["id"],
        "version": made["version_id"],
        "run": started["id"],
        "external": started["external_id"],
        "executor": "executor-1",
        "subscription": str(subscription),
        "event": sent["event_id"],
        "delivery": deliveries(api)[0]["id"],
    }
    for dialect in ("leap", "leaperone", "skyvern", "eachlabs"):
        made = workflow(api, dialect=dialect)
        ids[dialect], ids[f"{dialect} version"] = made["id"], made["version_id"]
        ids[f"{dialect} run"] = run(api, workflow_id=made["id"])["id"]
    path = f"/eachlabs/api/v1/{ids['eachlabs']}/bulk-trigger"
    ids["bulk"] = answer(api.post(path, {"inputs": [{}]}), 202)["bulk_id"]
    # So that there is something to replay.
    Delivery.objects.filter(organization=organization).update(
        state=State.EXHAUSTED, finished_at=timezone.now(), next_attempt_at=None
    )
    return ids


def nobodys(kind: str) -> str:
    """An id of the same form that nobody has."""
    dialect, _, part = kind.partition(" ")
    if dialect in profiles():
        profile = profiles()[dialect]
        forms = {"": profile.workflow_ids, "version": profile.version_ids, "run": profile.run_ids}
        return forms[part].new()
    return {
        "subscription": "123456789",
        "delivery": "01a1fde8-4082-7f19-a5b7-799191092320",
        "bulk": "a29fb2f3-4ff1-4d0a-9b0e-d1c0c9c2f3a4",
    }.get(kind, f"{kind}-never")


def call(api: APIClient, place: str, values: Json, id_: str, own: Ids) -> tuple[int, str]:
    """The status and the answer, with that id and all that is new made alike."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(child) for name, child in value.items()}
        if isinstance(value, list):
            return [filled(child) for child in value]
        if not isinstance(value, str):
            return value
        return re.sub(r"\{own ([^}]*)\}", lambda match: own[match[1]], value).replace("{}", id_)

    method, path = re.split(" (?=/)", filled(place))
    said = filled(values)
    if "subscription_id" in said and method == "POST":
        said["subscription_id"] = int(id_)
    response: Any = getattr(api, method.lower())(path, said)
    text = response.content.decode().replace(id_, "<id>")
    return response.status_code, re.sub(NEW, r'"\1":"<new>"', text)


@contextmanager
def undone() -> Iterator[None]:
    """What is done within it leaves nothing behind, so that two calls meet the same things."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def owner(organization: Organization) -> APIClient:
    scopes = [*DEFAULT_SCOPES, "runs:import"]
    _, key = services.api_key_create(organization=organization, scopes=scopes, signs=True)
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {key}")


@pytest.fixture
def outsider(other_organization: Organization) -> APIClient:
    return client_for(other_organization, [*DEFAULT_SCOPES, "runs:import"])


def test_an_id_of_somebody_else_s_is_answered_like_one_that_never_was(
    owner: APIClient,
    outsider: APIClient,
    organization: Organization,
    other_organization: Organization,
) -> None:
    theirs, own = things(owner, organization), things(outsider, other_organization)
    before, faults = everything_of(organization), []

    for place, kind, values in PLACES:
        with undone():
            missing = call(outsider, place, values, nobodys(kind), own)
        with undone():
            found = call(outsider, place, values, theirs[kind], own)
            untouched = everything_of(organization) == before
        if found != missing or not untouched:
            faults.append(f"{place} {values}: {found} and {missing}")

    assert faults == []


def said_ids(document: Json) -> Iterator[tuple[str, str]]:
    """Each call with a field of its query or body that is an id."""

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                names += fields(document, content["schema"])
            place = f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}"
            yield from ((place, name) for name in names if re.fullmatch(r"(\w+_)?ids?", name))


def fields(document: Json, schema: Json) -> Iterator[str]:
    """The names that a body may have, at any depth; flags are no ids, whatever they are called."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    for name, value in schema.get("properties", {}).items():
        if value.get("type") != "boolean":
            yield name
        yield from fields(document, value)
    if "items" in schema:
        yield from fields(document, schema["items"])


def test_the_walk_knows_every_place_for_an_id(client: Client) -> None:
    document = json.loads(client.get("/openapi.json").content)
    walked = {
        (re.sub(r"{[^}]*}", "{}", place), name) for place, _, values in PLACES for name in json_names(values)
    }
    # What a report says of the artifacts of one's own run is kept as it is, whatever the report.
    offered = {(place, name) for place, name in said_ids(document) if not is_of_an_artifact(place, name)}

    assert offered - walked == set()


def json_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    for child in value if isinstance(value, list) else []:
        yield from json_names(child)


def is_of_an_artifact(place: str, name: str) -> bool:
    return name == "id" and place.startswith("POST /v1/runs/{}/")


def test_its_owner_is_answered_otherwise(owner: APIClient, organization: Organization) -> None:
    """Else the comparison would prove nothing."""
    own, alike = things(owner, organization), set()

    for place, kind, values in PLACES:
        with undone():
            missing = call(owner, place, values, nobodys(kind), own)
        with undone():
            found = call(owner, place, values, own[kind], own)
        if found == missing:
            alike |= {(place, name) for name in re.findall(r'"(\w+)": \[?"\{\}"', json.dumps(values))}

    looked_up = {(place, name) for place, name in alike if name not in NEVER_LOOKED_UP}
    assert looked_up == NEVER_LOOKED_UP_HERE
