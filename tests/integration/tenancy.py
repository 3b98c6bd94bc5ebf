"""Two customers: what one of them has, and all addresses under which it could be asked for."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from delivery.models import Event
from runs.dialects import profiles
from subscriptions.models import Organization
from tests.factories import Json, answer, completed_run, deliveries, run, started_run, webhook, workflow

NATIVE = "v1"
DIALECTS = sorted(profile.base_path for profile in profiles().values() if profile.base_path)
# What anyone may ask for; none of it belongs to an organization.
PUBLIC = ("", "favicon.ico", "healthz", "readyz", "metrics", "openapi.json", "docs")
# Bodies that would be accepted from the owner, by the end of the address.
BODIES: dict[str, Json] = {
    "fail": {"error": "no"},
    "progress": {"progress": "x"},
    "recover": {"since": "2026-01-01T00:00:00Z"},
    "webhooks/<int:subscription_id>": {"name": "Stolen"},
    "workflows/<str:workflow_id>": {"name": "Stolen"},
    "api/v1/<str:workflow>/bulk-trigger": {"inputs": [{}]},
    "bulk-trigger/<str:workflow>/<str:version>": {"inputs": [{}]},
}
Ids = dict[str, str]


def routes() -> Iterator[str]:
    """Every address, as Django knows it."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, prefix + str(pattern.pattern))
            elif isinstance(pattern, URLPattern):
                yield prefix + str(pattern.pattern)

    return walk(get_resolver().url_patterns, "")


def routes_of(base: str) -> list[str]:
    """Those below one path, without the operator's."""
    operators = f"{NATIVE}/organizations"
    return [route for route in routes() if route.startswith(f"{base}/") and not route.startswith(operators)]


def named(base: str) -> list[str]:
    """Those that name something."""
    return [route for route in routes_of(base) if "<" in route]


def body_for(route: str) -> Json:
    return next((body for end, body in BODIES.items() if route.rstrip("/").endswith(end)), {})


def belongings(api: APIClient, base: str) -> Ids:
    """One of everything: what stands for each part of an address below `base`."""
    if base != NATIVE:
        return _of_dialect(api, base)
    subscription = webhook(api)
    made = workflow(api)
    started = started_run(api, workflow_id=made["id"], external_id="job-1")
    answer(api.post(f"/v1/runs/{started['id']}/steps/draw/start"))
    replay = answer(api.post("/v1/replays", {"states": ["exhausted"]}), 202)
    return {
        "<int:subscription_id>": str(subscription["id"]),
        "<str:workflow_id>": made["id"],
        "<str:run_id>": started["id"],
        "<str:key>": "draw",
        "<uuid:delivery_id>": deliveries(api)[0]["id"],
        "<uuid:replay_id>": replay["id"],
    }


def _of_dialect(api: APIClient, base: str) -> Ids:
    dialect = next(profile.name for profile in profiles().values() if profile.base_path == base)
    made = workflow(api, dialect=dialect, slug="theirs")
    ended = completed_run(api, workflow_id=made["id"], webhook_url="https://hooks.example.com/in")["id"]
    # Something that can be cancelled, where the end of the other would be in the way.
    queued = run(api, workflow_id=made["id"])["id"]
    return {
        "<str:run_id>": queued,
        "<str:run_id>/retry_webhook": f"{ended}/retry_webhook",
        "<str:execution_id>": ended,
        "<str:task_id>": ended,
        "<str:workflow>": made["id"],
        "<str:version>": made["version_id"],
    }


def never(base: str) -> Ids:
    """Ids of the same forms that nobody has."""
    profile = next(p for p in profiles().values() if (p.base_path or NATIVE) == base)
    made = profile.run_ids.new()
    return {
        "<int:subscription_id>": "123456789",
        "<str:workflow_id>": "wf_never",
        "<str:run_id>": made,
        "<str:run_id>/retry_webhook": f"{made}/retry_webhook",
        "<str:key>": "draw",
        "<uuid:delivery_id>": "01a1fde8-4082-7f19-a5b7-799191092320",
        "<uuid:replay_id>": "01a1fde8-4082-7f19-a5b7-799191092321",
        "<str:execution_id>": made,
        "<str:task_id>": made,
        "<str:workflow>": profile.workflow_ids.new(),
        "<str:version>": profile.version_ids.new(),
    }


def addressed(route: str, ids: Ids) -> str:
    for part in sorted(ids, key=len, reverse=True):
        route = route.replace(part, ids[part])
    assert "<" not in route, f"the test does not know what stands for {route}"
    return f"/{route}"


def everything_of(organization: Organization) -> dict[str, list[Any]]:
    """All rows that belong to it, whole."""
    found = {}
    for label in ("subscriptions", "delivery", "runs"):
        for model in apps.get_app_config(label).get_models():
            names = {field.name for field in model._meta.get_fields()}
            owner = Q(organization=organization) if "organization" in names else None
            owner = Q(run__organization=organization) if "run" in names and owner is None else owner
            if owner is not None:
                rows = model._default_manager.filter(owner).order_by("pk").values()
                found[model.__name__] = list(rows)
    assert Event.__name__ in found
    return found
