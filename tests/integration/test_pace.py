"""A subscription's rate limit: what its receiver sees, and what becomes of the deliveries that wait."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from delivery import pace
from delivery.loop import pacing
from delivery.loop.engine import Engine
from delivery.loop.stages import Job
from delivery.models import Attempt, Delivery
from delivery.replays.chunks import insert_copies
from delivery.requeue import UNTOLD, mark_due
from delivery.services import send_test
from delivery.states import Lane, State
from subscriptions import paces
from subscriptions.models import Organization, Subscription
from subscriptions.services import subscription_update
from tests.brokers import Broker
from tests.integration.attempts import both_ways, new_engine
from tests.integration.test_engine import finished, made, submit
from tests.integration.test_queries import fill, plan
from tests.integration.test_sender import closed_port
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Any]


@pytest.fixture(autouse=True)
def store(settings: Settings, server: Broker) -> None:
    """A real one, with keys of this test's own."""
    settings.CELERY_BROKER_URL = server.url
    settings.RATE_LIMIT_STORE_TIMEOUT_SECONDS = 1.0
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"test-{time.monotonic_ns()}:"}
    settings.REQUEUE_INTERVAL_SECONDS = 0.3


@pytest.fixture
def engines() -> Iterator[list[Engine]]:
    """Two workers."""
    running = [new_engine(), new_engine()]
    for engine in running:
        engine.start()
    yield running
    for engine in running:
        assert engine.stop(10)


def work(engines: list[Engine], settings: Settings, *, until: Callable[[], bool], most: float = 30) -> None:
    """What a requeuer does: each interval what is due goes to the workers, by turns."""
    results: SimpleQueue[Any] = SimpleQueue()
    ends = time.monotonic() + most
    while not until():
        assert time.monotonic() < ends, "it takes too long"
        for lane in Lane:
            for place, due in enumerate(mark_due(lane, UNTOLD, look_began=time.monotonic(), rows=1000)):
                engines[place % len(engines)].submit(Job(due.delivery_id, due.attempt, results.put))
        time.sleep(settings.REQUEUE_INTERVAL_SECONDS)
    while not results.empty():
        assert results.get() is None


def untold(*deliveries: Delivery) -> None:
    Delivery.objects.filter(pk__in=[each.pk for each in deliveries]).update(nudged_at=None)


def most_within(moments: list[float], seconds: float) -> int:
    """The most of them in any window of that length."""
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


def delivered() -> int:
    return Delivery.objects.filter(state=State.DELIVERED).count()


def test_two_workers_together_keep_the_rate_and_use_nearly_all_of_it(
    engines: list[Engine],
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    settings: Settings,
) -> None:
    subscribe(rate_limit_per_second=20)
    deliveries = made(organization, 80)
    untold(*deliveries)

    work(engines, settings, until=lambda: delivered() == 80)

    moments = sorted(request.at for request in receiver.at())
    assert len(moments) == 80
    for seconds in (0.5, 1.0, 2.0):
        # One more is the moment between a request's place and its arrival.
        assert most_within(moments, seconds) <= 20 * seconds + 2 + 1
    assert 79 / (moments[-1] - moments[0]) > 0.85 * 20
    rows = Delivery.objects.values_list("attempts", "claim_number")
    assert {attempts for attempts, _ in rows} == {1}
    # Each is claimed when it comes and once more when its turn has come, rarely a third time.
    assert sum(claims for _, claims in rows) <= 2.2 * 80


def test_the_order_is_roughly_kept(
    engines: list[Engine],
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    settings: Settings,
) -> None:
    subscribe(rate_limit_per_second=50)
    first = made(organization, 20)
    untold(*first)
    finished(submit(engines[0], *first), 0)
    then = made(organization, 20)
    untold(*then)

    work(engines[:1], settings, until=lambda: delivered() == 40)

    place = {delivery.webhook_id: number for number, delivery in enumerate([*first, *then])}
    came = [place[request.headers["webhook-id"]] for request in receiver.at()]
    assert sum(number < 20 for number in came[:20]) >= 15


