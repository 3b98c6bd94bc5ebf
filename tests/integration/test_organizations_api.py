"""/v1/organizations and their API keys: how a platform provisions its customers."""

from typing import Any

import pytest
from freezegun import freeze_time
from rest_framework.test import APIClient

from subscriptions.models import DEFAULT_SCOPES, ApiKey, Organization, Scope
from tests.factories import Json, answer, refusal, row_counts, webhook
from tests.integration.conftest import client_for


@pytest.fixture
def operator(organization: Organization) -> APIClient:
    return client_for(organization, [*DEFAULT_SCOPES, Scope.ORGANIZATIONS_WRITE])


def bearer(key: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def new_organization(operator: APIClient, name: str = "Customer", **values: Any) -> Json:
    made: Json = answer(operator.post("/v1/organizations", {"name": name} | values), 201)
    return made


def new_key(operator: APIClient, organization: Json, **values: Any) -> Json:
    made: Json = answer(operator.post(f"/v1/organizations/{organization['id']}/api-keys", values), 201)
    return made


def test_a_platform_provisions_a_customer_without_the_admin(operator: APIClient) -> None:
    customer = new_organization(operator, contact_email="ops@customer.example")
    key = new_key(operator, customer, name="production")

    made = webhook(bearer(key["key"]))

    assert customer["id"].startswith("org_")
    assert customer["signing_secret"].startswith("whsec_")
    assert key["key"].startswith(key["prefix"])
    assert (key["name"], key["signs"], key["revoked_at"]) == ("production", False, None)
    assert answer(operator.get("/v1/webhooks"))["total"] == 0
    assert (
        answer(operator.get("/v1/webhooks", HTTP_X_ORG_ID=customer["id"]))["webhooks"][0]["id"] == made["id"]
    )


def test_secrets_are_shown_once(operator: APIClient) -> None:
    customer = new_organization(operator)
    key = new_key(operator, customer, signs=True)
    path = f"/v1/organizations/{customer['id']}"

    for response in (
        operator.get(path),
        operator.get("/v1/organizations"),
        operator.get(f"{path}/api-keys"),
    ):
        answer(response)
        assert b"signing_secret" not in response.content
        assert key["key"].encode() not in response.content


def test_organizations_and_keys_are_listed(operator: APIClient, organization: Organization) -> None:
    customer = new_organization(operator)
    keys = [new_key(operator, customer, name=name)["id"] for name in ("one", "two")]

    organizations = answer(operator.get("/v1/organizations"))
    listed = answer(operator.get(f"/v1/organizations/{customer['id']}/api-keys"))

    assert [each["id"] for each in organizations["organizations"]] == [organization.public_id, customer["id"]]
    assert organizations["total"] == 2
    assert [each["id"] for each in listed["api_keys"]] == keys[::-1]
    assert answer(operator.get(f"/v1/organizations/{customer['id']}"))["name"] == "Customer"


def test_a_revoked_key_is_refused_at_once(operator: APIClient) -> None:
    customer = new_organization(operator)
    key, other = new_key(operator, customer), new_key(operator, customer)
    path = f"/v1/organizations/{customer['id']}/api-keys/{key['id']}"
    answer(bearer(key["key"]).get("/v1/webhooks"))

    revoked = operator.delete(path)

    assert (revoked.status_code, revoked.content) == (204, b"")
    refusal(bearer(key["key"]).get("/v1/webhooks"), 401, "bad_api_key")
    answer(bearer(other["key"]).get("/v1/webhooks"))
    shown = answer(operator.get(f"/v1/organizations/{customer['id']}/api-keys"))["api_keys"][1]
    assert operator.delete(path).status_code == 204
    assert shown["revoked_at"] is not None
    assert answer(operator.get(f"/v1/organizations/{customer['id']}/api-keys"))["api_keys"][1] == shown


def test_a_key_is_revoked_only_through_its_own_organization(operator: APIClient) -> None:
    one, other = new_organization(operator, "One"), new_organization(operator, "Other")
    key = new_key(operator, one)

    refusal(operator.delete(f"/v1/organizations/{other['id']}/api-keys/{key['id']}"), 404, "not_found")

    answer(bearer(key["key"]).get("/v1/webhooks"))


def test_a_key_expires(operator: APIClient) -> None:
    with freeze_time("2026-03-01T12:00:00Z") as clock:
        key = new_key(operator, new_organization(operator), expires_at="2026-03-01T13:00:00Z")["key"]
        clock.move_to("2026-03-01T12:59:59Z")
        answer(bearer(key).get("/v1/webhooks"))
        clock.move_to("2026-03-01T13:00:00Z")

        refusal(bearer(key).get("/v1/webhooks"), 401, "bad_api_key")


def test_a_taken_name_is_a_conflict(operator: APIClient) -> None:
    new_organization(operator)
    counts = row_counts()

    refusal(operator.post("/v1/organizations", {"name": "Customer"}), 409, "name_taken", "name")

    assert row_counts() == counts


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": 5}, "name"),
        ({"contact_email": "nonsense"}, "contact_email"),
        ({"contact_email": "x" * 250 + "@example.com"}, "contact_email"),
        ({"public_id": "org_mine"}, "public_id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_organization_is_refused(operator: APIClient, values: Json, field: str) -> None:
    assert answer(operator.post("/v1/organizations", {"name": "New"} | values), 422)["field"] == field


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"scopes": "runs:read"}, "scopes"),
        ({"signs": "yes"}, "signs"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"name": "x" * 256}, "name"),
        ({"key": "rhk_mine"}, "key"),
    ],
    ids=str,
)
def test_a_malformed_key_is_refused(operator: APIClient, values: Json, field: str) -> None:
    path = f"/v1/organizations/{new_organization(operator)['id']}/api-keys"

    assert answer(operator.post(path, values), 422)["field"] == field
    assert answer(operator.get(path))["total"] == 0


def test_a_key_of_the_platform_s_customer_gets_the_customer_s_own_scopes(operator: APIClient) -> None:
    scopes = new_key(operator, new_organization(operator))["scopes"]

    assert set(scopes) == set(DEFAULT_SCOPES)
    assert "organizations:write" not in scopes
    assert "runs:import" not in scopes


def test_nobody_hands_out_a_scope_beyond_the_customers_own_affairs_that_they_lack(
    operator: APIClient,
) -> None:
    path = f"/v1/organizations/{new_organization(operator)['id']}/api-keys"

    refusal(operator.post(path, {"scopes": ["runs:import"]}), 403, "missing_scope")


def test_an_operator_who_may_only_provision_hands_out_all_of_a_customers_own_affairs(
    organization: Organization, operator: APIClient
) -> None:
    customer = new_organization(operator)
    narrow = client_for(organization, [Scope.ORGANIZATIONS_WRITE])

    key = answer(narrow.post(f"/v1/organizations/{customer['id']}/api-keys", {}), 201)

    assert set(key["scopes"]) == set(DEFAULT_SCOPES)


def test_only_keys_that_sign_are_kept_and_those_encrypted(operator: APIClient) -> None:
    customer = new_organization(operator)
    plain, signing = new_key(operator, customer), new_key(operator, customer, signs=True)

    kept = {key.pk: key.encrypted_key for key in ApiKey.objects.filter(pk__in=[plain["id"], signing["id"]])}

    assert kept[plain["id"]] == ""
    assert kept[signing["id"]]
    assert signing["key"] not in kept[signing["id"]]
