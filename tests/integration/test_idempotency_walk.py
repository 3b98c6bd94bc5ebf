"""Each POST of the API either takes an Idempotency-Key, or there is a reason why it needs none."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from delivery.models import Delivery
from subscriptions.models import Organization
from tests.factories import Json, answer, completed_run, refusal, row_counts, webhook, workflow
from tests.integration.dialects.test_skyvern import caller_of
from tests.receiver import Receiver

REPORT = "the same report again is answered as the first time and tells nobody"
AGAIN = "the same call again changes nothing"
# By the end of the address.
NEED_NONE = {
    "runs/batch": REPORT,
    **{
        f"/{move}": REPORT
        for move in "start complete fail terminate time-out pause progress runs/<str:run_id>/cancel".split()
    },
    "deliveries/<uuid:delivery_id>/cancel": AGAIN,
    "replays/<uuid:replay_id>/pause": AGAIN,
    "replays/<uuid:replay_id>/resume": AGAIN,
    "replays/<uuid:replay_id>/cancel": AGAIN,
    "webhooks/<int:subscription_id>/recover": "what was recovered is held no more; chunks commit alone",
}
# What each of them is asked for; {…} is filled in from `world`.
BODIES: dict[str, Json] = {
    "v1/webhooks": {"name": "Hook", "url": "https://hooks.example.com/", "events": ["*"]},
    "v1/webhooks/<int:subscription_id>/rotate-secret": {},
    "v1/webhooks/<int:subscription_id>/test": {},
    "v1/organizations": {"name": "New"},
    "v1/organizations/<str:organization_id>/rotate-secret": {},
    "v1/organizations/<str:organization_id>/api-keys": {"name": "New"},
    "v1/workflows": {"name": "Cats"},
    "v1/workflows/<str:workflow_id>/rotate-secret": {},
    "v1/runs": {"workflow_id": "{workflow_id}"},
    "v1/events/batch": {"events": [{"event_type": "a.b", "data": {}}]},
    "v1/events": {"event_type": "order.paid", "data": {"number": 1}},
    "v1/deliveries/<uuid:delivery_id>/replay": {},
    "v1/deliveries/<uuid:delivery_id>/recover": {},
    "v1/portal/links": {"name": "ann"},
    "v1/replays": {"states": ["exhausted"]},
    "leap/v1/runs": {"workflow_id": "{leap}"},
    "leaperone/v1/images/generations": {"model": "m", "prompt": "a cat"},
    "skyvern/v1/run/tasks": {"prompt": "a cat"},
    "skyvern/v1/run/agents": {"agent_id": "{skyvern}"},
    "skyvern/v1/run/workflows": {"workflow_id": "{skyvern}"},
    "skyvern/v1/runs/<str:run_id>/retry_webhook": {},
    "eachlabs/api/v1/<str:workflow>/trigger": {"inputs": {}},
    "eachlabs/api/v1/<str:workflow>/bulk-trigger": {"inputs": [{}, {}]},
    "eachlabs/v1/workflows/trigger/<str:workflow>/<str:version>": {"inputs": {}},
    "eachlabs/v1/workflows/bulk-trigger/<str:workflow>/<str:version>": {"inputs": [{}]},
}


def posts() -> Iterator[tuple[str, Any]]:
    """Each address that takes a POST, with the view's method that sees to it."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, prefix + str(pattern.pattern))
            elif isinstance(pattern, URLPattern):
                action = getattr(pattern.callback, "actions", {}).get("post")
                if action:
                    yield prefix + str(pattern.pattern), getattr(pattern.callback.cls, action)  # type: ignore[attr-defined]

    return walk(get_resolver().url_patterns, "")


def takes_key(method: Any) -> bool:
    return getattr(method, "takes_idempotency_key", False)


# Skyvern's are there once more with a slash at the end.
TAKING = sorted({path for path, method in posts() if takes_key(method) and not path.endswith("/")})


def test_each_post_takes_a_key_or_needs_none() -> None:
    found = dict(posts())
    without = [path for path, method in found.items() if not takes_key(method)]

    assert len(found) > 40
    assert [path for path in without if not path.rstrip("/").endswith(tuple(NEED_NONE))] == []
    assert [end for end in NEED_NONE if not any(path.endswith(end) for path in without)] == []
    assert set(TAKING) == set(BODIES)