@pytest.mark.parametrize("way", both_ways)
def test_what_has_no_place_soon_is_given_back_without_using_up_an_attempt(
    way: str, transport: Any, organization: Organization, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(rate_limit_per_second=0.1)
    one, *others = made(organization, 4)

    with both_ways[way](transport) as attempt:
        for delivery in (one, *others):
            assert attempt(delivery) is None

    assert len(receiver.at()) == 1
    rows = Delivery.objects.exclude(pk=one.pk).order_by("next_attempt_at")
    assert [row.pk for row in rows] == [row.pk for row in others]
    for row, seconds in zip(rows, (10, 20, 30), strict=True):
        assert (row.state, row.reason, row.attempts) == (State.PENDING, pace.RATE_LIMITED, 0)
        assert (row.lease_until, row.claims_lost, row.nudged_at) == (None, 0, None)
        assert row.next_attempt_at is not None
        assert abs((row.next_attempt_at - timezone.now()).total_seconds() - seconds) < 5
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize(
    ("place", "broken"), [(pace, "wait_seconds"), (pacing.Pacing, "waited")], ids=["before", "after"]
)
def test_a_delivery_that_breaks_where_it_waits_for_its_turn_is_finished_and_the_next_one_is_sent(
    engines: list[Engine],
    organization: Organization,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    broken: str,
) -> None:
    subscribe(rate_limit_per_second=20)
    breaks, goes = made(organization, 2)
    with monkeypatch.context() as patched:
        patched.setattr(place, broken, lambda *_: 1 / 0)
        (result,) = finished(submit(engines[0], breaks), 1)

    assert isinstance(result, ZeroDivisionError)
    assert finished(submit(engines[0], goes), 1) == [None]


@pytest.mark.parametrize("way", both_ways)
def test_a_place_that_comes_soon_is_waited_for(
    way: str, transport: Any, organization: Organization, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(rate_limit_per_second=5)
    deliveries = made(organization, 3)

    with both_ways[way](transport) as attempt:
        for delivery in deliveries:
            attempt(delivery)

    first, *_, last = [request.at for request in receiver.at()]
    assert len(receiver.at()) == 3
    assert 0.35 < last - first < 1.0


@pytest.mark.parametrize("way", both_ways)
def test_without_a_limit_nobody_is_asked(
    way: str,
    transport: Any,
    organization: Organization,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe()
    (delivery,) = made(organization, 1)
    monkeypatch.setattr(paces, "reserve", lambda wishes: pytest.fail("the store was asked"))

    with both_ways[way](transport) as attempt:
        attempt(delivery)

    assert delivered() == 1


def test_a_batch_asks_once(
    engines: list[Engine],
    organization: Organization,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe(rate_limit_per_second=100)
    asked: list[int] = []
    reserve = paces.reserve

    def counted(wishes: Sequence[paces.Wish]) -> list[float]:
        asked.append(len(wishes))
        return reserve(wishes)

    monkeypatch.setattr(paces, "reserve", counted)

    finished(submit(engines[0], *made(organization, 40)), 40)

    assert sum(asked) == 40
    assert len(asked) < 20


def test_retries_and_replays_count_as_well(
    organization: Organization, subscribe: Subscribe, attempt: Attempting, receiver: Receiver
) -> None:
    subscribe(rate_limit_per_second=0.1)
    receiver.reply(500)
    one, other = made(organization, 2)
    attempt(one)
    Delivery.objects.filter(pk=one.pk).update(next_attempt_at=timezone.now())
    attempt(one, 2)
    Delivery.objects.filter(pk=other.pk).update(state=State.EXHAUSTED, finished_at=timezone.now())
    (copy,) = insert_copies([other.pk], new_ids=False)

    attempt(copy)

    assert len(receiver.at()) == 1
    rows = Delivery.objects.filter(reason=pace.RATE_LIMITED).order_by("next_attempt_at")
    assert [(row.pk, row.attempts) for row in rows] == [(one.pk, 1), (copy, 0)]


def test_a_test_event_goes_at_once_and_what_comes_after_it_waits_for_it(
    organization: Organization, subscribe: Subscribe, attempt: Attempting, receiver: Receiver
) -> None:
    subscription = subscribe(rate_limit_per_second=0.1)
    first, second = made(organization, 2)
    attempt(first)

    attempt(send_test(organization=organization, subscription_id=subscription.pk))
    attempt(second)

    assert len(receiver.at()) == 2
    second.refresh_from_db()
    assert second.next_attempt_at is not None
    assert second.next_attempt_at - timezone.now() > timedelta(seconds=15)


@pytest.mark.parametrize("limit", [1000, None])
def test_a_limit_that_is_raised_or_taken_away_counts_at_once(
    limit: float | None,
    engines: list[Engine],
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    settings: Settings,
) -> None:
    subscription = subscribe(rate_limit_per_second=0.01)
    deliveries = made(organization, 30)
    finished(submit(engines[0], *deliveries), 30)
    assert len(receiver.at()) == 1

    subscription_update(
        organization=organization,
        subscription_id=subscription.pk,
        values={"rate_limit_per_second": limit},
    )
    work(engines, settings, until=lambda: delivered() == 30)

    ids = [request.headers["webhook-id"] for request in receiver.at()]
    assert len(ids) == 30


def test_a_limit_that_is_set_counts_at_once(
    organization: Organization, subscribe: Subscribe, attempt: Attempting, receiver: Receiver
) -> None:
    subscription = subscribe()
    deliveries = made(organization, 4)
    attempt(deliveries[0])

    values = {"rate_limit_per_second": 0.1}
    subscription_update(organization=organization, subscription_id=subscription.pk, values=values)
    for delivery in deliveries[1:]:
        attempt(delivery)

    assert len(receiver.at()) == 2


def test_while_the_store_is_away_each_process_keeps_the_rate_and_nothing_is_lost(
    engines: list[Engine],
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    settings: Settings,
) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port()}/0"
    subscribe(rate_limit_per_second=20)
    untold(*made(organization, 30))

    work(engines, settings, until=lambda: delivered() == 30)

    moments = sorted(request.at for request in receiver.at())
    assert len(moments) == 30
    assert most_within(moments, 1.0) <= 20 + 2 + 1


def test_only_so_many_of_an_organization_wait_in_a_process(
    engines: list[Engine],
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pacing, "WAITING_MAX", 3)
    monkeypatch.setattr(pacing, "PACES_MAX", 64)
    subscribe(rate_limit_per_second=9)

    finished(submit(engines[0], *made(organization, 30)), 30)

    assert 1 <= len(receiver.at()) <= 4
    assert Delivery.objects.filter(reason=pace.RATE_LIMITED).count() == 30 - len(receiver.at())


def test_how_many_wait_is_on_the_subscription_s_page(
    organization: Organization, subscribe: Subscribe, attempt: Attempting
) -> None:
    subscription = subscribe(rate_limit_per_second=0.1)
    for delivery in made(organization, 3):
        attempt(delivery)
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))

    page = client.get(f"/admin/subscriptions/subscription/{subscription.pk}/change/").content.decode()

    assert "Waiting for the rate limit" in page
    assert "2 deliveries" in page
    assert pace.waiting_count(most=10_000) == 2


def test_what_waits_is_found_by_its_index_in_large_tables(organization: Organization) -> None:
    fill(organization)

    plans = [
        plan(pace.WAITING, {"subscription_id": None, "most": 10_000}),
        plan(pace.WAITING, {"subscription_id": 7, "most": 10_000}),
        plan(pace.BRING_FORWARD, {"subscription_id": 7, "rows": 5_000}),
    ]

    assert [text for text in plans if "delivery_rate_limited" not in text] == []
