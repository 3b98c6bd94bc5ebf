"""All pages of the portal with a session of another organization, and none (promise 8)."""

import re
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from delivery.models import Delivery, Replay
from subscriptions.models import Organization
from tests.factories import answer, webhook
from tests.integration import tenancy
from tests.integration.dialects.test_leap import make_workflow
from tests.integration.tenancy import everything_of
from tests.portal_pages import Portal, portal_of

BASE = "portal/<str:organization_id>/"
NEVER = {
    "<int:subscription_id>": "123456789",
    "<uuid:delivery_id>": "01a1fde8-4082-7f19-a5b7-799191092320",
    "<uuid:replay_id>": "01a1fde8-4082-7f19-a5b7-799191092321",
    "<str:workflow_id>": "wkf_never",
}


def pages() -> list[str]:
    """Below an organization's, as Django knows them."""
    found = [route.removeprefix(BASE) for route in tenancy.routes() if route.startswith(BASE)]
    assert len(found) >= 18
    return found


def named() -> list[str]:
    return [page for page in pages() if "<" in page]


def filled(page: str, ids: dict[str, str]) -> str:
    return re.sub(r"<\w+:\w+>", lambda found: ids[found[0]], page)


@pytest.fixture
def theirs(api: APIClient) -> dict[str, str]:
    """What an organization has, by what stands for it in addresses."""
    subscription = webhook(api)["id"]
    answer(api.post("/v1/events", {"event_type": "a.b", "data": {}}), 202)
    answer(api.post("/v1/replays", {"states": ["exhausted"]}), 202)
    return {
        "<int:subscription_id>": str(subscription),
        "<uuid:delivery_id>": str(Delivery.objects.get().pk),
        "<uuid:replay_id>": str(Replay.objects.get().pk),
        "<str:workflow_id>": make_workflow(api, payload_format="leap_v1")["id"],
    }


@pytest.fixture
def outsider(other_api: APIClient) -> Portal:
    return portal_of(other_api)


def answered(portal: Portal, method: str, page: str) -> tuple[int, str]:
    response = getattr(portal.client, method)(portal.home + page)
    text = response.content.decode()
    return response.status_code, re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


def test_what_belongs_to_someone_else_is_answered_like_what_never_was(
    outsider: Portal, theirs: dict[str, str], organization: Organization
) -> None:
    before = everything_of(organization)

    for page in named():
        for method in ("get", "post"):
            found = answered(outsider, method, filled(page, theirs))
            assert found == answered(outsider, method, filled(page, NEVER)), page
            assert found[0] in (404, 405), page

    assert everything_of(organization) == before


def test_its_owner_finds_all_of_it(api: APIClient, theirs: dict[str, str]) -> None:
    """Else the walk would prove nothing."""
    portal = portal_of(api)

    for page in named():
        assert answered(portal, "get", filled(page, theirs))[0] in (200, 405), page


def test_a_session_is_for_no_other_organizations_pages(
    outsider: Portal, theirs: dict[str, str], organization: Organization
) -> None:
    before = everything_of(organization)
    outsider.home = f"/portal/{organization.public_id}/"

    for page in pages():
        if page != "leave":
            for method in ("get", "post"):
                status, text = answered(outsider, method, filled(page, theirs))
                assert status in (403, 405), page
                assert "Acme" not in text, page

    assert everything_of(organization) == before


def test_no_page_opens_without_a_session(theirs: dict[str, str], organization: Organization) -> None:
    for page in pages():
        if page != "leave":
            path = f"/portal/{organization.public_id}/{filled(page, theirs)}"
            assert Client().get(path).status_code in (403, 405), page


@pytest.mark.parametrize("page", ["", "log", "replays", "workflows"])
def test_no_list_tells_of_what_is_somebody_elses(outsider: Portal, theirs: dict[str, str], page: str) -> None:
    _, text = answered(outsider, "get", page)

    assert [id_ for id_ in theirs.values() if id_ in text] == []


def test_a_filter_by_somebody_elses_subscription_finds_nothing(
    outsider: Portal, theirs: dict[str, str]
) -> None:
    query: Any = {"subscription": theirs["<int:subscription_id>"]}

    assert outsider.get("log", query).status == 404
    assert outsider.get("replays", query).status == 404
    form = outsider.get("replays").form("Replay").fields
    assert outsider.post("replays", form | {"subscription_id": query["subscription"]}).status == 404
