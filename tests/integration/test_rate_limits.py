"""Buckets on a real store that is there, away, or frozen; and that a process's own count the same way."""

import logging
import random
import signal
import time
from collections.abc import Iterator

import pytest

from subscriptions import rate_limits
from subscriptions.rate_limits import Bucket, OwnBuckets, Store, verdict
from tests.brokers import Broker
from tests.factories import at_once
from tests.integration.test_sender import closed_port

SECOND = 1_000_000
# A clock of the test's own. Keys end by the store's: so rates are slow here, and no key ends meanwhile.
NOW = 1_000_000 * SECOND


def a_store(server: Broker, timeout_seconds: float = 0.5) -> Store:
    """As another process has it: with connections and memory of its own."""
    return Store(server.url, f"test-{random.random()}:", timeout_seconds)


@pytest.fixture
def stores(server: Broker) -> tuple[Store, Store]:
    """Two processes."""
    prefix = f"test-{random.random()}:"
    return Store(server.url, prefix, 0.5), Store(server.url, prefix, 0.5)


def taken(store: Store | OwnBuckets, *buckets: Bucket, now: int = NOW) -> bool:
    return verdict(buckets, store.take(buckets, now)).is_allowed


def test_a_burst_goes_through_and_then_so_many_a_second(stores: tuple[Store, Store]) -> None:
    store, bucket = stores[0], Bucket("a", per_second=0.1, burst=5)

    at_first = [taken(store, bucket) for _ in range(8)]
    later = [taken(store, bucket, now=NOW + 20 * SECOND) for _ in range(4)]
    much_later = [taken(store, bucket, now=NOW + 600 * SECOND) for _ in range(8)]

    assert at_first == [True] * 5 + [False] * 3
    assert later == [True] * 2 + [False] * 2
    assert much_later == at_first


def test_all_processes_count_together(stores: tuple[Store, Store]) -> None:
    bucket = Bucket("a", per_second=0.001, burst=50)

    def half(store: Store) -> int:
        return sum(verdict([bucket], store.take([bucket])).is_allowed for _ in range(40))

    one, other = at_once(lambda: half(stores[0]), lambda: half(stores[1]))

    assert one + other == 50


def test_the_figures_are_those_of_the_bucket_that_is_nearest_to_its_end(stores: tuple[Store, Store]) -> None:
    wide, narrow = Bucket("wide", per_second=1, burst=100), Bucket("narrow", per_second=0.02, burst=3)

    found = [verdict([wide, narrow], stores[0].take([wide, narrow], NOW)) for _ in range(4)]

    assert [(v.limit, v.remaining) for v in found] == [(3, 2), (3, 1), (3, 0), (3, 0)]
    assert [v.full_in_seconds for v in found] == [50, 100, 150, 150]
    assert [v.wait_seconds for v in found] == [0, 0, 0, 50]


def test_what_one_bucket_refuses_is_taken_from_no_other(stores: tuple[Store, Store]) -> None:
    wide, narrow = Bucket("wide", per_second=0.001, burst=3), Bucket("narrow", per_second=0.001, burst=1)

    both = [taken(stores[0], wide, narrow) for _ in range(5)]
    wide_only = [taken(stores[0], wide) for _ in range(3)]

    assert both == [True, False, False, False, False]
    assert wide_only == [True, True, False]


def test_a_full_bucket_is_no_key(server: Broker) -> None:
    store = a_store(server)
    bucket = Bucket("a", per_second=1000, burst=5)
    assert verdict([bucket], store.take([bucket])).is_allowed

    ends = time.monotonic() + 10
    while (left := store._client.keys(f"{store._prefix}*")) and time.monotonic() < ends:
        time.sleep(0.001)

    assert left == []


def test_a_process_of_its_own_counts_as_the_store_does(stores: tuple[Store, Store]) -> None:
    dice, own, now = random.Random(7), OwnBuckets(), NOW
    buckets = [Bucket("a", 0.1, 5), Bucket("b", 0.03, 2), Bucket("c", 0.007, 20), Bucket("d", 0.06, 1)]

    for _ in range(500):
        now += dice.choice([0, 0, 1, 1000, 7 * SECOND, 60 * SECOND, 400 * SECOND])
        asked = dice.sample(buckets, dice.randint(1, 4))
        assert own.take(asked, now) == stores[0].take(asked, now)


def test_the_memory_of_a_process_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "OWN_BUCKETS_MAX", 10)
    own = OwnBuckets()

    for number in range(100):
        own.take([Bucket(f"{number}", per_second=0.001, burst=2)], NOW)

    assert len(own._full_at) <= 10


def test_while_the_store_is_away_each_process_counts_on_its_own(caplog: pytest.LogCaptureFixture) -> None:
    url = f"redis://:hush-hush@127.0.0.1:{closed_port()}/0"
    one, other = Store(url, "test:", 0.1), Store(url, "test:", 0.1)
    bucket = Bucket("a", per_second=0.001, burst=3)

    with caplog.at_level(logging.WARNING, "subscriptions.rate_limits"):
        mine = [taken(one, bucket) for _ in range(5)]
        others = taken(other, bucket)

    assert (mine, others) == ([True, True, True, False, False], True)
    assert len(caplog.records) == 2, "once for each of them"
    assert "the store is away" in caplog.text
    assert "hush" not in caplog.text


@pytest.fixture
def frozen(server: Broker) -> Iterator[Broker]:
    server.service.send(signal.SIGSTOP)
    yield server
    server.service.send(signal.SIGCONT)


def test_a_store_that_does_not_answer_is_asked_once_a_second_at_the_most(frozen: Broker) -> None:
    store, bucket = a_store(frozen, timeout_seconds=0.1), Bucket("a", per_second=0.001, burst=30)

    began = time.monotonic()
    allowed = [taken(store, bucket) for _ in range(40)]
    took = time.monotonic() - began

    assert allowed == [True] * 30 + [False] * 10
    # 40 time-outs would be four seconds.
    assert took < 2


def test_a_store_that_is_back_counts_for_all_again(
    server: Broker,
    stores: tuple[Store, Store],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(rate_limits, "PAUSE_SECONDS", 0.0)
    one, other = stores
    server.service.send(signal.SIGSTOP)
    try:
        assert taken(one, Bucket("meanwhile", per_second=0.001, burst=1))
    finally:
        server.service.send(signal.SIGCONT)

    with caplog.at_level(logging.INFO, "subscriptions.rate_limits"):
        ends = time.monotonic() + 10
        while "over all processes again" not in caplog.text and time.monotonic() < ends:
            taken(one, Bucket("any", per_second=1000, burst=1000))

    shared = Bucket("shared", per_second=0.001, burst=1)
    assert taken(one, shared)
    assert not taken(other, shared)
