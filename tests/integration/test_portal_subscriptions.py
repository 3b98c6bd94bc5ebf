"""What customers do with their subscriptions on the portal: see, make, change, rotate, test, delete."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient
from standardwebhooks import Webhook

from delivery.models import Delivery
from subscriptions import services
from subscriptions.event_types import DisabledReason
from subscriptions.models import Organization, Subscription
from tests.counted import FAILED, attempted, count
from tests.factories import answer, deliveries, webhook
from tests.integration.conftest import client_for
from tests.portal_pages import Page, Portal, portal_of
from tests.receiver import Receiver, Reply

NEW = {"name": "Orders", "url": "https://hooks.example.com/orders", "payload_format": "standard"}


@pytest.fixture
def portal(api: APIClient) -> Portal:
    return portal_of(api)


def read(api: APIClient, subscription_id: int) -> dict[str, Any]:
    found: dict[str, Any] = answer(api.get(f"/v1/webhooks/{subscription_id}"))
    return found


def disabled(subscription_id: int, reason: DisabledReason) -> None:
    """As a worker does it."""
    with transaction.atomic():
        services.subscription_disable(subscription_id, reason)


def secret_on(page: Page) -> str:
    (secret,) = [text for text in page.inside("code") if text.startswith("whsec_")]
    return secret


def test_each_is_listed_with_how_it_stands(api: APIClient, portal: Portal) -> None:
    on, off, gone, failing = (webhook(api, name=name)["id"] for name in ("On", "Off", "Gone", "Failing"))
    answer(api.patch(f"/v1/webhooks/{off}", {"is_active": False}))
    disabled(gone, DisabledReason.GONE)
    Subscription.objects.filter(pk=failing).update(failing_since="2026-01-01T00:00:00Z")

    page = portal.get()

    assert [text for text in page.inside("li") if text in {"On", "Off", "Disabled", "Failing"}] == [
        *("On", "On", "Off", "Off", "Disabled", "Failing", "Failing"),
    ]
    assert "answered 410 (Gone)" in portal.get(f"subscriptions/{gone}/").text
    assert portal.get(f"subscriptions/{on}/").status == 200


def test_many_are_on_several_pages(api: APIClient, portal: Portal, organization: Organization) -> None:
    for number in range(51):
        services.subscription_create(
            organization=organization,
            values={"name": f"Hook {number}", "url": "https://hooks.example.com/", "events": ["*"]},
        )

    first, second = portal.get(), portal.get("?page=2")

    assert first.links["Next"] == "?page=2"
    assert "Hook 50" not in first.links
    assert "Hook 50" in second.links
    assert portal.get("?page=nonsense").status == 200


def test_one_is_made_and_its_secret_shown_this_once(api: APIClient, portal: Portal) -> None:
    fields = portal.get("subscriptions/new").form("Save").fields

    page = portal.post(
        "subscriptions/new",
        fields | NEW | {"events": ["workflow.failed"], "custom_events": "order.paid\n\norder.sent"},
    )

    (made,) = answer(api.get("/v1/webhooks"))["webhooks"]
    assert (made["name"], made["url"], made["payload_format"]) == tuple(NEW.values())
    assert made["events"] == ["workflow.failed", "order.paid", "order.sent"]
    secret = secret_on(page)
    assert "nobody, not even the service, shows it again" in page.text
    assert secret not in portal.get(f"subscriptions/{made['id']}/").text
    assert secret not in portal.get(f"subscriptions/{made['id']}/edit").text


def test_a_given_secret_is_kept_and_never_shown_again(api: APIClient, portal: Portal) -> None:
    given = "a-text-of-their-own"
    fields = portal.get("subscriptions/new").form("Save").fields

    page = portal.post("subscriptions/new", fields | NEW | {"events": ["*"], "secret": given})

    (made,) = answer(api.get("/v1/webhooks"))["webhooks"]
    assert made["has_secret"]
    assert given not in page.text
    assert secret_on(page) != given


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"url": "http://hooks.example.com/"}, "url", "https"),
        ({"url": "https://127.0.0.1/"}, "url", "address"),
        ({"name": ""}, "name", "required"),
        ({"events": [], "custom_events": ""}, "events", ""),
        ({"custom_events": "workflow.nonsense"}, "events", "not an event type"),
        ({"payload_format": "leap_v2"}, "payload_format", "no shape"),
        ({"rate_limit_per_second": "100000"}, "rate_limit_per_second", "between"),
        ({"secret": "   "}, "secret", ""),
        ({"url": "https://hooks.example.com/?token=***"}, "url", "masked"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    api: APIClient, portal: Portal, settings: Settings, values: dict[str, Any], field: str, said: str
) -> None:
    settings.WEBHOOK_ALLOW_HTTP, settings.WEBHOOK_ALLOWED_NETWORKS = False, []
    fields = portal.get("subscriptions/new").form("Save").fields

    page = portal.post("subscriptions/new", fields | NEW | {"events": ["*"]} | values)

    (told,) = [a for a in page.attributes("ul") if a.get("class", "").startswith("errorlist")]
    assert told["id"] == f"id_{field}_error"
    described = [a.get("aria-describedby", "") for _, a in page.tags]
    assert any(told["id"] in each for each in described)
    assert said in page.text
    assert answer(api.get("/v1/webhooks"))["total"] == 0


def test_only_what_was_edited_changes(api: APIClient, portal: Portal) -> None:
    url = "https://hooks.example.com/in?token=canary-of-a-query"
    made = webhook(api, url=url, events=["workflow.failed", "order.paid"], timeout_seconds=7, secret="s3cret")
    page = portal.get(f"subscriptions/{made['id']}/edit")
    assert "canary-of-a-query" not in page.text + str(page.tags)

    saved = portal.post(f"subscriptions/{made['id']}/edit", page.form("Save").fields | {"name": "Renamed"})

    assert "Your changes were saved." in saved.inside("p")
    changed = read(api, made["id"])
    assert {name for name in changed if changed[name] != made[name]} == {"name", "updated_at"}
    assert changed["url"] == url


def test_a_subscription_is_turned_off_and_on_again(api: APIClient, portal: Portal) -> None:
    made = webhook(api)["id"]

    off = portal.send(portal.get(f"subscriptions/{made}/"), "Turn off")
    assert ("Off" in off.text, read(api, made)["is_active"]) == (True, False)
    on = portal.send(off, "Turn on")

    assert read(api, made)["is_active"]
    assert on.has("Turn off")


def test_one_that_the_service_disabled_is_turned_on_and_what_was_held_is_sent(
    api: APIClient, portal: Portal, organization: Organization
) -> None:
    made = webhook(api)["id"]
    disabled(made, DisabledReason.FAILING)
    answer(api.post("/v1/events", {"event_type": "a.b", "data": {}}), 202)
    page = portal.get(f"subscriptions/{made}/")

    refused = portal.send(page, "Send what was held")
    assert (refused.status, deliveries(api)[0]["state"]) == (409, "held")
    sent = portal.send(portal.send(page, "Turn on"), "Send what was held")

    assert "What was held is being sent now." in sent.inside("p")
    assert deliveries(api)[0]["state"] == "pending"


def test_it_is_deleted_after_a_question(api: APIClient, portal: Portal) -> None:
    made = webhook(api, name="Old")["id"]
    path = f"subscriptions/{made}/delete"

    asked = portal.get(path)
    assert asked.inside("h1") == ["Delete Old?"]
    assert read(api, made)
    after = portal.post(path)

    assert "The subscription was deleted." in after.inside("p")
    assert api.get(f"/v1/webhooks/{made}").status_code == 404


def test_a_rotated_secret_is_shown_once_and_both_sign_for_the_overlap(
    api: APIClient, portal: Portal, receiver: Receiver, worker: None
) -> None:
    made = webhook(api, url=receiver.url())
    page = portal.get(f"subscriptions/{made['id']}/")

    shown = portal.send(page, "Make a new secret", overlap_seconds="3600")
    portal.send(page, "Send a test event")

    new = secret_on(shown)
    (request,) = receiver.wait_for(1)
    for secret in (made["signing_secret"], new):
        Webhook(secret).verify(request.body, dict(request.headers))
    again = portal.get(f"subscriptions/{made['id']}/")
    assert new not in again.text
    assert "The one before it goes on signing until" in again.text


def test_an_overlap_that_is_not_offered_is_refused(api: APIClient, portal: Portal) -> None:
    made = webhook(api)["id"]

    page = portal.post(f"subscriptions/{made}/rotate-secret", {"overlap_seconds": "5"})

    assert page.status == 422
    assert read(api, made)["previous_secret_expires_at"] is None


def test_too_many_secrets_at_once_are_refused_in_words(api: APIClient, portal: Portal) -> None:
    made = webhook(api)["id"]
    page = portal.get(f"subscriptions/{made}/")
    for _ in range(3):
        assert portal.send(page, "Make a new secret").status == 200

    refused = portal.send(page, "Make a new secret")

    assert refused.status == 409
    assert "rotate again when one of them has ended" in refused.text


def test_a_test_event_is_sent_and_its_answer_shown(
    api: APIClient, portal: Portal, receiver: Receiver, worker: None
) -> None:
    receiver.reply(Reply(500, body=b"<b>no such order</b>"))
    made = webhook(api, url=receiver.url())["id"]

    page = portal.send(portal.get(f"subscriptions/{made}/"), "Send a test event")

    assert page.inside("h1") == ["workflow.completed"]
    assert "Failed, 500" in page.text
    assert "<b>no such order</b>" in page.inside("pre")
    assert Delivery.objects.get().is_test


def test_a_test_event_without_an_answer_yet_is_still_to_be_seen(
    api: APIClient, portal: Portal, settings: Settings
) -> None:
    settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS = settings.DELIVERY_WAIT_MARGIN_SECONDS = 0
    made = webhook(api)["id"]

    page = portal.send(portal.get(f"subscriptions/{made}/"), "Send a test event")

    assert "The test event was sent." in page.text
    assert "None yet." in page.text


def test_a_read_only_link_shows_everything_and_changes_nothing(api: APIClient) -> None:
    made = webhook(api)["id"]
    portal = portal_of(api, read_only=True)

    page = portal.get(f"subscriptions/{made}/")

    assert "read only" in page.text
    assert [form.buttons for form in page.forms] == [["Leave these pages"]]
    for path in ("disable", "rotate-secret", "test", "delete", "edit", "recover"):
        assert portal.post(f"subscriptions/{made}/{path}").status == 403, path
    assert read(api, made)["is_active"]
    assert not Delivery.objects.exists()


def test_without_the_scope_for_logs_a_test_event_still_is_sent(
    organization: Organization, receiver: Receiver, worker: None
) -> None:
    api = client_for(organization, ["webhooks:read", "webhooks:write"])
    made = webhook(api, url=receiver.url())["id"]
    portal = portal_of(api)

    page = portal.send(portal.get(f"subscriptions/{made}/"), "Send a test event")

    assert page.inside("h1") == ["Hook"]
    assert receiver.wait_for(1)


def test_its_page_says_how_it_fared_lately(
    api: APIClient, portal: Portal, organization: Organization
) -> None:
    made, other = webhook(api)["id"], webhook(api)["id"]
    now = timezone.now()
    whose = {"organization_id": organization.pk, "subscription_id": made}
    attempted(9, at=now - timedelta(hours=2), **whose)
    attempted(1, at=now - timedelta(hours=1), **whose, **FAILED)
    attempted(10, at=now - timedelta(days=3), **whose, **FAILED)
    count()

    text = portal.get(f"subscriptions/{made}/").text

    assert "Last 24 hours 10 attempts, of which 95 % took at most" in text
    assert re.findall(r"(\d+) % of deliveries arrived", text) == ["90", "45"]
    assert "Last 7 days 20 attempts" in text
    assert "Last 7 days nothing was sent" in portal.get(f"subscriptions/{other}/").text
