"""No receiver and no organization takes all places of a worker; whoever finds none comes back."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from delivery.deliver import CLAIM_LATE, RECEIVER_SLOW
from delivery.loop.engine import RECEIVER_BUSY
from delivery.loop.permits import AWAY_MAX_SECONDS, SOON_SECONDS, Line, Permits, give_back_all, take_all
from delivery.models import Attempt, Delivery
from delivery.pace import RATE_LIMITED
from delivery.slow import receiver_of
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.integration.attempts import new_engine
from tests.integration.test_engine import finished, made, states, submit
from tests.receiver import Receiver


def test_what_finds_no_place_is_given_back_unsent_and_due_again_soon(
    organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    receiver.hang()
    subscribe()
    deliveries = made(organization, 5)
    engine = new_engine(per_receiver=3)
    engine.start()
    results: SimpleQueue[Any] = submit(engine, *deliveries)

    finished(results, 2)

    away = Delivery.objects.filter(reason=RECEIVER_BUSY)
    assert away.count() == 2
    for delivery in away:
        assert (delivery.state, delivery.attempts, delivery.lease_until) == (State.PENDING, 0, None)
        assert delivery.next_attempt_at is not None
        assert 0 < (delivery.next_attempt_at - delivery.created_at).total_seconds() < 15
    assert Attempt.objects.count() == 0
    assert engine.given_back == {RECEIVER_BUSY: 2, RECEIVER_SLOW: 0, RATE_LIMITED: 0, CLAIM_LATE: 0}
    receiver.recover()
    finished(results, 3)
    assert engine.stop(10)
    assert len(receiver.at()) == 3


def test_a_place_that_comes_free_soon_is_waited_for(
    organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    subscribe()
    deliveries = made(organization, 30)
    engine = new_engine(per_receiver=1)
    engine.start()

    finished(submit(engine, *deliveries), 30)

    assert engine.stop(10)
    assert states(deliveries) <= {State.DELIVERED, State.PENDING}
    assert Attempt.objects.filter(success=True).count() >= 10


def test_a_line_serves_in_order_and_a_place_is_handed_over() -> None:
    async def story() -> list[str]:
        line, said = Line(limit=1), []
        assert await line.take(1)

        async def next_one(name: str) -> None:
            if await line.take(5):
                said.append(name)
                line.give_back()

        tasks = [asyncio.create_task(next_one(name)) for name in "abc"]
        await asyncio.sleep(0)
        line.give_back()
        await asyncio.gather(*tasks)
        assert line.taken == 0
        return said

    assert asyncio.run(story()) == ["a", "b", "c"]


def test_an_organization_over_all_its_receivers_is_bounded_too() -> None:
    async def story() -> list[bool]:
        permits = Permits(per_receiver=10, per_organization=2)
        taken = []
        for number in range(3):
            lines = permits.lines(receiver=f"r{number}", organization_id=1)
            taken.append(await take_all(lines) is None)
        other = permits.lines(receiver="r0", organization_id=2)
        taken.append(await take_all(other) is None)
        give_back_all(other)
        return taken

    assert asyncio.run(story()) == [True, True, False, True]


def test_those_sent_away_come_back_one_after_the_other_but_not_too_late() -> None:
    line = Line(limit=10)

    seconds = [line.away_seconds(request_seconds=10.0) for _ in range(100)]

    assert seconds[0] > SOON_SECONDS
    assert 0.9 < seconds[1] - seconds[0] < 1.1
    assert max(seconds) <= AWAY_MAX_SECONDS


def test_those_sent_away_from_a_quick_receiver_come_back_as_fast_as_it_answers() -> None:
    line = Line(limit=10)
    line.taken = 2
    line.give_back(held_seconds=0.1)
    line.give_back(held_seconds=0.1)

    seconds = [line.away_seconds(request_seconds=10.0) for _ in range(100)]

    assert 0.9 < seconds[-1] - seconds[0] < 1.1


def test_a_receiver_that_hangs_is_not_taken_for_quick_because_it_was_so_before() -> None:
    line = Line(limit=10)
    line.taken = 21
    line.give_back(held_seconds=0.1)
    for _ in range(20):
        line.give_back(held_seconds=10.0)

    assert line.held_seconds is not None
    assert line.held_seconds > 9


def test_two_processes_share_what_a_receiver_may_have_open(
    organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    receiver.hang()
    subscribe()
    engines = [new_engine(per_receiver=4), new_engine(per_receiver=4)]
    waiting = []
    for engine in engines:
        engine.start()
        engine.share_among(2)
        waiting.append(submit(engine, *made(organization, 5)))

    for results in waiting:
        finished(results, 3)

    assert len(receiver.at()) == 4
    receiver.recover()
    assert [engine.stop(10) for engine in engines] == [True, True]
    assert len(receiver.at()) == 4


def test_a_larger_share_serves_at_once_those_that_wait(
    organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    receiver.hang()
    subscribe()
    engine = new_engine(per_receiver=4)
    engine.start()
    engine.share_among(4)
    results = submit(engine, *made(organization, 4))
    receiver.wait_for(1)

    engine.share_among(1)

    receiver.wait_for(4)
    receiver.recover()
    finished(results, 4)
    assert engine.stop(10)


def test_a_smaller_share_counts_as_soon_as_enough_places_have_come_back() -> None:
    async def story() -> list[bool]:
        line, taken = Line(limit=4), []
        for _ in range(4):
            assert await line.take(0)
        line.share_among(2)
        for _ in range(3):
            line.give_back()
            taken.append(await line.take(0.001))
        return taken

    assert asyncio.run(story()) == [False, False, True]


@pytest.mark.parametrize(
    ("limit", "workers", "places"), [(128, 1, 128), (128, 3, 43), (2, 5, 1), (512, 0, 512)]
)
def test_a_share_is_rounded_up_and_never_nothing(limit: int, workers: int, places: int) -> None:
    permits = Permits(per_receiver=limit, per_organization=1)
    permits.share_among(workers)

    line, _ = permits.lines(receiver="r", organization_id=1)

    assert line.places == places


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://Hooks.Example/a", "https://hooks.example:443"),
        ("https://hooks.example.:443/b?c", "https://hooks.example:443"),
        ("http://hooks.example:443/", "http://hooks.example:443"),
        ("https://[2606:4700:4700:0::1111]/", "https://[2606:4700:4700::1111]:443"),
        ("nonsense", ""),
    ],
)
def test_a_receiver_is_the_same_however_its_url_is_written(url: str, receiver: str) -> None:
    assert receiver_of(url) == receiver
