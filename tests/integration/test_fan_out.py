"""Events with many recipients: who they are is written at once, and workers make their deliveries."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from delivery import doctor, hold, outbox
from delivery.fan_out import chunks
from delivery.fan_out.loop import FanOutLoop
from delivery.models import Delivery, Event, FanOut
from delivery.states import State
from subscriptions.event_types import DisabledReason
from subscriptions.models import Organization, Subscription
from subscriptions.services import subscription_delete, subscription_disable, subscription_update
from tests.factories import answer, at_once, completed_run, events_of, workflow
from tests.integration.conftest import CollectedWakeUps
from tests.integration.test_outbox import CALLBACK, happen, new_event
from tests.integration.test_queries import statements
from tests.integration.test_worker_parts import terminate_other_connections
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
EVENT = {"event_type": "order.paid", "data": {"n": 1}}


@pytest.fixture(autouse=True)
def more_than_two_are_many(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FAN_OUT_AT_ONCE_MAX = 2
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 3)


@pytest.fixture
def many(subscribe: Subscribe) -> list[Subscription]:
    return [subscribe() for _ in range(10)]


def recipients(event: Event | None = None) -> list[int | None]:
    rows = Delivery.objects.all() if event is None else Delivery.objects.filter(event=event)
    return sorted(rows.values_list("subscription_id", flat=True), key=lambda id_: id_ or 0)


def ids(subscriptions: list[Subscription]) -> list[int]:
    return sorted(subscription.pk for subscription in subscriptions)


@transaction.atomic
def disable(subscription: Subscription) -> None:
    subscription_disable(subscription.pk, DisabledReason.GONE)


def test_the_call_is_answered_with_the_number_and_workers_make_one_delivery_for_each(
    api: APIClient, many: list[Subscription], wake_ups: CollectedWakeUps
) -> None:
    accepted = answer(api.post("/v1/events", EVENT), 202)

    assert accepted["subscriptions"] == 10
    assert (recipients(), wake_ups, wake_ups.fan_outs) == ([], [], 1)
    assert chunks.carry_on() == float("inf")
    assert recipients() == ids(many)
    rows = {(row.pk, 1, "first") for row in Delivery.objects.filter(state=State.PENDING)}
    assert {tuple(wake_up) for wake_up in wake_ups} == rows
    assert not FanOut.objects.exists()


def test_a_delivery_is_what_it_would_have_been_at_once(
    organization: Organization, many: list[Subscription], settings: Settings
) -> None:
    later = happen(organization)
    chunks.carry_on()
    settings.FAN_OUT_AT_ONCE_MAX = 100
    now = happen(organization)

    differ = {"id", "event_id", "body_id", "webhook_id", "created_at", "next_attempt_at", "nudged_at"}
    told = [
        {
            name: value
            for name, value in Delivery.objects.filter(event=event, subscription=many[0]).values()[0].items()
            if name not in differ
        }
        for event in (later, now)
    ]
    assert told[0] == told[1]
    row = Delivery.objects.filter(event=later)[0]
    assert (row.webhook_id, row.body_id) == (later.event_id, later.bodies.get().pk)


def test_the_number_of_recipients_changes_neither_the_statements_of_the_call_nor_those_of_a_chunk(
    api: APIClient, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    for number in (3, 30):
        while Subscription.objects.count() < number:
            subscribe()
        with CaptureQueriesContext(connection) as call:
            answer(api.post("/v1/events", EVENT), 202)
        monkeypatch.setattr(chunks, "CHUNK_ROWS", 30)
        with CaptureQueriesContext(connection) as chunk:
            assert chunks.advance(FanOut.objects.get().pk)
        counted.append((statements(call)[:6], statements(chunk)))

    assert counted[0] == counted[1]
    call_made, _ = counted[0]
    # One more than an event with a few.
    more = "WITH subscriptions_subscription"
    told = ["BEGIN", "EXECUTE runhooks_recipients", more, "EXECUTE runhooks_store", "COMMIT"]
    assert call_made == ["SELECT subscriptions_apikey", *told]


def test_up_to_the_threshold_the_call_makes_the_deliveries(
    api: APIClient, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()
    subscribe()

    assert answer(api.post("/v1/events", EVENT), 202)["subscriptions"] == 2

    assert (len(recipients()), len(wake_ups), wake_ups.fan_outs) == (2, 2, 0)


def test_the_recipients_are_those_of_the_moment_of_the_event(
    organization: Organization,
    many: list[Subscription],
    subscribe: Subscribe,
    attempt: Callable[..., Any],
    receiver: Receiver,
) -> None:
    happen(organization)
    subscribe()
    deactivated, deleted, disabled, narrowed, moved, *rest = many

    def change(subscription: Subscription, **values: Any) -> None:
        subscription_update(organization=organization, subscription_id=subscription.pk, values=values)

    change(deactivated, is_active=False)
    subscription_delete(organization=organization, subscription_id=deleted.pk)
    disable(disabled)
    change(narrowed, events=["other.things"])
    change(moved, url=receiver.url("/moved"))
    chunks.carry_on()
    for row in Delivery.objects.exclude(state=State.HELD):
        attempt(row)

    assert recipients() == ids(many)
    told = {row.subscription_id: (row.state, row.reason) for row in Delivery.objects.all()}
    assert told[deactivated.pk] == (State.CANCELLED, "subscription_deactivated")
    assert told[deleted.pk] == (State.CANCELLED, "subscription_deleted")
    assert told[disabled.pk] == (State.HELD, "subscription_disabled")
    assert {told[each.pk][0] for each in (narrowed, moved, *rest)} == {State.DELIVERED}
    assert len(receiver.at("/moved")) == 1


def test_what_is_held_by_a_fan_out_is_recovered(
    organization: Organization, many: list[Subscription], wake_ups: CollectedWakeUps
) -> None:
    subscription = many[0]
    disable(subscription)
    happen(organization)
    chunks.carry_on()
    assert Delivery.objects.get(state=State.HELD).pk not in {wake_up.delivery_id for wake_up in wake_ups}
    subscription_update(
        organization=organization, subscription_id=subscription.pk, values={"is_active": True}
    )

    since = subscription.created_at
    assert hold.recover(organization=organization, subscription_id=subscription.pk, since=since) == 1


@pytest.mark.parametrize("where", ["before the commit", "after the commit"])
def test_a_crash_in_the_middle_loses_and_doubles_nothing(
    organization: Organization, many: list[Subscription], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    happen(organization)
    row = FanOut.objects.get().pk
    assert chunks.advance(row)
    if where == "before the commit":
        with monkeypatch.context() as patched:
            patched.setattr(chunks, "publish_after_commit", killed)
            with pytest.raises(Killed):
                chunks.advance(row)
        assert len(recipients()) == 3
    else:
        assert chunks.advance(row)
        connection.close()  # the process is gone; nothing else remembers the chunk

    chunks.carry_on()

    assert recipients() == ids(many)


def test_several_workers_share_the_work_and_double_nothing(
    organization: Organization, many: list[Subscription]
) -> None:
    events = [happen(organization) for _ in range(5)]

    def work() -> None:
        ends = time.monotonic() + 30
        while chunks.carry_on() != float("inf"):
            assert time.monotonic() < ends

    at_once(*[work] * 4)

    for event in events:
        assert recipients(event) == ids(many)


def test_events_that_wait_take_turns(organization: Organization, many: list[Subscription]) -> None:
    one, other = happen(organization), happen(organization)
    looks = iter([False, False, True])

    chunks.carry_on(stop=lambda: next(looks))

    assert (len(recipients(one)), len(recipients(other))) == (3, 3)
    assert (chunks.left(one.pk), chunks.left(other.pk)) == (7, 7)


def test_an_event_that_fails_keeps_no_other_waiting(
    organization: Organization, many: list[Subscription]
) -> None:
    broken, sound = happen(organization), happen(organization)
    FanOut.objects.filter(event=broken).update(done=2**31 - 2)

    chunks.carry_on()

    assert (recipients(broken), recipients(sound)) == ([], ids(many))
    assert FanOut.objects.filter(event=broken, next_chunk_at__gt=Now()).exists()


def test_formats_and_a_callback_are_each_told_in_their_own_body(
    organization: Organization, subscribe: Subscribe
) -> None:
    for payload_format in ("standard", "elan_event") * 3:
        subscribe(payload_format=payload_format)

    event = happen(organization, CALLBACK)

    # The callback need not wait.
    (called,) = Delivery.objects.all()
    assert (called.subscription_id, event.recipients) == (None, 7)
    chunks.carry_on()
    told = Delivery.objects.values_list("subscription__payload_format", "body__payload_format")
    assert sorted(told, key=str) == [
        *[("elan_event", "elan_event")] * 3,
        *[("standard", "standard")] * 3,
        (None, "standard"),
    ]


def test_a_run_s_end_reaches_many(api: APIClient, subscribe: Subscribe, receiver: Receiver) -> None:
    for _ in range(4):
        subscribe(events=["workflow.completed"])

    run = completed_run(
        api, workflow_id=workflow(api, name="Wide")["id"], webhook_url=receiver.url("/callback")
    )

    *_, event = events_of(api, run["id"])
    assert (event["recipients"], len(event["deliveries"])) == (5, 1)
    chunks.carry_on()
    *_, event = events_of(api, run["id"])
    assert len(event["deliveries"]) == 5


def test_a_batch_has_many_events_with_many_recipients(
    api: APIClient, many: list[Subscription], subscribe: Subscribe
) -> None:
    subscribe(events=["order.rare"], workflow_ids=["wf_1"])
    few = {"event_type": "order.none", "data": {}}
    Subscription.objects.filter(pk=many[0].pk).update(events=["order.paid"])

    results = answer(api.post("/v1/events/batch", {"events": [EVENT, few, EVENT]}))["results"]

    assert [result["subscriptions"] for result in results] == [10, 9, 10]
    chunks.carry_on()
    for result in results:
        event = Event.objects.get(event_id=result["event_id"])
        assert len(recipients(event)) == result["subscriptions"]


def test_the_same_event_again_is_told_once(api: APIClient, many: list[Subscription]) -> None:
    answers = [answer(api.post("/v1/events", EVENT | {"event_id": "evt_1"}), 202) for _ in range(2)]

    assert answers[0] == answers[1]
    assert FanOut.objects.count() == 1


def test_nothing_is_left_of_an_event_that_is_rolled_back(
    organization: Organization, many: list[Subscription], wake_ups: CollectedWakeUps
) -> None:
    happen(organization, event_id="evt_1")
    with pytest.raises(IntegrityError), transaction.atomic():
        outbox.append(new_event(organization, event_id="evt_1"))

    assert (FanOut.objects.count(), wake_ups.fan_outs) == (1, 1)


def test_an_organization_goes_with_its_events_that_wait(
    organization: Organization, many: list[Subscription]
) -> None:
    event = happen(organization)
    chunks.advance(FanOut.objects.get().pk)

    event.delete()

    assert (FanOut.objects.count(), Delivery.objects.count()) == (0, 0)


def test_a_worker_looks_by_itself_and_survives_a_database_that_restarts(
    organization: Organization, many: list[Subscription], settings: Settings
) -> None:
    settings.REQUEUE_INTERVAL_SECONDS = 0.05
    loop = FanOutLoop()
    loop.start()
    try:
        for number in (10, 20):
            happen(organization)
            done_by(number)
            terminate_other_connections()
    finally:
        loop.stop()
    assert loop.join(10)


def test_a_worker_that_is_woken_up_looks_at_once(
    organization: Organization, many: list[Subscription], settings: Settings
) -> None:
    settings.REQUEUE_INTERVAL_SECONDS = 60
    loop = FanOutLoop()
    loop.start()
    try:
        happen(organization)
        loop.wake()
        done_by(10)
    finally:
        loop.stop()
    assert loop.join(10)


def done_by(number: int) -> None:
    ends = time.monotonic() + 10
    while Delivery.objects.count() < number or FanOut.objects.exists():
        assert time.monotonic() < ends, "nobody makes the deliveries"
        time.sleep(0.02)


def test_the_admin_and_the_doctor_show_what_waits(
    organization: Organization, many: list[Subscription], admin_client: Client, settings: Settings
) -> None:
    settings.DUE_LATE_WARNING_SECONDS = 0
    event = happen(organization)
    chunks.advance(FanOut.objects.get().pk)

    page = admin_client.get(f"/admin/delivery/event/{event.pk}/change/").content.decode()

    assert "Recipients without a delivery yet" in page
    assert '<div class="readonly">7</div>' in page
    (finding,) = doctor.rows.fan_outs()
    assert (finding.level, finding.what[:28]) == ("warning", "1 event waits for fan-out, t")
    chunks.carry_on()
    (finding,) = doctor.rows.fan_outs()
    assert finding.level == "ok"


def test_a_chunk_reads_by_keys(organization: Organization, many: list[Subscription]) -> None:
    happen(organization)
    parameters: Any = {"id": FanOut.objects.get().pk, "rows": 500, "disabled": hold.SUBSCRIPTION_DISABLED}
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"EXPLAIN {chunks.CHUNK}", parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")

    assert "Seq Scan" not in plan
