"""How often a caller may ask the API: 429, and headers that say how much is left."""

import time
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from subscriptions import services
from subscriptions.models import Organization
from tests.brokers import Broker
from tests.factories import answer, refusal
from tests.integration.conftest import client_for
from tests.integration.test_sender import closed_port

NAMES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.fixture(autouse=True)
def slow_refill(settings: Settings, server: Broker) -> None:
    """Rates of which no test sees a place come free, counted in a real store."""
    settings.CELERY_BROKER_URL = server.url
    settings.RATE_LIMIT_STORE_TIMEOUT_SECONDS = 1.0
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"test-{time.monotonic_ns()}:"}
    settings.API_ORGANIZATION_RATE_PER_SECOND = settings.API_KEY_RATE_PER_SECOND = 0.01
    settings.API_ORGANIZATION_BURST_REQUESTS, settings.API_KEY_BURST_REQUESTS = 5, 3


def statuses(client: APIClient, number: int) -> list[int]:
    return [client.get("/v1/webhooks").status_code for _ in range(number)]


def test_a_key_has_a_rate_and_is_told_when_to_try_again(api: APIClient) -> None:
    assert statuses(api, 3) == [200] * 3

    refused = api.get("/v1/webhooks")

    refusal(refused, 429, "rate_limit_exceeded")
    assert 95 <= int(refused["Retry-After"]) <= 100


def test_the_keys_of_an_organization_have_a_rate_together(organization: Organization) -> None:
    one, other = client_for(organization), client_for(organization)

    assert statuses(one, 3) == [200] * 3
    assert statuses(other, 3) == [200, 200, 429]


def test_one_organization_slows_no_other(api: APIClient, other_api: APIClient) -> None:
    assert statuses(api, 4)[-1] == 429

    assert statuses(other_api, 3) == [200] * 3


def test_an_operator_counts_for_the_organization_that_it_acts_for(
    api: APIClient, other_api: APIClient, other_organization: Organization
) -> None:
    for _ in range(3):
        answer(api.get("/v1/webhooks", HTTP_X_ORG_ID=other_organization.public_id))

    assert statuses(other_api, 3) == [200, 200, 429]


def test_a_call_that_lacks_a_scope_counts_as_well(organization: Organization) -> None:
    client = client_for(organization, ["runs:read"])

    found = [client.get("/v1/webhooks") for _ in range(4)]

    assert [response.status_code for response in found] == [403, 403, 403, 429]
    assert [response["X-RateLimit-Remaining"] for response in found] == ["2", "1", "0", "0"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/v1/webhooks", 200),
        ("post", "/v1/webhooks", 422),
        ("get", "/v1/webhooks/1", 404),
        ("delete", "/v1/webhooks", 405),
        ("get", "/leap/v1/runs/nothing", 422),
        ("get", "/skyvern/v1/runs/nothing", 404),
        ("get", "/leaperone/v1/images/generations/nothing", 404),
        ("get", "/eachlabs/api/v1/executions/nothing", 404),
    ],
)
def test_every_answer_says_how_much_is_left(api: APIClient, method: str, path: str, status: int) -> None:
    response = getattr(api, method)(path)

    assert response.status_code == status
    assert (response["X-RateLimit-Limit"], response["X-RateLimit-Remaining"]) == ("3", "2")
    assert 95 <= int(response["X-RateLimit-Reset"]) - time.time() <= 102
    assert "Retry-After" not in response


def test_who_is_not_known_is_told_nothing_of_limits() -> None:
    response = APIClient().get("/v1/webhooks")

    assert response.status_code == 401
    assert not [name for name in NAMES if name in response]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/leaperone/v1/images/generations/x", {"type": "rate_limit_error", "code": "rate_limit_exceeded"}),
        ("/eachlabs/api/v1/executions/x", {}),
        ("/skyvern/v1/runs/x", {"code": "rate_limit_exceeded"}),
        ("/leap/v1/runs/x", {"code": "rate_limit_exceeded"}),
    ],
)
def test_each_dialect_refuses_in_its_own_words(api: APIClient, path: str, expected: dict[str, Any]) -> None:
    for _ in range(3):
        api.get(path)

    response = api.get(path)

    body = response.json()
    said = body.get("error", body)
    assert response.status_code == 429
    assert response["Retry-After"]
    if expected:
        assert expected.items() <= said.items()
    else:
        assert body == {"error": "Too many requests; Retry-After says when to try again."}


def test_a_rate_of_zero_is_no_limit(settings: Settings, api: APIClient) -> None:
    settings.API_ORGANIZATION_RATE_PER_SECOND = settings.API_KEY_RATE_PER_SECOND = 0.0

    response = [api.get("/v1/webhooks") for _ in range(10)][-1]

    assert response.status_code == 200
    assert not [name for name in NAMES if name in response]


def test_the_api_goes_on_while_the_store_is_away(settings: Settings, api: APIClient) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port()}/0"

    assert statuses(api, 4) == [200, 200, 200, 429]


def test_an_administrator_in_the_browser_counts_for_the_organization(
    admin_client: Any, organization: Organization
) -> None:
    assert admin_client.get("/v1/webhooks")["X-RateLimit-Limit"] == "5"


def test_an_unknown_key_is_refused_before_anything_is_counted(organization: Organization) -> None:
    _, key = services.api_key_create(organization=organization)
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {key}x")

    assert statuses(stranger, 6) == [401] * 6
    assert statuses(client_for(organization), 1) == [200]


@pytest.mark.parametrize("path", ["/v1/webhooks", "/skyvern/v1/runs/x"])
def test_a_key_that_names_an_organization_not_its_own_counts_as_well(
    api: APIClient, organization: Organization, path: str
) -> None:
    client = client_for(organization, ["runs:read", "webhooks:read"])

    found = [client.get(path, HTTP_X_ORG_ID="org_unknown") for _ in range(4)]

    assert [response.status_code for response in found] == [404, 404, 404, 429]
    assert [response["X-RateLimit-Remaining"] for response in found] == ["2", "1", "0", "0"]
    assert client.get(path).status_code == 429