def rows() -> dict[str, int]:
    """All but attempts, which the worker makes when it comes to them."""
    return {table: count for table, count in row_counts().items() if table != "delivery_attempt"}


def delivery_of(api: APIClient, **values: Any) -> str:
    """A delivery to a subscription of its own, made to look as if it had come this far."""
    answer(api.post("/v1/events", {"event_type": "order.paid", "data": {}}), 202)
    delivery = Delivery.objects.latest("id")
    Delivery.objects.filter(pk=delivery.pk).update(**values)
    return str(delivery.pk)


@pytest.fixture
def api(organization: Organization) -> APIClient:
    return caller_of(organization).api


@pytest.fixture
def world(api: APIClient, organization: Organization, receiver: Receiver) -> dict[str, str]:
    made = {name: workflow(api, dialect=name, slug=name) for name in ("leap", "skyvern", "eachlabs")}
    subscription = webhook(api, url=receiver.url())
    ended = {"state": "exhausted", "finished_at": Now(), "next_attempt_at": None}
    held = {"state": "held", "held_at": Now(), "reason": "worker_lost", "next_attempt_at": None}
    return {
        "subscription_id": str(subscription["id"]),
        "organization_id": organization.public_id,
        "workflow_id": workflow(api)["id"],
        "run_id": completed_run(api, workflow_id=made["skyvern"]["id"], webhook_url=receiver.url())["id"],
        "ended": delivery_of(api, **ended),
        "held": delivery_of(api, **held),
        "workflow": made["eachlabs"]["id"],
        "version": made["eachlabs"]["version_id"],
        "leap": made["leap"]["id"],
        "skyvern": made["skyvern"]["id"],
    }


@pytest.fixture
def ask(api: APIClient, world: dict[str, str], worker: None) -> Callable[..., Any]:
    """Make the call of this route with a key."""

    def make(route: str, key: str, **more: Any) -> Any:
        delivery = world["held" if route.endswith("recover") else "ended"]
        path = f"/{route}".replace("<uuid:delivery_id>", delivery)
        for name, id_ in world.items():
            for kind in ("str", "int"):
                path = path.replace(f"<{kind}:{name}>", id_)
        assert "<" not in path, path
        body = {
            name: value.format_map(world) if isinstance(value, str) else value
            for name, value in BODIES[route].items()
        }
        return api.post(path, body | more, HTTP_IDEMPOTENCY_KEY=key)

    return make


@pytest.mark.parametrize("route", TAKING)
def test_the_same_call_again_is_answered_as_the_first_time_and_does_nothing(
    ask: Callable[..., Any], receiver: Receiver, route: str
) -> None:
    before = rows()
    first = ask(route, "k-1")
    after = rows()

    second = ask(route, "k-1")

    assert 200 <= first.status_code < 300, first.content
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second["Content-Type"] == first["Content-Type"]
    assert (first.get("Idempotency-Replayed"), second.get("Idempotency-Replayed")) == (None, "true")
    assert rows() == after != before


@pytest.mark.parametrize(
    "route", [route for route in TAKING if route.startswith(("v1/runs", "eachlabs", "leap"))]
)
def test_the_same_key_with_another_body_is_refused(ask: Callable[..., Any], route: str) -> None:
    assert ask(route, "k-1").status_code < 300
    after = rows()

    refused = ask(route, "k-1", webhook_url="https://hooks.example.com/other")

    said = refused.json()
    assert rows() == after
    if route.startswith("eachlabs"):
        assert (refused.status_code, said) == (
            400,
            {"error": "this key was used for a call with another body"},
        )
    elif route.startswith("leaperone"):
        assert (refused.status_code, said["error"]["code"]) == (400, "idempotency_key_reused")
    else:
        refusal(refused, 422, "idempotency_key_reused", "Idempotency-Key")


def test_the_document_describes_the_header_where_it_is_taken(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]

    taking = {
        path.strip("/")
        for path, operations in paths.items()
        for parameter in operations.get("post", {}).get("parameters", ())
        if parameter["name"] == "Idempotency-Key"
    }

    assert taking == {re.sub(r"<\w+:(\w+)>", r"{\1}", route) for route in TAKING}
