"""Many attempts at once: in batches, without one being in another's way."""

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from delivery import deliver, worker
from delivery.deliver import Again
from delivery.loop import engine as engine_module
from delivery.loop import recording
from delivery.loop.engine import Engine
from delivery.loop.permits import Line, Permits
from delivery.loop.stages import Job
from delivery.models import Attempt, Delivery
from delivery.recorder import Outcome, record_many
from delivery.short_waits import ShortWaits
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.integration.test_outbox import happen
from tests.receiver import Receiver

Results = SimpleQueue[Again | Exception | None]


@pytest.fixture
def engine() -> Iterator[Engine]:
    running = Engine(
        worker.new_loop_transport,
        ShortWaits(longest_seconds=60, most=1000),
        Permits(per_receiver=64, per_organization=256),
    )
    running.start()
    yield running
    running.stop(10)


def submit(engine: Engine, *deliveries: Delivery, attempt: int = 1) -> Results:
    results: Results = SimpleQueue()
    for delivery in deliveries:
        engine.submit(Job(delivery.id, attempt, results.put))
    return results


def finished(results: Results, number: int) -> list[Again | Exception | None]:
    return [results.get(timeout=30) for _ in range(number)]


def states(deliveries: list[Delivery]) -> set[str]:
    ids: list[UUID] = [delivery.id for delivery in deliveries]
    return set(Delivery.objects.filter(id__in=ids).values_list("state", flat=True))


def made(organization: Organization, number: int) -> list[Delivery]:
    return [happen(organization).deliveries.get() for _ in range(number)]


def test_a_hundred_messages_become_a_hundred_requests_and_records(
    engine: Engine, organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    subscribe()
    deliveries = made(organization, 100)

    assert set(finished(submit(engine, *deliveries), 100)) == {None}

    assert states(deliveries) == {State.DELIVERED}
    sent = [request.headers["webhook-id"] for request in receiver.at()]
    assert sorted(sent) == sorted(delivery.webhook_id for delivery in deliveries)
    assert Attempt.objects.count() == 100


def test_the_same_message_many_times_is_one_request(
    engine: Engine, organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    subscribe()
    (delivery,) = made(organization, 1)

    finished(submit(engine, *[delivery] * 20), 20)

    assert len(receiver.at()) == 1


def test_a_message_that_finds_nothing_to_claim_is_finished_all_the_same(
    engine: Engine, organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    subscribe()
    done, due = made(organization, 2)
    finished(submit(engine, done), 1)

    assert finished(submit(engine, done, due), 2) == [None, None]

    assert len(receiver.at()) == 2


def test_a_receiver_that_hangs_holds_up_no_other(
    engine: Engine, organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    receiver.hang("/hangs")
    hanging = subscribe(url=receiver.url("/hangs"))
    stuck = made(organization, 50)
    hanging.is_active = False
    hanging.save()
    subscribe()
    well = made(organization, 20)
    waiting = submit(engine, *stuck)

    finished(submit(engine, *well), 20)

    assert states(well) == {State.DELIVERED}
    receiver.recover("/hangs")
    finished(waiting, 50)


def test_connections_that_were_cut_cost_no_attempt(
    engine: Engine, organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    subscribe()
    before, after = made(organization, 2)
    finished(submit(engine, before), 1)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND backend_type = 'client backend'"
        )
    assert finished(submit(engine, after), 1) == [None]

    assert states([before, after]) == {State.DELIVERED}
    assert len(receiver.at()) == 2


def test_an_outcome_that_cannot_be_written_spoils_no_other(
    engine: Engine,
    organization: Organization,
    subscribe: Callable[..., Subscription],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe()
    deliveries = made(organization, 10)
    bad = deliveries[3].id

    def choosy(outcomes: list[Outcome]) -> set[UUID]:
        if any(outcome.claimed.id == bad for outcome in outcomes):
            raise ValueError("cannot be written")
        return record_many(outcomes)

    monkeypatch.setattr(recording, "record_many", choosy)

    def alone(outcome: Outcome) -> bool:
        return outcome.id in choosy([outcome])

    monkeypatch.setattr(recording, "record", alone)
    results = finished(submit(engine, *deliveries), 10)

    assert [str(result) for result in results if result is not None] == ["cannot be written"]
    others = [delivery for delivery in deliveries if delivery.id != bad]
    assert states(others) == {State.DELIVERED}


def test_stopping_lets_what_is_under_way_end(
    organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    running = Engine(
        worker.new_loop_transport,
        ShortWaits(longest_seconds=60, most=1000),
        Permits(per_receiver=64, per_organization=256),
    )
    running.start()
    subscribe()
    deliveries = made(organization, 30)
    results: Any = submit(running, *deliveries)

    assert running.stop(20)

    assert states(deliveries) == {State.DELIVERED}
    assert results.qsize() == 30


def test_a_claim_that_breaks_finishes_its_messages_and_the_next_one_works(
    engine: Engine,
    organization: Organization,
    subscribe: Callable[..., Subscription],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe()
    deliveries = made(organization, 3)
    with monkeypatch.context() as broken:
        broken.setattr(engine_module, "claim_many", lambda asked: 1 / 0)
        results = finished(submit(engine, *deliveries), 3)

    assert {type(result) for result in results} == {ZeroDivisionError}
    assert finished(submit(engine, *deliveries), 3) == [None] * 3
    assert states(deliveries) == {State.DELIVERED}


@pytest.mark.parametrize("broken", ["is_slow", "put_aside"])
def test_a_delivery_that_breaks_before_it_is_sent_is_finished_and_the_next_one_is_sent(
    engine: Engine,
    organization: Organization,
    subscribe: Callable[..., Subscription],
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    subscribe()
    breaks, goes = made(organization, 2)
    with monkeypatch.context() as patched:
        if broken == "put_aside":
            patched.setattr(deliver, "is_slow", lambda prepared: True)
            patched.setattr(engine_module, "take_all", no_place)
        patched.setattr(deliver, broken, lambda *_, **__: 1 / 0)
        (result,) = finished(submit(engine, breaks), 1)

    assert isinstance(result, ZeroDivisionError)
    assert finished(submit(engine, goes), 1) == [None]
    assert states([goes]) == {State.DELIVERED}


async def no_place(lines: Sequence[Line], seconds: float) -> Line | None:
    return lines[0]
