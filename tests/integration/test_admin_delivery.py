"""What an operator sees of a delivery in the admin, and can do about it."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from delivery.custom_events import custom_event
from delivery.models import Attempt, Delivery
from delivery.replays import services as replays
from delivery.states import State
from subscriptions.admin.base import ACTION_OBJECTS_MAX
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import Organization, Subscription
from tests import admin_pages
from tests.factories import body_of
from tests.integration.conftest import CollectedWakeUps
from tests.integration.test_admin import staff
from tests.receiver import Receiver, Reply

Subscribe = Callable[..., Subscription]
DELIVERIES = "/admin/delivery/delivery/"


def happen(organization: Organization, **data: Any) -> Delivery:
    event = custom_event(organization=organization, event_type="order.paid", data=data, event_id=None)
    return event.deliveries.get()


def end(delivery: Delivery, state: State) -> None:
    Delivery.objects.filter(id=delivery.id).update(
        state=state, finished_at=timezone.now(), next_attempt_at=None
    )


def page(client: Client, delivery: Delivery) -> str:
    response = client.get(f"{DELIVERIES}{delivery.id}/change/")
    assert response.status_code == 200
    return response.content.decode()


def act(client: Client, action: str, *deliveries: Delivery) -> str:
    """The page after the action."""
    return admin_pages.act(client, DELIVERIES, action, *(delivery.id for delivery in deliveries))


def test_the_page_shows_body_and_answers_as_text(
    admin_client: Client,
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    attempt: Callable[..., Any],
) -> None:
    subscribe()
    hostile = "<script>alert(1)</script>"
    receiver.reply(Reply(500, {"items": hostile}, hostile.encode()))
    delivery = happen(organization, note=hostile, lone="\ud800")
    attempt(delivery)
    text = page(admin_client, delivery)
    assert hostile not in text
    # In the body, as a command, in an answer's header and its body.
    assert text.count("&lt;script&gt;alert(1)") == 4
    assert "&quot;event_type&quot;: &quot;order.paid&quot;" in text
    assert "waiting" in text
    assert "http_status" in text
    assert "webhook-id: " + delivery.webhook_id in text
    assert (
        hostile
        not in admin_client.get(
            f"/admin/delivery/attempt/{Attempt.objects.get().id}/change/"
        ).content.decode()
    )


def test_of_a_large_body_the_page_shows_the_beginning(
    admin_client: Client, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    delivery = happen(organization, first="here", last="x" * 100_000 + "the end")
    text = page(admin_client, delivery)
    assert f"{len(body_of(delivery))} bytes" in text
    assert "here" in text
    assert "Only the beginning is shown" in text
    assert "the end" not in text


def test_a_replay_and_its_original_link_to_each_other(
    admin_client: Client, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    old = happen(organization)
    end(old, State.EXHAUSTED)
    new = replays.replay(organization=organization, delivery_id=old.id)
    assert f'href="{DELIVERIES}{new.id}/change/"' in page(admin_client, old)
    assert f'href="{DELIVERIES}{old.id}/change/"' in page(admin_client, new)


def test_replay_sends_again_what_has_ended_and_says_what_it_skipped(
    admin_client: Client, organization: Organization, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()
    ended, pending = happen(organization), happen(organization)
    end(ended, State.EXHAUSTED)
    wake_ups.clear()
    text = act(admin_client, "replay", ended, pending)
    copy = Delivery.objects.get(replay_of=ended)
    assert [wake_up.delivery_id for wake_up in wake_ups] == [copy.id]
    assert Delivery.objects.count() == 3
    assert "Replayed: 1 delivery." in text
    assert "Skipped: 1 delivery." in text
    assert "it has not ended yet" in text
    noted = AuditEntry.objects.get(action="delivery.replayed")
    assert (noted.object_id, noted.actor.split()[0]) == (str(ended.id), "admin")


def test_cancel_ends_what_waits_and_says_what_it_skipped(
    admin_client: Client, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    waiting, delivered = happen(organization), happen(organization)
    end(delivered, State.DELIVERED)
    text = act(admin_client, "cancel", waiting, delivered)
    waiting.refresh_from_db()
    delivered.refresh_from_db()
    assert (waiting.state, waiting.reason) == (State.CANCELLED, "cancelled_by_request")
    assert delivered.state == State.DELIVERED
    assert "Cancelled: 1 delivery." in text
    assert "Skipped: 1 delivery." in text


@pytest.mark.parametrize("action", ["replay", "cancel"])
def test_who_may_only_view_is_offered_no_action_and_cannot_force_one(
    organization: Organization, subscribe: Subscribe, action: str
) -> None:
    viewer = staff()
    subscribe()
    ended, pending = happen(organization), happen(organization)
    end(ended, State.EXHAUSTED)
    assert f'value="{action}"' not in page(viewer, ended)
    act(viewer, action, ended, pending)
    assert sorted(Delivery.objects.values_list("state", flat=True)) == [State.EXHAUSTED, State.PENDING]


def test_the_action_s_own_permission_is_enough_to_act_from_the_page(
    organization: Organization, subscribe: Subscribe
) -> None:
    operator = staff("cancel_delivery")
    subscribe()
    delivery = happen(organization)
    assert 'value="cancel"' in page(operator, delivery)
    assert 'value="replay"' not in page(operator, delivery)
    act(operator, "cancel", delivery)
    delivery.refresh_from_db()
    assert delivery.state == State.CANCELLED


def test_an_action_on_too_many_does_nothing(
    admin_client: Client, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    first = happen(organization)
    facts = {
        name: getattr(first, name)
        for name in ("organization_id", "event_id", "body_id", "subscription_id", "url", "webhook_id")
    }
    Delivery.objects.bulk_create(Delivery(**facts) for _ in range(ACTION_OBJECTS_MAX))
    data = {"action": "cancel", "_selected_action": [str(first.id)], "select_across": "1", "index": "0"}
    text = admin_client.post(DELIVERIES, data, follow=True).content.decode()
    assert "select at most 1,000 at once" in text
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.PENDING}


def test_attempts_are_found_and_filtered(
    admin_client: Client,
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    attempt: Callable[..., Any],
) -> None:
    hook = subscribe()
    receiver.reply(500, 204)
    for _ in range(2):
        attempt(happen(organization))
    failed, accepted = Attempt.objects.order_by("id")
    ids = {
        "answer=5": [failed],
        "answer=2": [accepted],
        "answer=none": [],
        "error_class=http_status": [failed],
        "success__exact=1": [accepted],
        f"q={failed.id}": [failed],
        f"q={failed.delivery_id}": [failed],
        f"q={accepted.event_id}": [accepted],
        f"q={quote(hook.url)}": [accepted, failed],
        f"q={hook.pk}": [accepted, failed],
    }
    for query, attempts in ids.items():
        # Nothing can be done to attempts, so their list has links and no boxes.
        text = admin_client.get(f"/admin/delivery/attempt/?{query}").content.decode()
        assert re.findall(r"/attempt/([0-9a-f-]{36})/", text) == [str(found.id) for found in attempts], query
