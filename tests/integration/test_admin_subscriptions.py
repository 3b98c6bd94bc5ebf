"""Organizations, keys, subscriptions and workflows in the admin: written by the services only."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from delivery import slow_rows
from delivery.custom_events import custom_event
from delivery.models import Delivery
from delivery.states import State
from subscriptions import services
from subscriptions.models import ApiKey, Organization, SigningSecret, Subscription
from subscriptions.selectors import has_secret
from subscriptions.snapshots import of_subscription
from tests import admin_pages
from tests.integration.conftest import CollectedWakeUps
from tests.integration.test_admin import staff
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
SUBSCRIPTIONS = "/admin/subscriptions/subscription/"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")


def fields(**changes: Any) -> dict[str, Any]:
    """What a browser sends of the form of a subscription."""
    return {
        "name": "Hook",
        "is_active": "on",
        "events": ["workflow.completed"],
        "custom_events": "order.paid\r\n\r\norder.sent\r\n",
        "workflow_ids": "",
        "payload_format": "elan_event",
        "signature_schemes": ["standard_webhooks"],
        "retry_policy": "standard",
        "retry_schedule": "",
        "timeout_seconds": "",
        "rate_limit_per_second": "",
        "secret": "",
        "headers": "",
    } | changes


def add(client: Client, organization: Organization, **changes: Any) -> str:
    data = fields(organization=organization.pk, **changes)
    return client.post(f"{SUBSCRIPTIONS}add/", data, follow=True).content.decode()


def change(client: Client, subscription: Subscription, **changes: Any) -> str:
    data = fields(url=subscription.url, **changes)
    return client.post(f"{SUBSCRIPTIONS}{subscription.pk}/change/", data, follow=True).content.decode()


def act(client: Client, action: str, *subscriptions: Subscription, **more: str) -> str:
    return admin_pages.act(client, SUBSCRIPTIONS, action, *(row.pk for row in subscriptions), **more)


def keys_of(subscription: Subscription, kind: str = "standard") -> list[str]:
    receiver = of_subscription(subscription.pk)
    assert receiver is not None
    return [key.text for key in receiver.keys if key.kind == kind]


def test_a_subscription_is_added_and_its_secret_shown_once(
    admin_client: Client, organization: Organization, receiver: Receiver
) -> None:
    text = add(
        admin_client, organization, url=receiver.url(), headers='{"X-Team": "a"}', retry_schedule="1,2.5"
    )
    subscription = Subscription.objects.get()
    assert SECRET.findall(text) == keys_of(subscription)
    assert subscription.events == ["workflow.completed", "order.paid", "order.sent"]
    assert subscription.retry_schedule == [1.0, 2.5]
    assert subscription.header_names == ["X-Team"]
    for url in ("", f"{subscription.pk}/change/"):
        assert not SECRET.search(admin_client.get(SUBSCRIPTIONS + url).content.decode())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("url", "http://10.0.0.1/", "url "),
        ("custom_events", "workflow.nonsense", "is not an event type"),
        ("headers", '{"Host": "x"}', "is not for customers to set"),
        ("headers", '{"X-Team": 1}', "whose values are texts"),
        ("headers", "[", "valid JSON"),
        ("signature_schemes", ["none", "standard_webhooks"], "cannot be combined"),
        ("retry_schedule", "-1", "between 0 and"),
        ("timeout_seconds", "1000", "between 0.1 and"),
        ("rate_limit_per_second", "0", "greater than or equal to 0.01"),
        ("rate_limit_per_second", "1e6", "between 0.01 and"),
        ("secret", "x" * 300, "1 to 255 characters"),
    ],
)
def test_a_refused_value_is_an_error_at_its_field(
    admin_client: Client, organization: Organization, receiver: Receiver, field: str, value: Any, message: str
) -> None:
    data = fields(organization=organization.pk) | {"url": receiver.url(), field: value}
    response = admin_client.post(f"{SUBSCRIPTIONS}add/", data)
    # The service knows one list of event types.
    errors = response.context["adminform"].form.errors["events" if field == "custom_events" else field]
    assert message in errors[0]
    assert not Subscription.objects.exists()


def test_a_subscription_needs_an_event(
    admin_client: Client, organization: Organization, receiver: Receiver
) -> None:
    text = add(admin_client, organization, url=receiver.url(), events=[], custom_events="")
    assert "must name at least one event type" in text
    assert not Subscription.objects.exists()


def test_a_change_leaves_what_was_not_edited(
    admin_client: Client, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscription = subscribe(secret="mine", headers={"X-Team": "a"}, retry_schedule=[])
    keys = keys_of(subscription)
    change(admin_client, subscription, name="Renamed", events=["*"], custom_events="")
    subscription.refresh_from_db()
    assert (subscription.name, subscription.events) == ("Renamed", ["*"])
    assert (subscription.retry_schedule, subscription.header_names) == ([], ["X-Team"])
    assert (keys_of(subscription), keys_of(subscription, "text")) == (keys, ["mine"])


def test_secret_and_headers_are_replaced_and_removed_but_never_shown(
    admin_client: Client, subscribe: Subscribe
) -> None:
    subscription = subscribe(secret="first-secret", headers={"X-Team": "first-value"}, retry_schedule=[1])
    url = f"{SUBSCRIPTIONS}{subscription.pk}/change/"
    change(admin_client, subscription, secret="second-secret", headers='{"X-Team": "second-value"}')
    text = admin_client.get(url).content.decode()
    assert keys_of(subscription, "text") == ["second-secret"]
    assert "X-Team" in text
    assert not re.search("(first|second)-(secret|value)", text)
    change(admin_client, subscription, remove_secret="on", headers="{}")
    subscription = Subscription.objects.get()
    assert not has_secret(subscription)
    assert (subscription.header_names, subscription.retry_schedule) == ([], None)


def test_disabling_cancels_what_waits_and_enabling_resumes(
    admin_client: Client, organization: Organization, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    custom_event(organization=organization, event_type="order.paid", data={}, event_id=None)
    assert "Disabled: 1 subscription." in act(admin_client, "disable", subscription)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason) == (State.CANCELLED, "subscription_deactivated")
    act(admin_client, "enable", subscription)
    assert Subscription.objects.get().is_active


def test_rotation_shows_the_new_secret_and_keeps_the_old_for_a_while(
    admin_client: Client, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    old = keys_of(subscription)
    new = SECRET.findall(act(admin_client, "rotate_secret", subscription))
    assert keys_of(subscription) == new + old
    assert not SECRET.search(admin_client.get(SUBSCRIPTIONS).content.decode())


def test_secrets_are_rotated_for_a_few_at_once_only(admin_client: Client, subscribe: Subscribe) -> None:
    subscriptions = [subscribe() for _ in range(6)]
    assert "select at most 5 at once" in act(admin_client, "rotate_secret", *subscriptions)
    assert SigningSecret.objects.exclude(subscription=None).count() == 6


def test_a_test_event_is_queued_for_a_worker_and_linked(
    admin_client: Client, subscribe: Subscribe, receiver: Receiver, wake_ups: CollectedWakeUps
) -> None:
    text = act(admin_client, "send_test", subscribe())
    delivery = Delivery.objects.get()
    assert delivery.is_test
    assert delivery.state == State.PENDING
    assert f'href="/admin/delivery/delivery/{delivery.pk}/change/"' in text
    assert [wake_up.delivery_id for wake_up in wake_ups] == [delivery.pk]
    assert receiver.requests == []


def test_deletion_asks_first_and_keeps_the_row_readable(admin_client: Client, subscribe: Subscribe) -> None:
    first, second = subscribe(name="First"), subscribe(name="Second")
    assert "Are you sure" in act(admin_client, "delete_selected", first)
    assert Subscription.objects.filter(deleted_at=None).count() == 2
    act(admin_client, "delete_selected", first, post="yes")
    admin_client.post(f"{SUBSCRIPTIONS}{second.pk}/delete/", {"post": "yes"})
    assert Subscription.objects.exclude(deleted_at=None).count() == 2
    assert not SigningSecret.objects.exclude(subscription=None).exists()
    page = admin_client.get(f"{SUBSCRIPTIONS}{first.pk}/change/").content.decode()
    assert first.url in page
    assert 'name="url"' not in page
    assert not SECRET.search(act(admin_client, "rotate_secret", first))


@pytest.mark.parametrize("action", ["enable", "disable", "rotate_secret", "send_test", "delete_selected"])
def test_who_may_only_view_cannot_act(subscribe: Subscribe, action: str) -> None:
    subscription = subscribe(is_active=action != "enable")
    act(staff(), action, subscription, post="yes")
    assert Subscription.objects.get().version == subscription.version
    assert not Delivery.objects.exists()


def test_an_organization_is_added_with_a_secret_shown_once(admin_client: Client) -> None:
    add_page = "/admin/subscriptions/organization/add/"
    text = admin_client.post(add_page, {"name": "New"}, follow=True).content.decode()
    assert len(SECRET.findall(text)) == 1
    assert SigningSecret.objects.get().organization == Organization.objects.get(name="New")
    again = admin_client.post(add_page, {"name": "New"})
    assert "already exists" in again.content.decode()


def test_an_organization_is_found_by_id_and_by_a_name_of_several_words(admin_client: Client) -> None:
    wanted, _ = services.organization_create(name="Acme Two")
    services.organization_create(name="Acme One")
    query = {"app_label": "subscriptions", "model_name": "subscription", "field_name": "organization"}
    for term in ("acme t", wanted.public_id):
        found = admin_client.get("/admin/autocomplete/", query | {"term": term}).json()["results"]
        assert [choice["text"] for choice in found] == ["Acme Two"]


def test_an_api_key_works_until_it_is_revoked(admin_client: Client, organization: Organization) -> None:
    keys = "/admin/subscriptions/apikey/"
    data = {"organization": organization.pk, "name": "ci", "scopes": ["webhooks:read"]}
    text = admin_client.post(f"{keys}add/", data, follow=True).content.decode()
    (plain,) = re.findall(r"rhk_[0-9a-f]{64}", text)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {plain}")
    assert api.get("/v1/webhooks").status_code == 200
    assert api.post("/v1/webhooks", {}).status_code == 403
    key = ApiKey.objects.get()
    admin_client.post(f"{keys}{key.pk}/change/", {"name": "renamed", "scopes": ["webhooks:write"]})
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("renamed", ["webhooks:read"])
    admin_pages.act(admin_client, keys, "revoke", key.pk)
    assert api.get("/v1/webhooks").status_code == 401
    assert admin_client.post(f"{keys}{key.pk}/delete/", {"post": "yes"}).status_code == 403


def test_signing_secrets_are_listed_without_the_secret(admin_client: Client, subscribe: Subscribe) -> None:
    subscribe(secret="caller-text")
    for secret in SigningSecret.objects.all():
        for url in ("", f"{secret.pk}/change/"):
            text = admin_client.get(f"/admin/subscriptions/signingsecret/{url}").content.decode()
            assert not SECRET.search(text)
            assert "caller-text" not in text
            assert secret.encrypted_secret not in text


def test_the_page_says_whether_its_receiver_is_slow_and_which_limits_count(
    admin_client: Client, subscribe: Subscribe
) -> None:
    subscription = subscribe(url="http://127.0.0.1:9000/hook")
    page = f"{SUBSCRIPTIONS}{subscription.pk}/change/"
    receiver = "http://127.0.0.1:9000"
    before = admin_client.get(page).content.decode()

    slow_rows.exchange({(subscription.organization_id, receiver): 7}, set())
    after = admin_client.get(page).content.decode()

    assert f"{receiver}: not in the slow lane" in before
    assert f"{receiver}: in the slow lane since" in after
    assert "after 7 time-outs in a row" in after
    assert "128 to its receiver (2 while that is in the slow lane), 512 of its organization" in after
