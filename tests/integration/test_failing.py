"""When a subscription is disabled for failing, and when a delivery is parked for ending its workers."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from pytest_django import Settings
from rest_framework.test import APIClient

from delivery.deliver import Again
from delivery.models import Delivery
from delivery.states import State
from subscriptions.models import Notice, Organization, Subscription
from tests.factories import answer, refusal
from tests.integration.test_claim import claimed_from, expire_lease
from tests.integration.test_deliver import make_due
from tests.integration.test_outbox import happen
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe(retry_schedule=[0.0, 0.0])


def fail_for(subscription: Subscription, days: float) -> None:
    Subscription.objects.filter(pk=subscription.pk).update(failing_since=Now() - timedelta(days=days))


def fail(
    organization: Organization, receiver: Receiver, attempt: Attempting, times: int, status: int = 500
) -> None:
    """So many deliveries fail once each."""
    receiver.reply(status)
    for _ in range(times):
        attempt(happen(organization).deliveries.get())


def test_nothing_but_failures_for_the_whole_span_disable_it(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    fail(organization, receiver, attempt, 19)
    fail_for(subscription, 5.1)

    fail(organization, receiver, attempt, 1)

    subscription.refresh_from_db()
    assert subscription.disabled_reason == "failing"
    assert {d.state for d in Delivery.objects.filter(subscription=subscription)} == {State.HELD}
    assert Notice.objects.count() == 1


@pytest.mark.parametrize(("deliveries", "days"), [(19, 5.1), (25, 4.9)])
def test_too_few_or_too_short_do_not(
    organization: Organization,
    subscription: Subscription,
    attempt: Attempting,
    receiver: Receiver,
    deliveries: int,
    days: float,
) -> None:
    fail_for(subscription, days)

    fail(organization, receiver, attempt, deliveries)

    subscription.refresh_from_db()
    assert subscription.disabled_at is None


def test_retries_of_one_delivery_are_not_many_deliveries(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    fail_for(subscription, 6)
    receiver.reply(500)

    for _ in range(10):
        delivery = happen(organization).deliveries.get()
        for number in (1, 2, 3):
            make_due(delivery)
            attempt(delivery, number)

    subscription.refresh_from_db()
    assert subscription.disabled_at is None


def test_what_ended_its_workers_is_no_failure_of_its_receiver(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    fail(organization, receiver, attempt, 18)
    poison = happen(organization).deliveries.get()
    for _ in range(5):
        claimed_from(poison)
        expire_lease(poison)
    attempt(poison)
    assert poison.attempt_log.get().error_class == "worker_lost"
    fail_for(subscription, 6)

    fail(organization, receiver, attempt, 1)

    subscription.refresh_from_db()
    assert subscription.disabled_at is None
    fail(organization, receiver, attempt, 1)
    subscription.refresh_from_db()
    assert subscription.disabled_reason == "failing"


def test_a_success_begins_the_count_anew(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    fail_for(subscription, 6)

    fail(organization, receiver, attempt, 1, status=204)

    subscription.refresh_from_db()
    assert subscription.failing_since is None


def test_a_success_in_the_log_that_was_never_noted_saves_it(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    fail(organization, receiver, attempt, 1, status=204)
    fail(organization, receiver, attempt, 24)
    fail_for(subscription, 6)

    attempt(happen(organization).deliveries.get())

    subscription.refresh_from_db()
    assert (subscription.disabled_at, subscription.failing_since) == (None, None)


def test_the_first_failure_is_remembered_unless_a_success_was_just_before(
    organization: Organization, subscribe: Subscribe, attempt: Attempting, receiver: Receiver
) -> None:
    failing, flapping = subscribe(events=["a.b"], url=receiver.url("/a")), subscribe(events=["c.d"])
    receiver.reply(500, path="/a")
    receiver.reply(204, 500)

    for event_type in ("a.b", "a.b", "c.d", "c.d"):
        attempt(happen(organization, event_type=event_type).deliveries.get())

    failing.refresh_from_db()
    flapping.refresh_from_db()
    assert failing.failing_since is not None
    assert flapping.failing_since is None


def test_0_days_never_disable(
    organization: Organization,
    subscription: Subscription,
    attempt: Attempting,
    receiver: Receiver,
    settings: Settings,
) -> None:
    settings.SUBSCRIPTION_DISABLE_AFTER_DAYS = 0
    fail_for(subscription, 400)

    fail(organization, receiver, attempt, 21)

    subscription.refresh_from_db()
    assert subscription.disabled_at is None


# --- Poison ---


def test_a_delivery_that_ends_its_workers_is_parked_after_five_and_can_be_recovered(
    api: APIClient,
    organization: Organization,
    subscription: Subscription,
    attempt: Attempting,
    receiver: Receiver,
) -> None:
    delivery = happen(organization).deliveries.get()
    leases = []
    for _ in range(5):
        leases.append(claimed_from(delivery).lease_seconds)
        expire_lease(delivery)

    attempt(delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.HELD, "worker_lost")
    assert delivery.attempt_log.get().error_message.startswith("Parked: 5 workers in a row")
    assert receiver.requests == []
    # Each time at a moment of its own, so that it does not end the same others again.
    assert leases[0] == pytest.approx(20)
    assert len(set(leases)) == 5
    assert recover_all(api, subscription) == 0
    answer(api.post(f"/v1/deliveries/{delivery.pk}/recover"))
    attempt(delivery)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.claims_lost) == (State.DELIVERED, 0)
    refusal(api.post(f"/v1/deliveries/{delivery.pk}/recover"), 409, "not_held")


def test_a_recorded_attempt_clears_the_count_of_lost_claims(
    organization: Organization, subscription: Subscription, attempt: Attempting, receiver: Receiver
) -> None:
    receiver.reply(500)
    delivery = happen(organization).deliveries.get()
    for _ in range(4):
        claimed_from(delivery)
        expire_lease(delivery)

    attempt(delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.claims_lost) == (State.WAITING, 0)


def recover_all(api: APIClient, subscription: Subscription) -> int:
    path = f"/v1/webhooks/{subscription.pk}/recover"
    return int(answer(api.post(path, {"since": "2026-01-01T00:00:00Z"}))["recovered"])
