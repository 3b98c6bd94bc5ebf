"""What people may do to deliveries: cancel what waits, send again what has ended."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from delivery import cancel, services
from delivery.deliver import Again
from delivery.models import Attempt, Delivery
from delivery.recorder import record
from delivery.replays import services as replays
from delivery.states import Lane, State
from subscriptions.models import Organization, Subscription
from subscriptions.services import subscription_delete, subscription_update
from tests.integration.conftest import CollectedWakeUps
from tests.integration.test_claim import claimed_from
from tests.integration.test_outbox import CALLBACK, happen
from tests.integration.test_recorder import ACCEPTED, FAILED, outcome_of
from tests.receiver import Receiver
from webhooks_project.errors import Conflict, NotFound

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe()


@pytest.fixture
def delivery(organization: Organization, subscription: Subscription) -> Delivery:
    """Waits for its first attempt."""
    return happen(organization).deliveries.get()


def end(*deliveries: Delivery, state: State = State.EXHAUSTED) -> None:
    rows = Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries])
    rows.update(state=state, finished_at=timezone.now(), next_attempt_at=None)


def test_a_cancelled_delivery_is_never_sent_and_its_log_says_why(
    organization: Organization, delivery: Delivery, attempt: Attempting, receiver: Receiver
) -> None:
    cancelled = services.cancel(organization=organization, delivery_id=delivery.id)

    attempt(delivery)

    assert (cancelled.state, cancelled.reason) == (State.CANCELLED, "cancelled_by_request")
    assert cancelled.finished_at is not None
    assert cancelled.next_attempt_at is None
    logged = delivery.attempt_log.get()
    assert (logged.error_class, logged.success, logged.late) == ("cancelled", False, False)
    assert logged.error_message == "Cancelled before this attempt was made"
    assert (logged.number, logged.subscription_id) == (1, delivery.subscription_id)
    assert (logged.event_id, logged.url) == (delivery.event.event_id, delivery.url)
    assert receiver.requests == []


def test_cancelling_twice_changes_nothing(organization: Organization, delivery: Delivery) -> None:
    first = services.cancel(organization=organization, delivery_id=delivery.id)

    second = services.cancel(organization=organization, delivery_id=delivery.id)

    assert second.finished_at == first.finished_at
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize("state", [State.DELIVERED, State.EXHAUSTED, State.BLOCKED])
def test_what_has_ended_cannot_be_cancelled(
    organization: Organization, delivery: Delivery, state: State
) -> None:
    end(delivery, state=state)

    with pytest.raises(Conflict) as refused:
        services.cancel(organization=organization, delivery_id=delivery.id)

    assert refused.value.error_code == "delivery_ended"
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("wanted_back", [False, True])
def test_of_a_large_backlog_the_beginning_is_cancelled_at_once_and_the_rest_soon(
    organization: Organization,
    subscription: Subscription,
    monkeypatch: pytest.MonkeyPatch,
    wanted_back: bool,
) -> None:
    monkeypatch.setattr(cancel, "CHUNK_ROWS", 2)
    for _ in range(5):
        happen(organization)

    for is_active in (False, True) if wanted_back else (False,):
        subscription_update(
            organization=organization, subscription_id=subscription.pk, values={"is_active": is_active}
        )
    at_once = Delivery.objects.filter(state=State.CANCELLED).count()

    assert (at_once, cancel.finish_stopped()) == (2, 0 if wanted_back else 3)
    left = Delivery.objects.exclude(state=State.CANCELLED)
    assert left.count() == (3 if wanted_back else 0)
    assert {d.reason for d in Delivery.objects.filter(state=State.CANCELLED)} == {"subscription_deactivated"}


def test_a_held_delivery_can_be_cancelled(organization: Organization, delivery: Delivery) -> None:
    Delivery.objects.update(state=State.HELD, next_attempt_at=None)

    assert services.cancel(organization=organization, delivery_id=delivery.id).state == State.CANCELLED


@pytest.mark.parametrize("act", [services.cancel, replays.replay])
def test_another_organizations_delivery_does_not_exist(
    other_organization: Organization, delivery: Delivery, act: Callable[..., Delivery]
) -> None:
    end(delivery)

    with pytest.raises(NotFound):
        act(organization=other_organization, delivery_id=delivery.id)
    with pytest.raises(NotFound):
        act(organization=other_organization, delivery_id=uuid4())

    assert Delivery.objects.count() == 1


def test_who_deactivates_a_subscription_ends_what_waits_for_it_and_nothing_else(
    organization: Organization, subscription: Subscription, subscribe: Subscribe
) -> None:
    subscribe()
    waiting, done = happen(organization), happen(organization)
    end(*done.deliveries.all(), state=State.DELIVERED)

    values = {"is_active": False}
    subscription_update(organization=organization, subscription_id=subscription.pk, values=values)

    mine = waiting.deliveries.get(subscription=subscription)
    assert (mine.state, mine.reason) == (State.CANCELLED, "subscription_deactivated")
    assert waiting.deliveries.exclude(pk=mine.pk).get().state == State.PENDING
    assert {one.state for one in done.deliveries.all()} == {State.DELIVERED}
    assert Attempt.objects.get().error_message == "Cancelled: the subscription was deactivated"


def test_who_deletes_a_subscription_ends_what_waits_for_it(
    organization: Organization, delivery: Delivery
) -> None:
    subscription_delete(organization=organization, subscription_id=delivery.subscription_id or 0)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.CANCELLED, "subscription_deleted")
    assert delivery.attempt_log.get().error_message == "Cancelled: the subscription was deleted"


def test_other_changes_of_a_subscription_leave_what_waits_for_it(
    organization: Organization, subscription: Subscription, delivery: Delivery
) -> None:
    values = {"events": ["order.refunded"], "is_active": True}
    subscription_update(organization=organization, subscription_id=subscription.pk, values=values)

    delivery.refresh_from_db()
    assert delivery.state == State.PENDING


@pytest.mark.parametrize("values", [ACCEPTED, FAILED], ids=["accepted", "failed"])
def test_cancelling_and_recording_at_once_end_in_one_truth(
    organization: Organization, delivery: Delivery, values: dict[str, Any]
) -> None:
    outcome = outcome_of(claimed_from(delivery), **values)
    start = Barrier(2)

    def at_once(work: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            start.wait()
            work()
        except Conflict:
            pass  # the record was first, and the delivery had ended
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        recording = threads.submit(at_once, lambda: record(outcome))
        cancelling = threads.submit(
            at_once, lambda: services.cancel(organization=organization, delivery_id=delivery.id)
        )
    recording.result()
    cancelling.result()

    delivery.refresh_from_db()
    assert delivery.state == (State.DELIVERED if values is ACCEPTED else State.CANCELLED)
    assert (delivery.attempts, delivery.next_attempt_at) == (1, None)
    assert delivery.attempt_log.filter(duration_ms=12.5).count() == 1


@pytest.mark.parametrize("state", [State.DELIVERED, State.EXHAUSTED, State.CANCELLED, State.BLOCKED])
def test_a_replay_sends_the_same_bytes_under_the_same_id_as_a_new_delivery(
    organization: Organization,
    delivery: Delivery,
    attempt: Attempting,
    receiver: Receiver,
    wake_ups: CollectedWakeUps,
    state: State,
) -> None:
    attempt(delivery)
    end(delivery, state=state)
    wake_ups.clear()

    copy = replays.replay(organization=organization, delivery_id=delivery.id)
    attempt(copy)

    first, second = receiver.at()
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert (copy.replay_of_id, copy.lane, copy.event_id) == (delivery.id, Lane.REPLAY, delivery.event_id)
    assert wake_ups == [(copy.id, 1, Lane.REPLAY)]
    copy.refresh_from_db()
    delivery.refresh_from_db()
    assert (copy.state, delivery.state) == (State.DELIVERED, state)


def test_a_replay_may_ask_for_a_new_id(organization: Organization, delivery: Delivery) -> None:
    end(delivery)

    copy = replays.replay(organization=organization, delivery_id=delivery.id, new_id=True)

    assert copy.webhook_id != delivery.webhook_id
    assert copy.body_id == delivery.body_id


def test_a_callback_can_be_replayed(
    organization: Organization, attempt: Attempting, receiver: Receiver
) -> None:
    original = happen(organization, replace(CALLBACK, url=receiver.url("/cb"))).deliveries.get()
    attempt(original)

    attempt(replays.replay(organization=organization, delivery_id=original.id))

    assert len(receiver.at("/cb")) == 2


@pytest.mark.parametrize("state", [State.PENDING, State.WAITING, State.HELD])
def test_what_has_not_ended_cannot_be_replayed(
    organization: Organization, delivery: Delivery, state: State
) -> None:
    Delivery.objects.update(state=state)

    with pytest.raises(Conflict) as refused:
        replays.replay(organization=organization, delivery_id=delivery.id)

    assert refused.value.error_code == "not_replayable"
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_active": False, "deleted_at": timezone.now()}])
def test_nothing_is_replayed_to_a_subscription_that_was_stopped(
    organization: Organization, delivery: Delivery, change: dict[str, Any]
) -> None:
    end(delivery)
    Subscription.objects.update(**change)

    with pytest.raises(Conflict):
        replays.replay(organization=organization, delivery_id=delivery.id)
