"""All URLs with another organization's key and every id that it can see (promise 8)."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from subscriptions import services
from subscriptions.models import DEFAULT_SCOPES, Organization, Scope
from tests.integration import tenancy
from tests.integration.conftest import client_for
from tests.integration.tenancy import DIALECTS, NATIVE, PUBLIC, addressed, belongings, body_for, everything_of

METHODS = ("get", "post", "patch", "put", "delete")
BASES = [NATIVE, *DIALECTS]
# To log in and out, and the words of its scripts.
OPEN_IN_THE_ADMIN = ("admin/login/", "admin/logout/", "admin/jsi18n/")


@pytest.fixture
def outsider(other_organization: Organization) -> APIClient:
    """A client of another customer, with everything that a customer's key may do."""
    return client_for(other_organization, [*DEFAULT_SCOPES, "runs:import"])


@pytest.fixture
def owner(organization: Organization) -> APIClient:
    _, key = services.api_key_create(organization=organization, signs=True)
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {key}")


def told(response: Any, ids: dict[str, str]) -> tuple[int, str]:
    """The answer, with the id that was asked for made alike."""
    text = response.content.decode()
    for part, id_ in ids.items():
        text = text.replace(id_.removesuffix("/retry_webhook"), part.removesuffix("/retry_webhook"))
    return response.status_code, text


def is_not_found(base: str, response: Any) -> bool:
    """Each system has its own form of saying so."""
    body = json.loads(response.content)
    if base == "eachlabs":
        said = body["error"].endswith("not found")
    elif base == "leaperone":
        said = body["error"]["code"] == "not_found"
    else:
        said = body["code"] == "not_found"
    return bool(response.status_code == 404 and said)


def test_the_walk_knows_every_address() -> None:
    unknown = [
        route
        for route in tenancy.routes()
        if route not in PUBLIC and route.split("/")[0] not in {*BASES, "admin", "portal"}
    ]

    assert unknown == []
    assert sum(len(tenancy.named(base)) for base in BASES) >= 40
    assert all(tenancy.named(base) for base in BASES)


@pytest.mark.parametrize("base", BASES)
def test_what_belongs_to_someone_else_is_answered_like_what_never_was(
    owner: APIClient, outsider: APIClient, organization: Organization, base: str
) -> None:
    theirs, nobodys = belongings(owner, base), tenancy.never(base)
    before, faults = everything_of(organization), []

    for route in tenancy.named(base):
        body, offered = body_for(route), 0
        for method in METHODS:
            found = getattr(outsider, method)(addressed(route, theirs), body)
            missing = getattr(outsider, method)(addressed(route, nobodys), body)
            if found.status_code == 405:
                continue
            offered += 1
            if not is_not_found(base, found) or told(found, theirs) != told(missing, nobodys):
                faults.append(f"{method} {route}: {told(found, theirs)} and {told(missing, nobodys)}")
        assert offered, f"{route} offers no method that is walked"

    assert faults == []
    assert everything_of(organization) == before


@pytest.mark.parametrize("base", BASES)
def test_its_owner_finds_all_of_it(owner: APIClient, settings: Settings, base: str) -> None:
    """Else the walk would prove nothing."""
    theirs, faults = belongings(owner, base), []
    # No worker is there, and nobody is to wait for one.
    settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS = settings.DELIVERY_TIMEOUT_MAX_SECONDS = 0.1
    settings.DELIVERY_WAIT_MARGIN_SECONDS = 0

    for route in tenancy.named(base):
        for method in METHODS[:-1]:
            response = getattr(owner, method)(addressed(route, theirs), body_for(route))
            if response.status_code == 404:
                faults.append(f"{method} {route}: {response.content!r}")

    assert faults == []


@pytest.mark.parametrize("base", BASES)
def test_no_list_tells_of_what_is_somebody_else_s(owner: APIClient, outsider: APIClient, base: str) -> None:
    theirs = {
        id_
        for id_ in belongings(owner, base).values()
        if len(id_) > len("draw") and not id_.endswith("/retry_webhook")
    }

    for route in set(tenancy.routes_of(base)) - set(tenancy.named(base)):
        response = outsider.get(f"/{route}")
        if response.status_code not in (404, 405):
            assert response.status_code == 200, f"{route}: {response.content!r}"
            assert [id_ for id_ in theirs if id_ in response.content.decode()] == [], route


@pytest.mark.parametrize("base", BASES)
def test_x_org_id_opens_nobody_else_s_organization_at_any_address(
    owner: APIClient, outsider: APIClient, organization: Organization, base: str
) -> None:
    theirs, faults = belongings(owner, base), []
    before = everything_of(organization)

    for route in tenancy.routes_of(base):
        if route == f"{base}/":
            continue  # where no view is, nobody is asked who he is
        for method in METHODS:
            call, path = getattr(outsider, method), addressed(route, theirs)
            found = call(path, body_for(route), HTTP_X_ORG_ID=organization.public_id)
            missing = call(path, body_for(route), HTTP_X_ORG_ID="org_never")
            ids = ({"": organization.public_id}, {"": "org_never"})
            same = told(found, ids[0]) == told(missing, ids[1])
            if found.status_code not in (404, 405) or not same:
                faults.append(f"{method} {route}: {found.content!r} and {missing.content!r}")

    assert faults == []
    assert everything_of(organization) == before


def admin_addresses() -> list[str]:
    """Every page of the admin, with 1 for whatever a page is about."""
    found = {re.sub(r"<\w+:\w+>", "1", route) for route in tenancy.routes() if route.startswith("admin/")}
    return sorted(re.sub(r"\(\?P<\w+>[^)]*\)|[\^$]", "x", route) for route in found)


def test_no_page_of_the_admin_opens_to_an_api_key(organization: Organization, client: Client) -> None:
    _, key = services.api_key_create(organization=organization, scopes=Scope.values)
    pages = admin_addresses()
    assert len(pages) > 40

    for page in pages:
        response = client.get(f"/{page}", HTTP_AUTHORIZATION=f"Bearer {key}")

        if page not in OPEN_IN_THE_ADMIN:
            assert response.status_code in (302, 404), page
            assert response.status_code == 404 or response["Location"].startswith("/admin/login/"), page
