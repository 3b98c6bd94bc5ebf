"""Workers say that they live, and the canary that they work."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

import pytest
from django.db import OperationalError, ProgrammingError
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from delivery import presence, worker
from delivery.canary import age_seconds, mark_seen
from delivery.models import Worker
from delivery.presence import Presence


def test_a_worker_renews_its_row_and_takes_it_away_when_it_stops() -> None:
    worker = Presence("worker-1@host", lambda: ["b", "a"], 16)
    worker.say_if_due()
    (before, _), *_ = presence.seen()
    Worker.objects.update(seen_at=Now() - timedelta(minutes=5))
    worker.say_if_due()
    ((_, unchanged),) = presence.seen()
    worker._said_at = None
    worker.say_if_due()

    ((after, silent),) = presence.seen()
    assert unchanged >= 300, "a moment after the last time it says nothing"
    assert silent < 60
    assert (after.queues, after.concurrency, after.started_at) == (["a", "b"], 16, before.started_at)
    assert abs(after.clock_ahead_seconds) < 5
    worker.leave()
    assert presence.seen() == []


def test_a_worker_that_was_started_again_takes_over_its_row() -> None:
    Presence("worker-1@host", list, 16).say_if_due()
    Worker.objects.update(process_id=1, started_at=Now() - timedelta(hours=1))

    Presence("worker-1@host", list, 16).say_if_due()

    ((worker, _),) = presence.seen()
    assert worker.started_at == worker.seen_at


def test_a_worker_does_not_take_away_the_row_of_its_successor() -> None:
    worker = Presence("worker-1@host", list, 16)
    worker.say_if_due()
    Worker.objects.update(process_id=1)

    worker.leave()

    assert len(presence.seen()) == 1


def test_a_worker_that_has_been_silent_for_a_day_is_forgotten() -> None:
    Presence("gone@host", list, 16).say_if_due()
    Worker.objects.update(seen_at=Now() - timedelta(hours=25))

    Presence("worker-1@host", list, 16).say_if_due()

    assert [worker.name for worker, _ in presence.seen()] == ["worker-1@host"]


class Looks:
    """Counts how often the requeuer has looked, and waits for the next times."""

    def __init__(self) -> None:
        self._looked = threading.Semaphore(0)

    def look(self, **_: Any) -> int:
        self._looked.release()
        return 0

    def wait(self, times: int) -> None:
        assert all(self._looked.acquire(timeout=10) for _ in range(times)), "it does not look any more"


@pytest.fixture
def looks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Looks:
    settings.REQUEUE_INTERVAL_SECONDS = 0.01
    counted = Looks()
    monkeypatch.setattr(worker, "requeue_once", counted.look)
    return counted


@contextmanager
def running(
    queues: Callable[[], list[str]], share_among: Callable[[int], None] = lambda workers: None
) -> Iterator[None]:
    """A worker's requeuer, until the end of the block."""
    loop = worker.RequeueLoop(Presence("worker-1@host", queues, 16), share_among)
    loop.start()
    try:
        yield
    finally:
        loop.stop()
        loop.join(10)


def test_the_requeuer_says_that_its_worker_lives_until_it_stops(looks: Looks) -> None:
    with running(lambda: ["deliveries.first"]):
        looks.wait(2)
        lived = [(row.name, row.queues) for row, _ in presence.seen()]

    assert lived == [("worker-1@host", ["deliveries.first"])]
    assert presence.seen() == []


@pytest.mark.parametrize("error", [ProgrammingError("no such table"), RuntimeError("odd")])
def test_a_worker_that_cannot_say_that_it_lives_goes_on_requeueing(looks: Looks, error: Exception) -> None:
    def fail() -> list[str]:
        raise error

    with running(fail):
        looks.wait(3)


def test_a_worker_whose_database_was_away_says_so_again_and_requeues(looks: Looks) -> None:
    errors = [OperationalError("away")] * 3

    def fail_at_first() -> list[str]:
        if errors:
            raise errors.pop()
        return []

    with running(fail_at_first):
        looks.wait(1)

        assert len(presence.seen()) == 1


def test_those_who_share_the_limits_are_the_workers_that_live_and_take_deliveries() -> None:
    for name, queues in (("a", ["deliveries.first"]), ("b", ["deliveries.retry"]), ("c", ["maintenance"])):
        Presence(name, lambda queues=queues: queues, 16).say_if_due()  # type: ignore[misc]
    Presence("gone", lambda: ["deliveries.first"], 16).say_if_due()
    Worker.objects.filter(name="gone").update(seen_at=Now() - timedelta(minutes=1))

    assert presence.sender_count() == 2


def test_a_worker_is_told_how_many_share_the_limits_when_it_starts_and_when_that_changes(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "INTERVAL_SECONDS", 0.0)
    other = Presence("worker-2@host", lambda: ["deliveries.first"], 16)
    other.say_if_due()
    told: SimpleQueue[int] = SimpleQueue()

    with running(lambda: ["deliveries.first"], told.put):
        assert told.get(timeout=10) == 2
        other.leave()
        while told.get(timeout=10) != 1:
            pass


def test_the_age_of_the_canary_is_by_the_database_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert age_seconds() is None
    mark_seen()
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 3600)

    age = age_seconds()

    assert age is not None
    assert 0 <= age < 60
