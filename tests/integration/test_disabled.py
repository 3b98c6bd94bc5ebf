"""A subscription that the service itself disables, what is held for it, and how that is recovered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from delivery import hold, services
from delivery.deliver import Again
from delivery.models import Delivery, Event
from delivery.recorder import record
from delivery.states import Lane, State
from subscriptions.event_types import DisabledReason
from subscriptions.models import Notice, Organization, Subscription
from subscriptions.services import subscription_disable, subscription_update
from tests.factories import Json, answer, body_of, logs, refusal
from tests.integration.conftest import CollectedWakeUps
from tests.integration.test_claim import claimed_from, expire_lease
from tests.integration.test_deliver import make_due
from tests.integration.test_outbox import CALLBACK, happen
from tests.integration.test_recorder import ACCEPTED, outcome_of
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe(retry_schedule=[0.0, 0.0])


@pytest.fixture
def disabled(subscription: Subscription, organization: Organization, attempt: Attempting) -> Subscription:
    """By a receiver that answered 410; that delivery is the first of the held ones."""
    return gone(subscription, organization, attempt)


def gone(subscription: Subscription, organization: Organization, attempt: Attempting) -> Subscription:
    subscription.refresh_from_db()
    with _answering(410) as receiver:
        Subscription.objects.filter(pk=subscription.pk).update(url=receiver.url(), version=100)
        attempt(happen(organization).deliveries.get(subscription=subscription))
    Subscription.objects.filter(pk=subscription.pk).update(url=subscription.url, version=200)
    subscription.refresh_from_db()
    return subscription


def _answering(status: int) -> Receiver:
    receiver = Receiver()
    receiver.reply(status)
    return receiver


def enable(api: APIClient, subscription: Subscription) -> Json:
    enabled: Json = answer(api.patch(f"/v1/webhooks/{subscription.pk}", {"is_active": True}))
    return enabled


def recover(api: APIClient, subscription: Subscription, since: Any) -> int:
    path = f"/v1/webhooks/{subscription.pk}/recover"
    return int(answer(api.post(path, {"since": since.isoformat()}))["recovered"])


# --- 410 ---


def test_a_410_disables_the_subscription_and_holds_what_waits_for_it(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    answered, waiting = (happen(organization).deliveries.get() for _ in range(2))
    receiver.reply(410)

    assert attempt(answered) is None

    subscription.refresh_from_db()
    assert subscription.disabled_at is not None
    assert (subscription.disabled_reason, subscription.is_active) == ("gone", True)
    for delivery, reason in ((answered, "gone"), (waiting, "subscription_disabled")):
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason) == (State.HELD, reason)
        assert (delivery.next_attempt_at, delivery.finished_at, delivery.lease_until) == (None, None, None)
    assert answered.attempts == 1


def test_disabling_leaves_an_event_a_log_entry_and_a_mail(
    api: APIClient, subscribe: Subscribe, organization: Organization, attempt: Attempting
) -> None:
    watcher = subscribe(name="Watcher", events=["subscription.disabled"])
    disabled = gone(subscribe(events=["order.paid"]), organization, attempt)

    event = Event.objects.get(type="subscription.disabled")
    told = event.deliveries.get()
    assert told.subscription_id == watcher.pk
    assert f'"subscription_id":{disabled.pk},"name":"Hook"'.encode() in body_of(told)
    assert b'"reason":"gone"' in body_of(told)
    entry, request = logs(api, disabled.pk)
    assert (entry["status"], entry["status_code"]) == ("failed", None)
    assert entry["error_message"] == "Disabled: its receiver answered 410 Gone"
    assert request["status_code"] == 410
    mail = Notice.objects.get()
    assert (mail.address, mail.subject) == ("ops@acme.example", "Webhook 'Hook' was disabled")
    assert f"PATCH /v1/webhooks/{disabled.pk}" in mail.text


def test_two_410s_disable_once(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    receiver.reply(410)
    first, second = (happen(organization).deliveries.get() for _ in range(2))
    claim_of_second = claimed_from(second)

    attempt(first)
    expire_lease(second)
    assert claim_of_second.disabled_at is None
    attempt(second)

    assert Event.objects.filter(type="subscription.disabled").count() == Notice.objects.count() == 1
    assert {d.state for d in Delivery.objects.all()} == {State.HELD}


def test_a_callbacks_410_only_ends_that_delivery(
    organization: Organization, attempt: Attempting, receiver: Receiver
) -> None:
    receiver.reply(410)
    delivery = happen(organization, replace(CALLBACK, url=receiver.url())).deliveries.get()

    attempt(delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.EXHAUSTED, "gone")


def test_a_test_events_410_disables_nothing(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    receiver.reply(410)

    attempt(services.send_test(organization=organization, subscription_id=subscription.pk))

    subscription.refresh_from_db()
    assert (subscription.disabled_at, subscription.failing_since) == (None, None)


# --- While it is disabled ---


def test_what_arrives_meanwhile_is_held_and_nobody_is_woken(
    organization: Organization, disabled: Subscription, wake_ups: CollectedWakeUps, attempt: Attempting
) -> None:
    wake_ups.clear()

    delivery = happen(organization).deliveries.get()
    attempt(delivery)

    assert wake_ups == []
    assert (delivery.state, delivery.reason) == (State.HELD, "subscription_disabled")
    assert not delivery.attempt_log.exists()


def test_a_batch_asks_once_who_is_disabled_and_holds_each_of_its_events(
    api: APIClient, disabled: Subscription, wake_ups: CollectedWakeUps
) -> None:
    wake_ups.clear()
    events = [{"event_type": "order.paid", "data": {"n": n}} for n in range(5)]

    with CaptureQueriesContext(connection) as captured:
        answer(api.post("/v1/events/batch", {"events": events}))

    asked = [query for query in captured.captured_queries if "FOR SHARE" in query["sql"]]
    assert len(asked) == 1
    assert wake_ups == []
    assert Delivery.objects.filter(event__type="order.paid", state=State.HELD).count() == 1 + 5


def test_what_was_written_before_the_disabling_was_seen_is_held_by_its_worker(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    delivery = happen(organization).deliveries.get()
    Subscription.objects.filter(pk=subscription.pk).update(disabled_at=Now(), disabled_reason="failing")

    attempt(delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.lease_until, delivery.attempts) == (State.HELD, None, 0)
    assert receiver.requests == []


def test_a_worker_that_wants_to_hold_for_a_subscription_enabled_this_moment_gives_it_back(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    delivery = happen(organization).deliveries.get()

    hold.hold_claimed(claimed_from(delivery))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.nudged_at, delivery.lease_until) == (State.PENDING, None, None)
    attempt(delivery)
    assert len(receiver.requests) == 1


def test_the_api_shows_it_as_not_active_and_why(api: APIClient, disabled: Subscription) -> None:
    shown = answer(api.get(f"/v1/webhooks/{disabled.pk}"))

    assert (shown["is_active"], shown["disabled_reason"]) == (False, "gone")
    assert shown["disabled_at"] is not None


def test_a_test_event_still_goes_out_so_that_its_owner_can_try(
    organization: Organization, disabled: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    attempt(services.send_test(organization=organization, subscription_id=disabled.pk))

    assert len(receiver.requests) == 1


def test_an_acceptance_that_was_under_way_counts(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    under_way = happen(organization).deliveries.get()
    claimed = claimed_from(under_way)
    gone(subscription, organization, attempt)

    record(outcome_of(claimed, **ACCEPTED))

    under_way.refresh_from_db()
    assert under_way.state == State.DELIVERED


def test_deactivating_or_deleting_it_cancels_what_was_held(
    organization: Organization, disabled: Subscription
) -> None:
    subscription_update(organization=organization, subscription_id=disabled.pk, values={"is_active": False})

    assert {d.reason for d in Delivery.objects.filter(subscription=disabled)} == {"subscription_deactivated"}


# --- Recovery ---


def test_it_is_recovered_from_a_given_time_on(
    api: APIClient,
    organization: Organization,
    disabled: Subscription,
    attempt: Attempting,
    receiver: Receiver,
) -> None:
    old, new = (happen(organization).deliveries.get() for _ in range(2))
    Delivery.objects.filter(pk=old.pk).update(held_at=Now() - timedelta(days=2))
    enable(api, disabled)

    recovered = recover(api, disabled, timezone.now() - timedelta(days=1))
    attempt(new)

    assert recovered == 2  # also the one that was answered 410
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.state, new.state, new.lane) == (State.HELD, State.DELIVERED, Lane.REPLAY)
    assert recover(api, disabled, timezone.now() - timedelta(days=1)) == 0
    assert recover(api, disabled, timezone.now() - timedelta(days=3)) == 1


def test_a_recovered_410_is_tried_again_and_ends_where_its_schedule_ends(
    api: APIClient,
    organization: Organization,
    disabled: Subscription,
    attempt: Attempting,
    receiver: Receiver,
) -> None:
    receiver.reply(500)
    enable(api, disabled)
    recover(api, disabled, timezone.now() - timedelta(hours=1))
    delivery = Delivery.objects.get(subscription=disabled, event__type="order.paid")
    assert delivery.state == State.WAITING

    for number in (2, 3):
        make_due(delivery)
        attempt(delivery, number)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (State.EXHAUSTED, 3)


def test_it_cannot_be_recovered_before_it_is_enabled(api: APIClient, disabled: Subscription) -> None:
    body = {"since": "2026-01-01T00:00:00Z"}

    refusal(api.post(f"/v1/webhooks/{disabled.pk}/recover", body), 409, "subscription_disabled")
    refusal(api.post(f"/v1/webhooks/{disabled.pk}/recover", {}), 422, "required", "since")
    assert enable(api, disabled)["is_active"] is True
    assert answer(api.post(f"/v1/webhooks/{disabled.pk}/recover", body))["recovered"] == 1


def test_one_delivery_of_a_disabled_subscription_cannot_be_recovered(
    api: APIClient, disabled: Subscription
) -> None:
    delivery = Delivery.objects.get()

    refusal(api.post(f"/v1/deliveries/{delivery.pk}/recover"), 409, "subscription_disabled")


def test_another_organization_recovers_nothing(
    api: APIClient, other_api: APIClient, disabled: Subscription
) -> None:
    enable(api, disabled)
    delivery = Delivery.objects.get(state=State.HELD)

    for path in (f"/v1/webhooks/{disabled.pk}/recover", f"/v1/deliveries/{delivery.pk}/recover"):
        assert other_api.post(path, {"since": "2026-01-01T00:00:00Z"}).status_code == 404
    delivery.refresh_from_db()
    assert delivery.state == State.HELD


def test_enabling_forgets_the_failures(api: APIClient, disabled: Subscription) -> None:
    Subscription.objects.filter(pk=disabled.pk).update(failing_since=Now())

    shown = enable(api, disabled)

    assert (shown["disabled_at"], shown["disabled_reason"], shown["failing_since"]) == (None, "", None)


def test_what_nobody_recovers_within_the_retention_is_cancelled_and_logged(
    organization: Organization, disabled: Subscription, settings: Settings
) -> None:
    young = happen(organization).deliveries.get()
    settings.DELIVERY_HELD_RETENTION_DAYS = 0
    assert hold.cancel_forgotten() == 2

    young.refresh_from_db()
    assert (young.state, young.reason) == (State.CANCELLED, "held_too_long")
    assert young.attempt_log.get().error_message.startswith("Cancelled: held longer")


def test_what_is_held_for_less_than_the_retention_stays_however_old_it_is(
    organization: Organization, disabled: Subscription
) -> None:
    Delivery.objects.update(created_at=Now() - timedelta(days=60))

    assert hold.cancel_forgotten() == 0
    assert Delivery.objects.get().state == State.HELD


def test_who_was_stopped_by_its_owner_is_not_disabled(
    organization: Organization, subscription: Subscription
) -> None:
    subscription_update(
        organization=organization, subscription_id=subscription.pk, values={"is_active": False}
    )

    with transaction.atomic():
        assert subscription_disable(subscription.pk, DisabledReason.GONE) is None
