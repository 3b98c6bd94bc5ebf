"""What gathers while a batch is under way is the next batch."""

import threading
from collections.abc import Callable

import pytest

from delivery.batches import GATHER_AFTER, Batches


def worked_on(*lots: int, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[float]]:
    """Sizes of the batches, and the waits, if so many items come at a time, one lot after the other."""
    sizes: list[int] = []
    waits: list[float] = []
    turns = [threading.Semaphore(0), threading.Semaphore(0)]
    monkeypatch.setattr("delivery.batches.time.sleep", waits.append)

    def work(items: list[int]) -> None:
        sizes.append(len(items))
        turns[1].release()
        turns[0].acquire(timeout=5)

    own = Batches("test", work, most=100, gather_seconds=0.01)
    own.put(0)
    own.start()
    for lot in lots:
        turns[1].acquire(timeout=5)
        for _ in range(lot):
            own.put(0)
        turns[0].release()
    turns[1].acquire(timeout=5)
    turns[0].release()
    own.stop(5)
    return sizes, waits


def test_a_batch_is_all_that_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worked_on(3, 7, monkeypatch=monkeypatch)[0] == [1, 3, 7]


def test_small_batches_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worked_on(1, GATHER_AFTER, 1, monkeypatch=monkeypatch)[1] == []


def test_after_a_large_batch_the_next_one_gathers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Once before the last lot, once before the end is noticed.
    assert worked_on(GATHER_AFTER + 1, 1, monkeypatch=monkeypatch)[1] == [0.01]


def test_work_that_breaks_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    calls: list[Callable[[], None]] = [lambda: 1 / 0, done.set]  # type: ignore[list-item]
    own: Batches[Callable[[], None]] = Batches("test", lambda items: items[0](), most=1)
    for call in calls:
        own.put(call)
    own.start()

    assert done.wait(5)
    own.stop(5)
    assert "a batch failed" in caplog.text
