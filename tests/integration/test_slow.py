"""A receiver that hangs goes to the slow lane, costs others nothing, and comes back when it answers."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from pytest_django import DjangoAssertNumQueries, Settings

from delivery import slow, slow_rows
from delivery.deliver import RECEIVER_SLOW
from delivery.loop.engine import Engine
from delivery.models import Attempt, Delivery, SlowReceiver
from delivery.slow import SlowReceivers, key_of, receiver_of
from delivery.states import Lane, State
from subscriptions import services
from subscriptions.models import Organization, Subscription
from tests.integration.attempts import new_engine
from tests.integration.test_engine import finished, made, states, submit
from tests.integration.test_outbox import happen
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
HANGS, TIMEOUT_SECONDS = "/hangs", 0.3
HOST = (1, "https://hooks.example:443")


@pytest.fixture
def hanging() -> Iterator[Receiver]:
    with Receiver() as running:
        running.hang(HANGS)
        yield running


@pytest.fixture
def engine() -> Iterator[Engine]:
    running = new_engine()
    running.start()
    yield running
    assert running.stop(30)


def made_for(
    organization: Organization,
    subscribe: Subscribe,
    url: str,
    number: int,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[Delivery]:
    """So many deliveries to this URL alone."""
    Subscription.objects.update(is_active=False)
    subscription = subscribe(url=url, timeout_seconds=timeout_seconds, retry_schedule=[3600] * 3)
    deliveries = made(organization, number)
    Subscription.objects.filter(pk=subscription.pk).update(events=["workflow.queued"])
    Subscription.objects.update(is_active=True)
    return deliveries


def put_aside() -> int:
    return Delivery.objects.filter(lane=Lane.SLOW, reason=RECEIVER_SLOW, attempts=0).count()


def become_slow(
    engine: Engine, organization: Organization, subscribe: Subscribe, hanging: Receiver
) -> list[Delivery]:
    deliveries = made_for(organization, subscribe, hanging.url(HANGS), 30)
    finished(submit(engine, *deliveries[:3]), 3)
    assert slow.receivers().is_slow(key_of(organization.pk, hanging.url()))
    return deliveries[3:]


def test_three_time_outs_in_a_row_make_a_receiver_slow_and_the_rest_waits_in_the_slow_lane(
    engine: Engine, organization: Organization, subscribe: Subscribe, hanging: Receiver
) -> None:
    rest = become_slow(engine, organization, subscribe, hanging)

    results = submit(engine, *rest)
    finished(results, len(rest) - 2)

    assert put_aside() == len(rest) - 2
    finished(results, 2)
    assert len(hanging.at(HANGS)) == 5, "two are tried"
    waits = Delivery.objects.filter(lane=Lane.SLOW).order_by("next_attempt_at")
    first, last = waits[0].next_attempt_at, waits[24].next_attempt_at
    assert first is not None
    assert last is not None
    assert 24 * TIMEOUT_SECONDS / 2 * 0.9 < (last - first).total_seconds() < 24 * TIMEOUT_SECONDS


def test_300_deliveries_to_a_receiver_that_hangs_cost_the_others_nothing(
    engine: Engine,
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    hanging: Receiver,
) -> None:
    # On a busy machine the receivers of a test, which share one process, take a while.
    well = made_for(organization, subscribe, receiver.url(), 100, timeout_seconds=10)
    stuck = made_for(organization, subscribe, hanging.url(HANGS), 300)
    waiting = submit(engine, *stuck)
    began = time.monotonic()

    finished(submit(engine, *well), 100)

    assert time.monotonic() - began < 5
    assert states(well) == {State.DELIVERED}
    finished(waiting, 300)
    assert Attempt.objects.exclude(delivery__in=well).count() < 200
    assert len(hanging.at(HANGS)) < 200


def test_it_comes_back_with_its_first_answer_and_what_waited_goes_out(
    engine: Engine, organization: Organization, subscribe: Subscribe, hanging: Receiver
) -> None:
    rest = become_slow(engine, organization, subscribe, hanging)
    finished(submit(engine, *rest), len(rest))
    slow.receivers().sync()
    assert SlowReceiver.objects.get().receiver == receiver_of(hanging.url())
    hanging.recover(HANGS)
    Delivery.objects.filter(pk=rest[-1].pk).update(next_attempt_at=Now())

    finished(submit(engine, rest[-1]), 1)
    assert not slow.receivers().is_slow(key_of(organization.pk, hanging.url()))
    slow.receivers().sync()

    assert not SlowReceiver.objects.exists()
    assert not Delivery.objects.filter(lane=Lane.SLOW, finished_at=None).exists()
    waiting = Delivery.objects.filter(reason="receiver_recovered", lane=Lane.RETRY, nudged_at=None)
    assert waiting.count() == len(rest) - 3
    assert not waiting.filter(next_attempt_at__gt=Now() + timedelta(seconds=1)).exists()


def test_a_process_learns_from_the_others_and_lets_go_what_it_has_put_aside(
    organization: Organization, subscribe: Subscribe, hanging: Receiver
) -> None:
    (delivery,) = made_for(organization, subscribe, hanging.url(HANGS), 1)
    name = key_of(organization.pk, hanging.url())
    ours, theirs = SlowReceivers(), SlowReceivers()
    for _ in range(3):
        theirs.timed_out(name, began=time.monotonic())
    theirs.sync()
    ours.sync()
    assert ours.is_slow(name)
    theirs.answered(name)
    theirs.sync()
    later = Now() + timedelta(minutes=20)
    Delivery.objects.filter(pk=delivery.pk).update(lane=Lane.SLOW, next_attempt_at=later)

    ours.sync()

    assert not ours.is_slow(name)
    delivery.refresh_from_db()
    assert delivery.lane == Lane.RETRY


def test_time_outs_are_counted_and_time_goes_by_without_one(settings: Settings) -> None:
    ours = SlowReceivers()
    for _ in range(5):
        ours.timed_out(HOST, began=time.monotonic())
    ours.sync()
    ours.timed_out(HOST, began=time.monotonic())
    ours.sync()
    assert SlowReceiver.objects.get().timeouts == 6

    SlowReceiver.objects.update(last_timeout_at=Now() - timedelta(minutes=11))
    ours.sync()

    assert not SlowReceiver.objects.exists()
    assert not ours.is_slow(HOST)


def test_time_outs_that_are_not_in_a_row_or_far_apart_make_nobody_slow(settings: Settings) -> None:
    ours, name = SlowReceivers(), HOST
    for _ in range(5):
        ours.timed_out(name, began=time.monotonic())
        ours.timed_out(name, began=time.monotonic())
        ours.answered(name)
    assert not ours.is_slow(name)
    settings.DELIVERY_SLOW_PERIOD_SECONDS = 0.0

    for _ in range(5):
        ours.timed_out(name, began=time.monotonic())

    assert not ours.is_slow(name)


def test_requests_from_before_the_recovery_do_not_count_against_it() -> None:
    ours, name = SlowReceivers(), HOST
    began = time.monotonic()
    for _ in range(3):
        ours.timed_out(name, began=began)
    ours.answered(name)

    for _ in range(10):
        ours.timed_out(name, began=began)

    assert not ours.is_slow(name)


def test_nothing_is_asked_of_the_database_for_receivers_that_are_well(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    ours = SlowReceivers()
    with django_assert_num_queries(0):
        ours.answered(HOST)
        ours.timed_out(HOST, began=time.monotonic())
        ours.answered(HOST)
    with django_assert_num_queries(1):
        ours.sync()


def test_a_receiver_that_refuses_connections_is_not_slow(
    engine: Engine, organization: Organization, subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.__exit__()
    deliveries = made_for(organization, subscribe, receiver.url(), 10)

    finished(submit(engine, *deliveries), 10)

    assert Attempt.objects.filter(error_class="connection_refused").count() == 10
    assert not slow.receivers().is_slow(key_of(organization.pk, receiver.url()))


def test_a_test_event_is_sent_at_once_though_its_receiver_is_slow(
    engine: Engine, organization: Organization, subscribe: Subscribe, hanging: Receiver
) -> None:
    rest = become_slow(engine, organization, subscribe, hanging)
    Delivery.objects.filter(pk__in=[one.pk for one in rest[:5]]).update(is_test=True)

    finished(submit(engine, *rest[:5]), 5)

    assert len(hanging.at(HANGS)) == 3 + 5


def test_a_callback_has_a_receiver_too(
    engine: Engine, organization: Organization, subscribe: Subscribe, hanging: Receiver
) -> None:
    rest = become_slow(engine, organization, subscribe, hanging)
    callback = {
        "url": hanging.url(HANGS),
        "payload_format": "standard",
        "signature_schemes": ["none"],
        "retry_policy": "standard",
        "retry_schedule": None,
        "timeout_seconds": TIMEOUT_SECONDS,
        "workflow_id": "",
        "api_key_id": None,
        "encrypted_secret": "",
    }
    Delivery.objects.update(subscription=None, callback=callback)

    finished(submit(engine, *rest), len(rest))

    assert put_aside() == len(rest) - 2


def test_the_plain_way_puts_aside_what_is_not_in_the_slow_lane_yet_and_tries_what_is(
    organization: Organization,
    subscribe: Subscribe,
    hanging: Receiver,
    attempt: Callable[..., object],
) -> None:
    deliveries = made_for(organization, subscribe, hanging.url(HANGS), 5)
    for delivery in deliveries[:3]:
        attempt(delivery)

    attempt(deliveries[3])
    assert put_aside() == 1
    assert len(hanging.at(HANGS)) == 3
    hanging.recover(HANGS)
    Delivery.objects.filter(pk=deliveries[3].pk).update(next_attempt_at=Now())
    attempt(deliveries[3])
    attempt(deliveries[4])

    assert states(deliveries[3:]) == {State.DELIVERED}


def test_a_replay_that_was_put_aside_goes_back_to_its_own_lane(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscribe(url="http://127.0.0.1:80/hook")
    original, replayed = (happen(organization).deliveries.get() for _ in range(2))
    Delivery.objects.update(lane=Lane.SLOW, url="http://127.0.0.1/hook")
    Delivery.objects.filter(pk=replayed.pk).update(replay_of=original)

    assert slow_rows.release(organization.pk, "http://127.0.0.1:80") == 2

    lanes = dict(Delivery.objects.values_list("pk", "lane"))
    assert lanes == {original.pk: Lane.RETRY, replayed.pk: Lane.REPLAY}


def test_another_organizations_deliveries_to_the_same_host_are_not_put_aside(
    engine: Engine,
    organization: Organization,
    other_organization: Organization,
    subscribe: Subscribe,
    hanging: Receiver,
) -> None:
    become_slow(engine, organization, subscribe, hanging)
    values = {"name": "Theirs", "url": hanging.url("/well"), "events": ["*"]}
    services.subscription_create(organization=other_organization, values=values)
    theirs = made(other_organization, 10)

    finished(submit(engine, *theirs), 10)

    assert states(theirs) == {State.DELIVERED}
    assert slow.receivers().is_slow(key_of(organization.pk, hanging.url()))
