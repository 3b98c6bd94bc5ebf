"""One organization never sees, counts, guesses or changes what belongs to another (promise 8)."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from delivery.queue import WakeUp
from subscriptions import services
from subscriptions.models import DEFAULT_SCOPES, Organization
from tests.factories import (
    answer,
    deliveries,
    logs,
    refusal,
    report,
    started_run,
    webhook,
    workflow,
)
from tests.integration import tenancy
from tests.integration.conftest import client_for
from tests.receiver import Receiver

METHODS = ("get", "post", "patch", "put", "delete")
OPERATORS = [route for route in tenancy.routes() if route.startswith("v1/organizations/")]


@pytest.fixture
def outsider(other_organization: Organization) -> APIClient:
    """A client of another customer, with everything that a customer's key may do."""
    return client_for(other_organization, [*DEFAULT_SCOPES, "runs:import"])


@pytest.fixture
def belongings(
    api: APIClient, receiver: Receiver, attempt: Callable[..., Any], wake_ups: list[WakeUp]
) -> dict[str, str]:
    """One of everything, of the first organization: what stands for each part of an address."""
    subscription = webhook(api, url=receiver.url())
    made = workflow(api)
    run = started_run(api, workflow_id=made["id"], external_id="job-1")
    answer(api.post(f"/v1/runs/{run['id']}/steps/draw/start"))
    attempt(wake_ups[0].delivery_id)
    replay = answer(api.post("/v1/replays", {"states": ["exhausted"]}), 202)
    organization, key = answer(api.get("/v1/organizations"))["organizations"][0]["id"], "1"
    return {
        "<int:subscription_id>": str(subscription["id"]),
        "<str:workflow_id>": made["id"],
        "<str:run_id>": run["id"],
        "<str:key>": "draw",
        "<uuid:delivery_id>": str(wake_ups[0].delivery_id),
        "<uuid:replay_id>": replay["id"],
        "<str:organization_id>": organization,
        "<int:key_id>": key,
    }


@pytest.mark.parametrize("route", OPERATORS)
def test_a_customer_s_key_opens_nothing_of_the_operator_s(
    outsider: APIClient, belongings: dict[str, str], route: str
) -> None:
    for method in METHODS:
        response = getattr(outsider, method)(tenancy.addressed(route, belongings))

        assert response.status_code in (403, 405), f"{method}: {response.content!r}"


def test_lists_are_empty_for_someone_else(
    api: APIClient, outsider: APIClient, belongings: dict[str, str]
) -> None:
    for name, path in (
        ("webhooks", "/v1/webhooks"),
        ("workflows", "/v1/workflows"),
        ("runs", "/v1/runs"),
        ("deliveries", "/v1/deliveries"),
        ("replays", "/v1/replays"),
        ("logs", "/v1/webhooks/logs/all"),
    ):
        mine, theirs = answer(api.get(path)), answer(outsider.get(path))

        assert mine["total"] > 0
        assert (theirs[name], theirs["total"]) == ([], 0)
    subscription_id = belongings["<int:subscription_id>"]
    assert deliveries(outsider, subscription_id=subscription_id) == []
    assert answer(outsider.get("/v1/runs?external_id=job-1"))["runs"] == []


def test_events_reach_only_the_organization_s_own_subscriptions(api: APIClient, outsider: APIClient) -> None:
    webhook(api)
    theirs = webhook(outsider)["id"]

    run = started_run(outsider)
    report(outsider, run["id"], "complete")
    sent = answer(outsider.post("/v1/events", {"event_type": "a.b", "data": {}}), 202)

    assert sent["subscriptions"] == 1
    assert deliveries(api) == []
    assert {delivery["subscription_id"] for delivery in deliveries(outsider)} == {theirs}


def test_a_run_cannot_be_made_of_someone_else_s_workflow(
    outsider: APIClient, belongings: dict[str, str]
) -> None:
    body = {"workflow_id": belongings["<str:workflow_id>"]}

    refusal(outsider.post("/v1/runs", body), 404, "not_found")


def test_limiting_a_subscription_to_someone_else_s_workflow_tells_nothing_of_it(
    api: APIClient, outsider: APIClient
) -> None:
    made = workflow(api)
    webhook(outsider, workflow_ids=[made["id"]])

    started_run(api, workflow_id=made["id"])

    assert deliveries(outsider) == []
    assert logs(outsider) == []


def test_x_org_id_picks_one_of_the_key_s_organizations(
    organization: Organization, other_organization: Organization
) -> None:
    third, _ = services.organization_create(name="Third")
    _, key = services.api_key_create(organization=organization, others=[other_organization])
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {key}")

    mine = webhook(client)["id"]
    client.credentials(HTTP_X_ORG_ID=other_organization.public_id)
    theirs = webhook(client)["id"]

    def listed(**headers: Any) -> list[int]:
        return [each["id"] for each in answer(client.get("/v1/webhooks", **headers))["webhooks"]]

    client.credentials()
    assert listed() == [mine]
    assert listed(HTTP_X_ORG_ID=organization.public_id) == [mine]
    assert listed(HTTP_X_ORG_ID=other_organization.public_id) == [theirs]
    refusal(client.get(f"/v1/webhooks/{theirs}"), 404, "not_found")
    for wanted in (third.public_id, "org_never", "1", "", " "):
        refusal(client.get("/v1/webhooks", HTTP_X_ORG_ID=wanted), 404, "not_found", "X-Org-Id")


def test_a_customer_cannot_pick_another_organization(outsider: APIClient, organization: Organization) -> None:
    response = outsider.get("/v1/webhooks", HTTP_X_ORG_ID=organization.public_id)

    refusal(response, 404, "not_found", "X-Org-Id")


def test_the_operator_acts_for_every_organization(api: APIClient, outsider: APIClient) -> None:
    theirs = webhook(outsider)["id"]
    other = answer(api.get("/v1/organizations"))["organizations"][-1]["id"]

    listed = answer(api.get("/v1/webhooks", HTTP_X_ORG_ID=other))

    assert [each["id"] for each in listed["webhooks"]] == [theirs]
