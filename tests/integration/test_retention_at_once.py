"""The retention beside everything else: replays, running deliveries, a second process, a sudden end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from pytest_django import Settings

from delivery.deliver import Again
from delivery.models import Attempt, Delivery, Event, EventBody
from delivery.replays import services as replays
from delivery.replays.chunks import keep_events
from delivery.retention import batches
from delivery.retention.prune import ADVISORY_LOCK, OthersPrune, prune_for_a_while
from delivery.selectors import is_body_kept
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.factories import at_once
from tests.integration.aged import aged, pruned
from tests.integration.test_outbox import happen
from tests.receiver import Receiver
from webhooks_project.errors import DomainError

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe()


def elsewhere(work: Callable[[], Any]) -> Any:
    """What `work` returns, on a connection of its own."""

    def on_its_own() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(on_its_own).result(30)


def test_an_event_that_somebody_is_about_to_send_again_is_skipped_and_nobody_waits(
    organization: Organization, subscription: Subscription
) -> None:
    busy, _ = (aged(organization, 91).deliveries.get() for _ in range(2))

    with transaction.atomic():
        keep_events([busy.pk])
        elsewhere(pruned)

    assert list(Delivery.objects.all()) == [busy]
    pruned()
    assert not Delivery.objects.exists()


def test_a_batch_that_has_to_wait_for_a_row_is_left_for_later(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    settings.RETENTION_BATCH_ROWS = 2
    first, _ = (aged(organization, 91).deliveries.get() for _ in range(2))

    with transaction.atomic():
        Delivery.objects.select_for_update().get(pk=first.pk)
        elsewhere(pruned)

    assert list(Delivery.objects.all()) == [first]


@pytest.mark.parametrize("kind", ["events", "bodies"])
def test_a_replay_and_the_retention_at_once_leave_no_delivery_without_its_body(
    organization: Organization, subscription: Subscription, settings: Settings, kind: str
) -> None:
    """Whoever comes first: the copy keeps everything, or there is nothing to copy."""
    settings.EVENTS_RETENTION_DAYS = 90 if kind == "events" else 0
    settings.BODIES_RETENTION_DAYS = 30
    outcomes = set()
    for _ in range(12):
        old = aged(organization, 91, state=State.EXHAUSTED).deliveries.get()

        def replay(old: Delivery = old) -> str:
            try:
                return replays.replay(organization=organization, delivery_id=old.pk).state
            except DomainError as error:
                return error.error_code

        said, _ = at_once(replay, lambda: str(pruned().deleted.total()))
        live = Delivery.objects.filter(finished_at=None).annotate(kept=is_body_kept())
        assert [delivery.kept for delivery in live] == ([True] if said == State.PENDING else [])
        outcomes.add(said)
        Delivery.objects.update(state=State.CANCELLED, finished_at="2020-01-01T00:00Z", next_attempt_at=None)
    assert outcomes <= {State.PENDING, "not_found", "not_replayable"}


def test_beside_running_deliveries_nothing_live_is_touched(
    organization: Organization,
    subscription: Subscription,
    attempt: Attempting,
    receiver: Receiver,
    settings: Settings,
) -> None:
    settings.RETENTION_BATCH_ROWS = 2
    for _ in range(20):
        aged(organization, 91)
    held = aged(organization, 91, state=State.HELD)
    stop = Flag()

    def prune_again_and_again() -> int:
        passes = 0
        while not stop.is_set() or not passes:
            pruned()
            passes += 1
        connections.close_all()
        return passes

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(prune_again_and_again)
        fresh = [happen(organization).deliveries.get() for _ in range(30)]
        for delivery in fresh:
            attempt(delivery)
        stop.set()
        running.result(60)

    assert len(receiver.requests) == 30
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DELIVERED, State.HELD}
    assert Event.objects.count() == EventBody.objects.count() == 31
    assert held.deliveries.get().attempt_log.count() == 2


def test_who_is_killed_in_the_middle_leaves_nothing_half_done_and_the_next_one_goes_on(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    settings.RETENTION_BATCH_ROWS = 2
    for _ in range(6):
        aged(organization, 91)

    def killed() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (own,) = cursor.fetchone()
        pruned(pause=lambda seconds: elsewhere(lambda: terminate(own)))

    with pytest.raises(OperationalError):
        elsewhere(killed)

    assert 0 < Event.objects.count() < 6
    assert Delivery.objects.count() == EventBody.objects.count() == Event.objects.count()
    assert Attempt.objects.count() == 2 * Event.objects.count()
    pruned()
    assert not Event.objects.exists()


def terminate(process_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process_id])


def test_a_batch_that_breaks_off_takes_nothing(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(organization, 91)
    monkeypatch.setitem(batches.DELETES, "events", "SELECT 1 / 0")

    with pytest.raises(Exception, match="division by zero"):
        pruned()

    assert (Event.objects.count(), Delivery.objects.count(), Attempt.objects.count()) == (1, 1, 2)


def test_it_stops_between_two_batches_when_told_to(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    settings.RETENTION_BATCH_ROWS = 2
    for _ in range(4):
        aged(organization, 91)
    looks = iter([False] * 4)

    tally = pruned(stop=lambda: next(looks, True))

    assert not tally.is_done
    assert 0 < Event.objects.count() < 4


def test_it_keeps_its_rate_and_rests_as_long_as_it_works(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    settings.RETENTION_BATCH_ROWS = 2
    for _ in range(3):
        aged(organization, 91)
    pauses: list[float] = []

    pruned(pause=pauses.append, rate=1.0)

    # An event, its body, its delivery and two attempts are five rows; the batch itself takes no second.
    assert len(pauses) == 3
    assert all(4 < pause <= 5 for pause in pauses)


def test_one_process_prunes_at_a_time(organization: Organization, subscription: Subscription) -> None:
    aged(organization, 91)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])

    with pytest.raises(OthersPrune):
        elsewhere(pruned)
    elsewhere(lambda: prune_for_a_while(lambda: False))

    assert Event.objects.count() == 1
    connection.close()
    elsewhere(pruned)
    assert not Event.objects.exists()
