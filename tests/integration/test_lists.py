"""All lists of the native API take the same parameters and answer in the same form."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from subscriptions.models import Organization
from tests.factories import Json, answer, refusal, run, webhook, workflow
from tests.openapi import operations, served
from tests.receiver import Receiver

JSON = "application/json"
# Path, member, and whether the newest comes first where nobody says otherwise.
LISTS = {
    "/v1/webhooks": ("webhooks", False),
    "/v1/webhooks/logs/all": ("logs", True),
    "/v1/webhooks/{webhook}/logs": ("logs", True),
    "/v1/workflows": ("workflows", True),
    "/v1/runs": ("runs", True),
    "/v1/deliveries": ("deliveries", True),
    "/v1/replays": ("replays", True),
    "/v1/organizations": ("organizations", False),
    "/v1/organizations/{organization}/api-keys": ("api_keys", True),
}
# Whole answers, which nobody pages through.
WHOLE = {"/v1/users/me/organizations"}


@pytest.fixture
def paths(api: APIClient, organization: Organization, receiver: Receiver, worker: None) -> dict[str, str]:
    """Three of everything."""
    made = workflow(api)["id"]
    hook = str(webhook(api, url=receiver.url())["id"])
    for number in range(3):
        if number:
            workflow(api)
            webhook(api, events=["a.b"])
            answer(api.post("/v1/organizations", {"name": f"Customer {number}"}), 201)
        run(api, workflow_id=made)
        answer(api.post(f"/v1/webhooks/{hook}/test"))
        answer(api.post("/v1/replays", {"states": ["exhausted"], "replay_key": f"r{number}"}), 202)
        answer(api.post(f"/v1/organizations/{organization.public_id}/api-keys", {}), 201)
    ids = {"webhook": hook, "organization": organization.public_id}
    return {path: path.format_map(ids) for path in LISTS}


def ids_of(page: Json, member: str) -> list[Any]:
    return [row["id"] for row in page[member]]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_paged_and_ordered_as_every_other(api: APIClient, paths: dict[str, str], path: str) -> None:
    member, is_newest_first = LISTS[path]

    def page(**query: Any) -> Json:
        found: Json = answer(api.get(paths[path], query))
        assert list(found) == [member, "total", "limit", "offset"]
        return found

    newest, oldest = ids_of(page(ordering="-created_at"), member), ids_of(page(ordering="created_at"), member)
    assert newest == oldest[::-1]
    assert len(newest) >= 3
    assert ids_of(page(), member) == (newest if is_newest_first else oldest)
    second = page(ordering="created_at", limit=1, offset=1)
    assert (ids_of(second, member), second["total"]) == (oldest[1:2], len(oldest))
    made = [row["created_at"] for row in page(ordering="created_at")[member]]
    assert made == sorted(made)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1", "ordering=name"])
def test_nonsense_is_refused_by_name_in_every_list(
    api: APIClient, paths: dict[str, str], path: str, query: str
) -> None:
    name = query.partition("=")[0]

    found = api.get(f"{paths[path]}?{query}")

    assert (found.status_code, found.json()["field"]) == (422, name)


def test_every_list_is_looked_at_here() -> None:
    described = {}
    for name, operation in operations(served()):
        method, path = name.split()
        if method == "GET" and path.startswith("/v1/") and operation["operationId"].endswith("_list"):
            described[path] = {parameter["name"] for parameter in operation["parameters"]}

    known = {
        path.replace("{webhook}", "{subscription_id}").replace("{organization}", "{organization_id}")
        for path in LISTS
    }
    assert set(described) - known == WHOLE
    for path in set(described) - WHOLE:
        assert {"limit", "offset", "ordering"} <= described[path], path


def test_replays_are_filtered_by_state(api: APIClient) -> None:
    made = answer(api.post("/v1/replays", {"states": ["exhausted"]}), 202)["id"]
    answer(api.post(f"/v1/replays/{made}/pause"))

    assert answer(api.get("/v1/replays", {"state": "paused"}))["total"] == 1
    assert answer(api.get("/v1/replays", {"state": "running"}))["total"] == 0
    refusal(api.get("/v1/replays", {"state": "asleep"}), 422, "invalid_choice", "state")
