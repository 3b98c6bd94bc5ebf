"""Promise 1: an event, its bodies and deliveries commit with their cause or not at all."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from delivery import outbox, queue, services
from delivery.callbacks import Callback
from delivery.custom_events import custom_event
from delivery.models import Delivery, Event, EventBody
from delivery.states import Lane, State
from runs.models import Run
from runs.moves import Report
from runs.states import Move
from runs.transitions import report_run
from subscriptions.models import Organization, Subscription
from subscriptions.services import subscription_create, subscription_delete, subscription_update
from tests.integration.conftest import CollectedWakeUps

CALLBACK = Callback(
    url="http://127.0.0.1/callback",
    payload_format="standard",
    signature_schemes=("standard_webhooks",),
    retry_policy="standard",
    retry_schedule=None,
    timeout_seconds=1.0,
    workflow_id="",
)
Subscribe = Callable[..., Subscription]


def new_event(organization: Organization, **values: Any) -> outbox.NewEvent:
    defaults: dict[str, Any] = {"event_type": "order.paid", "occurred_at": timezone.now(), "data": {"n": 1}}
    return outbox.NewEvent(organization=organization, **(defaults | values))


def happen(organization: Organization, callback: Callback | None = None, **values: Any) -> Event:
    """An event that has been committed."""
    with transaction.atomic():
        return outbox.append(new_event(organization, **values), callback=callback)


def running_run(api: APIClient) -> Run:
    workflow = api.post("/v1/workflows", {"name": "Any"}).data["id"]
    run = api.post("/v1/runs", {"workflow_id": workflow}).data["id"]
    api.post(f"/v1/runs/{run}/start")
    return Run.objects.get(public_id=run)


def test_an_event_has_a_delivery_per_recipient_and_each_waits_for_its_first_attempt(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscription = subscribe()

    event = happen(organization, CALLBACK)

    assert (event.recipients, event.event_id) == (2, f"evt_{event.id.hex}")
    told, called = event.deliveries.order_by("-subscription_id"), event.deliveries.get(subscription=None)
    assert {delivery.subscription_id for delivery in told} == {subscription.pk, None}
    assert called.callback is not None
    assert (called.url, called.callback["timeout_seconds"]) == (CALLBACK.url, 1.0)
    for delivery in told:
        assert (delivery.state, delivery.attempts, delivery.lane) == (State.PENDING, 0, Lane.FIRST)
        assert delivery.webhook_id == event.event_id
        assert delivery.next_attempt_at is not None
        assert delivery.finished_at is None


def test_nothing_is_left_of_an_event_whose_cause_rolls_back(
    organization: Organization, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()

    with transaction.atomic():
        outbox.append(new_event(organization), callback=CALLBACK)
        transaction.set_rollback(True)

    assert not Event.objects.exists()
    assert not EventBody.objects.exists()
    assert not Delivery.objects.exists()
    assert wake_ups == []


def test_a_run_does_not_end_when_its_event_cannot_be_written(
    api: APIClient, organization: Organization, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()
    run = running_run(api)
    happen(organization, event_type="workflow.failed", subject=run.public_id, event_id="in_the_way")
    wake_ups.clear()

    with pytest.raises(IntegrityError):
        report_run(organization=organization, run_id=run.public_id, move=Move.COMPLETE, report=Report())

    run.refresh_from_db()
    assert run.status == "running"
    assert not Event.objects.filter(type="workflow.completed").exists()
    assert wake_ups == []


def test_an_event_cannot_be_written_outside_the_transaction_of_its_cause(organization: Organization) -> None:
    with pytest.raises(AssertionError):
        outbox.append(new_event(organization))

    assert not Event.objects.exists()


def test_recipients_are_those_who_match_at_that_moment(
    organization: Organization, other_organization: Organization, subscribe: Subscribe
) -> None:
    values = {"name": "Theirs", "url": "http://127.0.0.1/", "events": ["*"]}
    subscription_create(organization=other_organization, values=values)
    deleted, inactive = subscribe(), subscribe(is_active=False)
    subscription_delete(organization=organization, subscription_id=deleted.pk)
    subscribe(events=["order.refunded"])
    subscribe(events=["order"])
    subscribe(workflow_ids=["wf_other"])
    expected = {
        subscribe(events=["order.paid"]).pk,
        subscribe(events=["order.refunded", "order.paid"]).pk,
        subscribe(events=["*"]).pk,
        subscribe(workflow_ids=["wf_other", "wf_this"]).pk,
    }

    event = happen(organization, source="wf_this")
    subscription_update(organization=organization, subscription_id=inactive.pk, values={"is_active": True})
    subscribe()

    assert set(event.deliveries.values_list("subscription_id", flat=True)) == expected
    assert event.recipients == len(expected)


def test_an_event_without_a_workflow_does_not_reach_those_limited_to_some(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscribe(workflow_ids=["wf_this"])

    assert happen(organization).recipients == 0


def test_an_event_that_nobody_wants_is_on_record_and_wakes_nobody(
    organization: Organization, wake_ups: CollectedWakeUps
) -> None:
    event = happen(organization)

    assert event.recipients == 0
    assert not EventBody.objects.exists()
    assert wake_ups == []


def test_there_is_one_body_per_format_however_many_want_it(
    organization: Organization, subscribe: Subscribe
) -> None:
    elan = [subscribe(payload_format="elan_event") for _ in range(3)]
    subscribe(payload_format="standard")

    event = happen(organization, CALLBACK)

    bodies = {body.payload_format: body for body in event.bodies.all()}
    assert sorted(bodies) == ["elan_event", "standard"]
    used = event.deliveries.filter(subscription__in=elan).values_list("body", flat=True)
    assert set(used) == {bodies["elan_event"].id}
    assert bytes(bodies["standard"].body).startswith(b'{"type":"order.paid","timestamp":"')


def test_wake_ups_follow_the_commit(
    organization: Organization, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()
    subscribe()

    with transaction.atomic():
        event = outbox.append(new_event(organization))
        before = list(wake_ups)

    assert before == []
    assert sorted(wake_ups) == [
        (id_, 1, Lane.FIRST) for id_ in sorted(event.deliveries.values_list("id", flat=True))
    ]


def test_a_rolled_back_savepoint_wakes_nobody(
    organization: Organization, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()

    with transaction.atomic():
        with transaction.atomic():
            outbox.append(new_event(organization))
            transaction.set_rollback(True)
        kept = outbox.append(new_event(organization))

    assert [wake_up.delivery_id for wake_up in wake_ups] == [kept.deliveries.get().id]


def test_a_publisher_that_fails_does_not_fail_the_caller(
    api: APIClient, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    run = running_run(api)

    def broken() -> queue.Publisher:
        raise RuntimeError("no more threads")

    monkeypatch.setattr(queue, "publisher", broken)

    response = api.post(f"/v1/runs/{run.public_id}/complete", {"output": 1})

    assert response.status_code == 200
    assert Delivery.objects.get(event__type="workflow.completed").state == State.PENDING


def test_a_test_event_is_for_one_subscription_and_one_attempt(
    organization: Organization, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()
    wanted = subscribe(is_active=False, events=["order.refunded"])

    delivery = services.send_test(organization=organization, subscription_id=wanted.pk)

    assert (delivery.subscription_id, delivery.once, delivery.is_test) == (wanted.pk, True, True)
    assert [wake_up.delivery_id for wake_up in wake_ups] == [delivery.id]


def test_the_same_event_id_reported_by_many_at_once_is_one_event(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()

    def tell(_: int) -> Event:
        try:
            return custom_event(
                organization=organization, event_type="order.paid", data={}, event_id="order-1"
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        told = set(threads.map(tell, range(16)))

    assert told == {Event.objects.get()}
    assert Delivery.objects.count() == 1
