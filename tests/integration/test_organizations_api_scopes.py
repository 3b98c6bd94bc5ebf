"""Keys of the API: which headers carry them, and which scope opens which door."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from subscriptions import services
from subscriptions.models import Organization, Scope
from tests.factories import answer, error_of, refusal
from tests.integration.conftest import client_for


def with_headers(headers: dict[str, str]) -> APIClient:
    client = APIClient()
    client.credentials(**headers)
    return client


METHODS = [
    ("runs:read", "get", "/v1/runs"),
    ("runs:read", "get", "/v1/workflows"),
    ("deliveries:read", "get", "/v1/runs/nothing/webhooks"),
    ("runs:write", "post", "/v1/runs"),
    ("runs:write", "post", "/v1/workflows"),
    ("runs:write", "post", "/v1/events"),
    ("webhooks:read", "get", "/v1/webhooks"),
    ("webhooks:write", "post", "/v1/webhooks"),
    ("webhooks:write", "delete", "/v1/webhooks/1"),
    ("webhooks:write", "post", "/v1/webhooks/1/test"),
    ("deliveries:read", "get", "/v1/webhooks/logs/all"),
    ("deliveries:read", "get", "/v1/deliveries"),
    ("deliveries:replay", "post", "/v1/deliveries/00000000-0000-7000-8000-000000000000/replay"),
    ("deliveries:replay", "post", "/v1/deliveries/00000000-0000-7000-8000-000000000000/cancel"),
    ("organizations:write", "get", "/v1/organizations"),
    ("organizations:write", "post", "/v1/organizations"),
]


@pytest.mark.parametrize(("scope", "method", "path"), METHODS, ids=[f"{m} {p}" for _, m, p in METHODS])
def test_each_scope_opens_its_own_doors(
    organization: Organization, scope: str, method: str, path: str
) -> None:
    without = client_for(organization, [each for each in Scope.values if each != scope])
    with_ = client_for(organization, [scope])

    refused = refusal(getattr(without, method)(path), 403, "missing_scope")

    assert scope in refused["detail"]
    assert getattr(with_, method)(path).status_code not in (401, 403)
    assert error_of(getattr(APIClient(), method)(path))["code"] == "not_authenticated"


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_AUTHORIZATION": "Bearer {key}"},
        {"HTTP_AUTHORIZATION": "bearer {key}"},
        {"HTTP_AUTHORIZATION": "Bearer  {key} "},
        {"HTTP_X_API_KEY": "{key}"},
    ],
    ids=str,
)
def test_a_key_may_come_in_either_header(organization: Organization, headers: dict[str, str]) -> None:
    _, key = services.api_key_create(organization=organization)
    client = with_headers({name: value.format(key=key) for name, value in headers.items()})

    answer(client.get("/v1/webhooks"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HTTP_AUTHORIZATION": "Bearer"},
        {"HTTP_AUTHORIZATION": "Bearer rhk_unknown"},
        {"HTTP_AUTHORIZATION": "Basic cmhrOng="},
        {"HTTP_AUTHORIZATION": "Bearer \xff\xfe"},
        {"HTTP_X_API_KEY": ""},
        {"HTTP_X_API_KEY": "rhk_" + "0" * 64},
        {"HTTP_X_API_KEY": "x" * 10_000},
    ],
    ids=lambda headers: str(headers)[:50],
)
def test_without_a_valid_key_the_answer_is_401(headers: dict[str, str]) -> None:
    response: Any = with_headers(headers).get("/v1/webhooks")

    assert response.status_code == 401
    assert error_of(response)["code"] in ("not_authenticated", "bad_api_key")
    assert response["WWW-Authenticate"].startswith("Bearer")
