"""Each change that somebody makes leaves one entry: who, what, before and after; never a secret."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from delivery.models import Delivery
from delivery.replays import services as replays
from delivery.states import State
from subscriptions import audit, audit_notes, services
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import ApiKey, Organization, Subscription
from tests.factories import answer, completed_run, webhook, workflow
from tests.integration.test_admin import end, happen

Subscribe = Callable[..., Subscription]


def latest(action: str) -> AuditEntry:
    return AuditEntry.objects.filter(action=action).order_by("-id")[0]


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_a_change_by_the_api_names_key_object_and_what_changed(
    api: APIClient, organization: Organization
) -> None:
    made = webhook(api, name="Before")

    answer(api.patch(f"/v1/webhooks/{made['id']}", {"name": "After"}))

    entry = latest("subscription.updated")
    assert (entry.actor_kind, entry.actor) == ("api_key", ApiKey.objects.get().prefix)
    assert (entry.object_id, entry.organization) == (str(made["id"]), organization)
    assert (entry.before, entry.after) == ({"name": "Before"}, {"name": "After"})
    assert entry.remote_address == "127.0.0.1"


def test_behind_a_proxy_of_ours_the_address_is_the_client_s(api: APIClient, settings: Any) -> None:
    settings.X_FORWARDED_FOR_PROXIES = 1

    for told in ("10.9.9.9, 203.0.113.7", "nonsense"):
        webhook_body = {"name": "Hook", "url": "https://hooks.example.com/", "events": ["*"]}
        answer(api.post("/v1/webhooks", webhook_body, HTTP_X_FORWARDED_FOR=told), 201)

    addresses = AuditEntry.objects.filter(action="subscription.created").order_by("id")
    assert list(addresses.values_list("remote_address", flat=True)) == ["203.0.113.7", None]


def test_a_change_by_the_admin_names_the_user(admin_client: Client, organization: Organization) -> None:
    page = f"/admin/subscriptions/organization/{organization.pk}/change/"

    admin_client.post(page, {"name": "Renamed", "contact_email": "new@acme.example"})

    entry = latest("organization.updated")
    admin = f"admin (#{User.objects.get().pk})"
    assert (entry.actor_kind, entry.actor, entry.object_id) == ("user", admin, organization.public_id)
    assert entry.before == {"name": "Acme", "contact_email": "ops@acme.example"}
    assert entry.after == {"name": "Renamed", "contact_email": "new@acme.example"}


def test_a_change_by_a_command_names_the_command() -> None:
    call_command("create_api_key", organization="New")

    assert actions() == ["organization.created", "api_key.created"]
    assert {(entry.actor_kind, entry.actor) for entry in AuditEntry.objects.all()} == {
        ("command", "create_api_key")
    }


def test_who_acted_is_forgotten_after_the_request(api: APIClient, subscribe: Subscribe) -> None:
    answer(api.get("/v1/webhooks"))

    subscribe()

    assert latest("subscription.created").actor_kind == "service"


def test_a_change_that_rolls_back_leaves_no_entry(organization: Organization, subscribe: Subscribe) -> None:
    subscription = subscribe()
    before = actions()

    with transaction.atomic():
        services.subscription_delete(organization=organization, subscription_id=subscription.pk)
        transaction.set_rollback(True)

    assert actions() == before


def test_an_entry_outside_a_transaction_is_a_mistake(organization: Organization) -> None:
    with pytest.raises(AssertionError):
        audit.record("subscription.updated", 1, organization=organization)


def test_an_entry_can_be_neither_changed_nor_deleted(organization: Organization) -> None:
    def truncate() -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE subscriptions_auditentry")

    for write in (
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(actor="nobody"),
        truncate,
    ):
        with pytest.raises(DatabaseError, match="neither changed nor deleted"):
            write()

    assert AuditEntry.objects.count() == 1


def test_secrets_and_values_of_headers_are_masked(api: APIClient) -> None:
    made = webhook(api, secret="s3cret-one", headers={"X-Token": "t0ken-one"})
    answer(
        api.patch(f"/v1/webhooks/{made['id']}", {"secret": "s3cret-two", "headers": {"X-Token": "t0ken-two"}})
    )
    answer(api.patch(f"/v1/webhooks/{made['id']}", {"secret": None, "headers": None}))
    answer(api.post(f"/v1/webhooks/{made['id']}/rotate-secret"))
    answer(api.post("/v1/workflows", {"name": "w", "headers": {"X-Token": "t0ken-three"}}), 201)

    updates = [
        entry.after for entry in AuditEntry.objects.filter(action="subscription.updated").order_by("id")
    ]
    assert updates == [{"secret": "***", "headers": {"X-Token": "***"}}, {"secret": None, "headers": {}}]
    kept = repr(list(AuditEntry.objects.values_list("before", "after")))
    for secret in ("s3cret", "t0ken", "whsec_", "rhk_"):
        assert secret not in kept


def test_a_change_of_nothing_leaves_no_entry(api: APIClient) -> None:
    made = webhook(api)

    answer(api.patch(f"/v1/webhooks/{made['id']}", {"name": made["name"]}))

    assert "subscription.updated" not in actions()


def test_json_that_jsonb_refuses_and_long_values_are_kept_as_text(api: APIClient) -> None:
    outputs = {"a\ud800\0": "output.x", **{f"name{n}": "output." + "x" * 100 for n in range(50)}}
    made = workflow(api)

    body = json.dumps({"outputs": outputs})
    answer(api.patch(f"/v1/workflows/{made['id']}", body, content_type="application/json"))

    entry = latest("workflow.updated")
    assert entry.before == {"outputs": None}
    assert entry.after["outputs"].startswith('{"a\\ud800\\u0000": ')
    assert len(entry.after["outputs"]) == audit.VALUE_MAX_CHARACTERS + 1


def test_everything_that_people_do_to_subscriptions_is_noted(api: APIClient) -> None:
    made = webhook(api)
    url = f"/v1/webhooks/{made['id']}"
    answer(api.post("/v1/events", {"event_type": "order.paid", "data": {}}), 202)
    Delivery.objects.update(state=State.HELD, held_at=timezone.now(), next_attempt_at=None)
    before = len(actions())

    answer(api.post(f"{url}/recover", {"since": "2000-01-01T00:00:00Z"}))
    answer(api.post(f"{url}/rotate-secret"))
    answer(api.patch(url, {"is_active": False}))
    answer(api.delete(url), 204)

    assert actions()[before:] == [
        "subscription.recovered",
        "subscription.secret_rotated",
        "subscription.updated",
        "subscription.deleted",
    ]


def test_everything_that_people_do_to_deliveries_and_replays_is_noted(
    api: APIClient, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    happen(organization)
    delivery = Delivery.objects.get()
    before = len(actions())

    answer(api.post(f"/v1/deliveries/{delivery.pk}/cancel"))
    answer(api.post(f"/v1/deliveries/{delivery.pk}/cancel"))
    copy = answer(api.post(f"/v1/deliveries/{delivery.pk}/replay"), 202)
    end()
    refusals = replays.replay_chosen(list(Delivery.objects.filter(pk=copy["id"])))
    replay = answer(api.post("/v1/replays", {"states": ["exhausted"], "replay_key": "k"}), 202)
    answer(api.post("/v1/replays", {"states": ["exhausted"], "replay_key": "k"}))
    for move in ("pause", "pause", "resume", "cancel"):
        answer(api.post(f"/v1/replays/{replay['id']}/{move}"))

    assert list(refusals.values()) == [None]
    assert actions()[before:] == [
        "delivery.cancelled",
        "delivery.replayed",
        "delivery.replayed",
        "replay.created",
        "replay.paused",
        "replay.resumed",
        "replay.cancelled",
    ]
    assert latest("delivery.cancelled").before == {"state": "pending"}
    assert latest("replay.created").after["filter"] == '{"states": ["exhausted"]}'


def test_everything_that_people_do_to_workflows_and_keys_is_noted(
    api: APIClient, organization: Organization
) -> None:
    before = len(actions())
    made = workflow(api)
    answer(api.patch(f"/v1/workflows/{made['id']}", {"payload_format": "standard"}))
    answer(api.post(f"/v1/workflows/{made['id']}/rotate-secret"))
    keys = f"/v1/organizations/{organization.public_id}/api-keys"
    key = answer(api.post(keys, {"name": "ci"}), 201)
    for _ in range(2):
        answer(api.delete(f"{keys}/{key['id']}"), 204)

    assert actions()[before:] == [
        "workflow.created",
        "workflow.updated",
        "workflow.secret_rotated",
        "api_key.created",
        "api_key.revoked",
    ]
    assert latest("workflow.updated").after == {"payload_format": "standard"}


def test_runs_reports_and_events_have_logs_of_their_own(api: APIClient, organization: Organization) -> None:
    made = workflow(api)
    before = actions()

    completed_run(api, workflow_id=made["id"])
    answer(api.post("/v1/events", {"event_type": "order.paid", "data": {}}), 202)

    assert actions() == before


def test_whatever_can_be_edited_of_a_subscription_is_noted(subscribe: Subscribe) -> None:
    assert set(services.EDITABLE) < set(audit_notes.facts(subscribe()))
