"""Links to the portal and the sessions that they open: whose they are, how long, and what ends them."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as live
from django.core import signing
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from freezegun import freeze_time
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from portal import access
from portal.checks import check_lifetimes
from subscriptions import known_keys, services
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import ApiKey, Organization, Scope
from tests.factories import answer, refusal, webhook
from tests.integration.conftest import client_for
from tests.portal_pages import Page, Portal, portal_link, portal_of

ENDED = "Your link has expired, or it was withdrawn."


def is_open(portal: Portal) -> bool:
    page = portal.get()
    assert page.status == 200 or (page.status == 403 and ENDED in page.text)
    return page.status == 200


def test_a_link_leads_to_the_organizations_subscriptions_and_leaves_no_token_behind(api: APIClient) -> None:
    webhook(api, name="Orders")

    portal = portal_of(api)

    assert portal.entered.status_code == 302
    assert "token" not in portal.home
    assert portal.entered["Referrer-Policy"] == "no-referrer"
    assert portal.entered["Cache-Control"] == "no-store"
    page = portal.get()
    assert page.inside("h1") == ["Subscriptions"]
    assert "Orders" in page.links
    assert "Acme" in page.text


def test_the_answer_names_the_address_and_when_it_ends(api: APIClient, settings: Settings) -> None:
    settings.PUBLIC_BASE_URL = "https://hooks.example.com"
    with freeze_time("2026-03-01T12:00:00Z"):
        made = answer(api.post("/v1/portal/links", {"lifetime_seconds": 60}), 201)
        by_default = answer(api.post("/v1/portal/links", {}), 201)

    assert made["url"].startswith("https://hooks.example.com/portal/enter?token=")
    assert made["expires_at"] == "2026-03-01T12:01:00Z"
    assert by_default["expires_at"] == "2026-03-01T12:15:00Z"


def test_the_session_is_out_of_scripts_reach_and_sent_with_these_pages_alone(
    api: APIClient, organization: Organization
) -> None:
    morsel = portal_of(api).client.cookies["runhooks-portal"]

    assert (morsel["httponly"], morsel["samesite"]) == (True, "Lax")
    assert morsel["path"] == f"/portal/{organization.public_id}/"
    assert morsel["max-age"] == live.PORTAL_SESSION_MAX_SECONDS


def test_in_production_the_session_travels_over_https_alone(api: APIClient, settings: Settings) -> None:
    settings.PRODUCTION = True

    assert portal_of(api).client.cookies["runhooks-portal"]["secure"]


def test_a_link_opens_until_it_expires_and_its_session_lasts_on(api: APIClient, settings: Settings) -> None:
    settings.PORTAL_SESSION_MAX_SECONDS = 3600
    now = timezone.now()
    link = portal_link(api, lifetime_seconds=60)

    with freeze_time(now + timedelta(seconds=50)):
        portal = Portal(link)
        assert is_open(portal)
    with freeze_time(now + timedelta(seconds=70)):
        assert Page(Portal(link).entered).status == 403
        assert is_open(portal)
    with freeze_time(now + timedelta(seconds=3700)):
        assert not is_open(portal)


@pytest.mark.parametrize("token", ["", "x", "x:y:z", "eyJ9:1:2", "\x00", "é" * 50])
def test_what_was_not_signed_here_opens_nothing(api: APIClient, token: str) -> None:
    response = Client().get("/portal/enter", {"token": token})

    assert response.status_code == 403
    assert ENDED in Page(response).text
    assert response["Referrer-Policy"] == "no-referrer"
    assert not response.cookies


def test_a_token_that_was_touched_opens_nothing(api: APIClient) -> None:
    link = portal_link(api, read_only=True)

    for place in range(len("http://127.0.0.1:8000/portal/enter?token="), len(link), 7):
        touched = link[:place] + ("A" if link[place] != "A" else "B") + link[place + 1 :]
        assert Portal(touched).entered.status_code == 403


def test_a_link_is_no_session_and_a_session_no_link(api: APIClient) -> None:
    link = portal_link(api)
    portal = Portal(link)
    session = portal.client.cookies["runhooks-portal"].value

    assert Client().get("/portal/enter", {"token": session}).status_code == 403
    portal.client.cookies["runhooks-portal"] = link.partition("token=")[2].replace("%3A", ":")
    assert not is_open(portal)


def test_revoking_ends_all_links_and_sessions_of_the_organization_and_of_no_other(
    api: APIClient, other_api: APIClient, organization: Organization
) -> None:
    link, others = portal_link(api), portal_of(other_api)
    portal = Portal(link)

    assert api.delete("/v1/portal/links").status_code == 204

    assert not is_open(portal)
    assert Portal(link).entered.status_code == 403
    assert is_open(others)
    assert is_open(portal_of(api))
    assert AuditEntry.objects.filter(action="portal.links_revoked", organization=organization).count() == 1


def test_a_link_and_its_session_end_with_the_api_key_that_made_it(api: APIClient) -> None:
    link = portal_link(api)
    portal = Portal(link)
    assert is_open(portal)

    services.api_key_revoke(ApiKey.objects.get())

    assert not is_open(portal)
    assert Portal(link).entered.status_code == 403


def test_a_key_that_loses_a_scope_takes_it_from_the_session(api: APIClient) -> None:
    portal = portal_of(api)
    assert "New subscription" in portal.get().links

    ApiKey.objects.update(scopes=[Scope.WEBHOOKS_READ])
    known_keys.clear()

    assert "New subscription" not in portal.get().links
    assert portal.get("subscriptions/new").status == 403


def test_the_platforms_operator_makes_links_for_each_customer(
    organization: Organization, other_organization: Organization, api: APIClient
) -> None:
    theirs = answer(
        api.post("/v1/portal/links", {}, HTTP_X_ORG_ID=other_organization.public_id),
        201,
    )["url"]

    assert "Other" in Portal(theirs).get().text


def test_who_may_only_read_gets_a_link_that_only_reads(organization: Organization) -> None:
    api = client_for(organization, [Scope.WEBHOOKS_READ])
    portal = portal_of(api)

    assert portal.get().status == 200
    for path in ("subscriptions/new", "log", "replays", "workflows"):
        page = portal.get(path)
        assert (page.status, "Your link does not allow this." in page.text) == (403, True), path


def test_a_link_takes_the_scope_to_read_subscriptions_and_revoking_the_one_to_write(
    organization: Organization,
) -> None:
    reports = client_for(organization, [Scope.RUNS_WRITE])
    reads = client_for(organization, [Scope.WEBHOOKS_READ])

    refusal(reports.post("/v1/portal/links", {}), 403, "missing_scope")
    refusal(reads.delete("/v1/portal/links"), 403, "missing_scope")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"lifetime_seconds": 9}, "min_value"),
        ({"lifetime_seconds": 7 * 24 * 3600 + 1}, "max_value"),
        ({"lifetime_seconds": "60"}, "invalid"),
        ({"read_only": "yes"}, "invalid"),
        ({"name": "x" * 101}, "max_length"),
    ],
)
def test_a_value_out_of_bounds_is_named(api: APIClient, values: dict[str, Any], code: str) -> None:
    (field,) = values

    refusal(api.post("/v1/portal/links", values), 422, code, field)


def test_nobody_but_an_api_key_makes_links(admin_client: Client, organization: Organization) -> None:
    response = admin_client.post("/v1/portal/links", {}, content_type="application/json")

    refusal(response, 403, "needs_api_key")


def test_the_audit_names_link_and_visitor(api: APIClient, organization: Organization) -> None:
    portal = portal_of(api, name="ann@acme.example")
    made = webhook(api)

    portal.post(f"subscriptions/{made['id']}/disable")

    prefix = ApiKey.objects.get().prefix
    created = AuditEntry.objects.get(action="portal.link_created")
    assert (created.actor_kind, created.actor, created.organization) == ("api_key", prefix, organization)
    assert created.after["name"] == "ann@acme.example"
    assert "token" not in str(created.after)
    changed = AuditEntry.objects.get(action="subscription.updated")
    assert (changed.actor_kind, changed.actor) == ("portal", f"ann@acme.example ({prefix})")
    assert changed.after == {"is_active": False}


def test_leaving_ends_the_session_in_this_browser(api: APIClient) -> None:
    portal = portal_of(api)

    left = portal.send(portal.get(), "Leave these pages")

    assert left.inside("h1") == ["You have left"]
    assert not is_open(portal)


def test_the_pages_are_counted_in_the_organizations_rate(
    api: APIClient, settings: Settings, kept_and_counted: None
) -> None:
    settings.API_ORGANIZATION_RATE_PER_SECOND, settings.API_ORGANIZATION_BURST_REQUESTS = 0.01, 3
    portal = portal_of(api)

    found = [portal.client.get(portal.home) for _ in range(3)]

    assert [response.status_code for response in found] == [200, 200, 429]
    assert int(found[-1]["Retry-After"]) > 0
    assert "Too many requests" in Page(found[-1]).text


def test_an_admins_session_opens_no_portal_and_a_portals_no_admin(
    admin_client: Client, api: APIClient, organization: Organization
) -> None:
    assert admin_client.get(f"/portal/{organization.public_id}/").status_code == 403

    portal = portal_of(api)
    assert portal.client.get("/admin/").status_code == 302
    assert portal.client.get("/v1/webhooks").status_code == 401


def test_a_form_needs_its_token(api: APIClient) -> None:
    made = webhook(api)
    portal = Portal(portal_link(api), enforce_csrf_checks=True)

    response = portal.client.post(f"{portal.home}subscriptions/{made['id']}/disable")

    assert response.status_code == 403
    assert b"token is missing or too old" in response.content
    assert answer(api.get(f"/v1/webhooks/{made['id']}"))["is_active"]
    page = portal.get(f"subscriptions/{made['id']}/")
    assert portal.send(page, "Turn off").status == 200
    assert not answer(api.get(f"/v1/webhooks/{made['id']}"))["is_active"]


def test_a_ticket_of_an_older_form_is_no_ticket(api: APIClient) -> None:
    token = signing.dumps({"organization": "org_x"}, salt="portal.link.0")

    assert Client().get("/portal/enter", {"token": token}).status_code == 403


def test_while_the_database_is_away_a_page_says_so(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    portal = portal_of(api)

    def away(*_: Any) -> None:
        raise OperationalError("the database system is shutting down")

    monkeypatch.setattr(access, "of_request", away)
    response = portal.client.get(portal.home)

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "try again in a moment" in Page(response).text
    assert "shutting down" not in Page(response).text


def test_a_default_lifetime_beyond_the_most_stops_the_start(settings: Settings) -> None:
    settings.PORTAL_LINK_LIFETIME_SECONDS = settings.PORTAL_LINK_LIFETIME_MAX_SECONDS + 1

    assert [message.id for message in check_lifetimes(None)] == ["runhooks.E030"]


def test_the_pages_take_nothing_of_the_keys_rate(
    api: APIClient, settings: Settings, kept_and_counted: None
) -> None:
    settings.API_KEY_RATE_PER_SECOND, settings.API_KEY_BURST_REQUESTS = 0.01, 2
    portal = portal_of(api)

    assert [portal.get().status for _ in range(5)] == [200] * 5
    assert [api.get("/v1/webhooks").status_code for _ in range(2)] == [200, 429]
