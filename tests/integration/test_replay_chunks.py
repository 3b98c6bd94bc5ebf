"""How replays of many are carried out: the rate, crashes, several at once, and keys."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from delivery.models import Delivery, Replay
from delivery.replays import chunks as replay_chunks
from delivery.replays import services as replays
from delivery.replays.loop import ReplayLoop
from delivery.replays.model import ReplayState
from delivery.replays.plan import forecast
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.factories import at_once
from tests.integration.test_replay import (
    end,
    ended,
    ids,
    pass_time,
    replayed,
    start,
    subscription,
    through,
    wanted,
)
from tests.integration.test_worker_parts import terminate_other_connections
from webhooks_project.errors import Conflict, InvalidInput

__all__ = ["subscription"]

Subscribe = Callable[..., Subscription]


def test_the_rate_is_kept_by_the_databases_clock(
    organization: Organization, subscription: Subscription
) -> None:
    ended(organization, *[State.EXHAUSTED] * 5)
    replay = start(organization, states=(State.EXHAUSTED,), rate_per_second=2)

    wait = replay_chunks.carry_on()
    assert len(replayed()) == 2
    assert 0.5 < wait <= 1.0
    assert not replay_chunks.advance(replay.pk)

    pass_time(wait)
    replay_chunks.carry_on()
    assert len(replayed()) == 4

    through(replay)
    assert len(replayed()) == 5
    assert replay_chunks.carry_on() == float("inf")


def test_what_is_skipped_does_not_use_up_the_rate(
    organization: Organization, subscription: Subscription
) -> None:
    rows = ended(organization, *[State.EXHAUSTED] * 4)
    for row in rows[:3]:
        end(replays.replay(organization=organization, delivery_id=row.pk), state=State.DELIVERED)
    replay = start(organization, states=(State.EXHAUSTED,), rate_per_second=1)

    replay_chunks.advance(replay.pk)

    replay.refresh_from_db()
    assert (replay.replayed, replay.examined, replay.skipped) == (1, 4, {"delivered_since": 3})


@pytest.mark.parametrize("where", ["before the commit", "after the commit"])
def test_a_crash_between_chunks_loses_and_doubles_nothing(
    organization: Organization,
    subscription: Subscription,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    rows = ended(organization, *[State.EXHAUSTED] * 5)
    replay = start(organization, states=(State.EXHAUSTED,), rate_per_second=2)
    note = replay_chunks._note

    class Killed(BaseException):
        pass

    def killed(*args: Any, **values: Any) -> None:
        note(*args, **values)
        raise Killed

    pass_time(3600)
    if where == "before the commit":
        monkeypatch.setattr(replay_chunks, "_note", killed)
        with pytest.raises(Killed):
            replay_chunks.advance(replay.pk)
        monkeypatch.undo()
        assert replayed() == []
    else:
        assert replay_chunks.advance(replay.pk)
        connection.close()  # the process is gone; nothing else remembers the chunk
    through(replay)

    assert replayed() == ids(*rows)
    assert (replay.replayed, replay.examined) == (5, 5)


def test_a_replay_whose_chunk_fails_keeps_nobody_waiting(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = ended(organization)
    broken = start(organization, states=(State.EXHAUSTED,))
    Replay.objects.filter(pk=broken.pk).update(filter={"since": "nonsense"})
    sound = start(organization, states=(State.EXHAUSTED,), limit=7)

    replay_chunks.carry_on()

    assert replayed() == [old.pk]
    sound.refresh_from_db()
    broken.refresh_from_db()
    assert (sound.state, broken.state) == ("done", "running")
    assert Replay.objects.filter(pk=broken.pk, next_chunk_at__gt=Now()).exists()


def test_workers_at_the_same_replay_share_it(organization: Organization, subscription: Subscription) -> None:
    rows = ended(organization, *[State.EXHAUSTED] * 12)
    replay = start(organization, states=(State.EXHAUSTED,), rate_per_second=1000)

    at_once(*[replay_chunks.carry_on] * 4)
    through(replay)

    assert replayed() == ids(*rows)
    assert replay.replayed == 12


def test_overlapping_replays_at_once_send_each_event_once(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_chunks, "EXAMINED_ROWS_MAX", 3)
    rows = ended(organization, *[State.EXHAUSTED] * 12)
    running = [
        start(organization, states=(State.EXHAUSTED,)),
        start(organization, subscription_id=subscription.pk),
        start(None, states=(State.EXHAUSTED, State.BLOCKED)),
    ]

    at_once(*[replay_chunks.carry_on] * 4)
    through(*running)

    assert replayed() == ids(*rows)
    assert sum(replay.replayed for replay in running) == 12
    assert [replay.examined for replay in running] == [12, 12, 12]


def test_a_replay_by_hand_and_one_of_many_at_once_send_once(
    organization: Organization, subscription: Subscription
) -> None:
    for _ in range(5):
        (old,) = ended(organization)
        start(organization, delivery_ids=(old.pk,))

        def by_hand(old: Delivery = old) -> object:
            try:
                return replays.replay(organization=organization, delivery_id=old.pk)
            except Conflict:
                return None

        at_once(by_hand, by_hand, replay_chunks.carry_on)

        assert Delivery.objects.filter(replay_of=old).count() == 1


def test_a_worker_carries_replays_on_by_itself_and_survives_a_database_that_restarts(
    organization: Organization, subscription: Subscription, settings: Any
) -> None:
    settings.REPLAY_INTERVAL_SECONDS = 0.05
    rows = ended(organization, State.EXHAUSTED, State.EXHAUSTED)
    loop = ReplayLoop()
    loop.start()
    try:
        done_by(start(organization, delivery_ids=(rows[0].pk,)))
        terminate_other_connections()
        done_by(start(organization, delivery_ids=(rows[1].pk,)))
    finally:
        loop.stop()
    assert loop.join(10)
    assert replayed() == ids(*rows)


def done_by(replay: Replay) -> None:
    """Wait until somebody has carried it out."""
    ends = time.monotonic() + 10
    while replay.state != ReplayState.DONE:
        assert time.monotonic() < ends, "nobody carries it on"
        time.sleep(0.02)
        replay.refresh_from_db()


@pytest.mark.parametrize("rows_scanned", [1, 2, 5])
def test_the_size_of_the_windows_changes_nothing(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch, rows_scanned: int
) -> None:
    monkeypatch.setattr(replay_chunks, "SCANNED_ROWS_MAX", rows_scanned)
    subscribe()
    rows = ended(organization, *[State.EXHAUSTED, State.DELIVERED, State.DELIVERED] * 3)

    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)

    assert replayed() == ids(*rows[::3])
    assert replay.examined == 3


def test_the_same_key_again_is_the_same_replay(
    organization: Organization, other_organization: Organization, subscription: Subscription
) -> None:
    ended(organization)
    values = {"states": (State.EXHAUSTED, State.BLOCKED), "replay_key": "outage-7"}
    since = timezone.now() - timedelta(days=1)

    first, is_new = replays.replay_create(wanted(organization, since=since, **values), count_seconds=None)
    through(first)
    swapped = values | {"states": (State.BLOCKED, State.EXHAUSTED), "rate_per_second": 5}
    again, again_is_new = replays.replay_create(
        wanted(organization, since=since, **swapped), count_seconds=None
    )

    assert (is_new, again_is_new) == (True, False)
    assert (again.pk, again.state) == (first.pk, "done")
    for other in ({"since": None}, {"include_delivered": True}, {"new_ids": True}, {"limit": 1}):
        with pytest.raises(Conflict) as refused:
            start(organization, **({"since": since} | values | other))
        assert (refused.value.error_code, refused.value.field) == ("replay_key_taken", "replay_key")
    assert start(other_organization, **values).pk != first.pk
    assert start(None, **values).pk == start(None, **values).pk


def test_the_same_key_at_once_is_one_replay(organization: Organization, subscription: Subscription) -> None:
    rows = ended(organization, *[State.EXHAUSTED] * 3)

    def ask() -> tuple[Replay, bool]:
        new = wanted(organization, states=(State.EXHAUSTED,), replay_key="k")
        return replays.replay_create(new, count_seconds=None)

    made = at_once(*[ask] * 6)

    assert len({replay.pk for replay, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1
    through(made[0][0])
    assert replayed() == ids(*rows)


def test_an_organization_may_have_so_many_unfinished_and_no_more(
    organization: Organization, other_organization: Organization, settings: Any
) -> None:
    settings.REPLAYS_UNFINISHED_PER_ORGANIZATION_MAX = 2
    first, _ = (start(organization, states=(State.EXHAUSTED,)) for _ in range(2))

    with pytest.raises(Conflict) as refused:
        start(organization, states=(State.EXHAUSTED,))

    assert refused.value.error_code == "too_many_replays"
    start(other_organization, states=(State.EXHAUSTED,))
    replays.replay_cancel(first)
    start(organization, states=(State.EXHAUSTED,))


@contextmanager
def locked_deliveries() -> Iterator[None]:
    """Another connection keeps everybody from reading deliveries."""
    locked, release = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("LOCK TABLE delivery_delivery IN ACCESS EXCLUSIVE MODE")
                locked.set()
                release.wait(10)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(hold)
        assert locked.wait(10)
        yield
        release.set()
        holding.result()


def test_where_counting_takes_too_long_the_number_is_unknown(
    organization: Organization, subscription: Subscription
) -> None:
    (old,) = ended(organization)
    new = wanted(organization, states=(State.EXHAUSTED,))

    with locked_deliveries():
        replay, _ = replays.replay_create(new, count_seconds=0.05)
        with pytest.raises(InvalidInput) as refused:
            forecast(new, count_seconds=0.05)

    assert replay.matched is None
    assert refused.value.error_code == "too_many_to_count"
    through(replay)
    assert replayed() == [old.pk]
