"""How a worker takes messages: what is replayed or slow never delays the rest, and nothing starves."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from celery.exceptions import WorkerShutdown
from kombu import Consumer

from delivery import queue
from delivery.states import Lane
from tests.brokers import Broker, pointed_at, some
from webhooks_project import transport
from webhooks_project.celery import app
from webhooks_project.transport import BACKGROUND_MAX, BACKGROUND_TURN, BATCH_MAX

LIVE, BACKGROUND = (Lane.FIRST, Lane.RETRY), (Lane.REPLAY, Lane.SLOW)
PREFETCH = 512


class Taker:
    """Takes messages as a worker does; they stay unacknowledged until `done` is called."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.in_hand: list[tuple[str, Callable[[], None]]] = []

    def __call__(self, body: Any, message: Any) -> None:
        self.in_hand.append((message.delivery_info["routing_key"], message.ack))

    def take(self, number: int) -> list[str]:
        """The queues of the next so many messages, or of all that come within a moment."""
        before = len(self.in_hand)
        try:
            while len(self.in_hand) < before + number:
                self._connection.drain_events(timeout=0.3)
        except TimeoutError:
            pass
        return [queue for queue, _ in self.in_hand[before:]]

    def done(self) -> None:
        for _, acknowledge in self.in_hand:
            acknowledge()
        self.in_hand.clear()


@contextmanager
def taking(lanes: tuple[Lane, ...], prefetch: int = PREFETCH) -> Iterator[Taker]:
    with app.connection_for_read() as connection:
        channel = connection.channel()
        taker = Taker(connection)
        queues = [app.amqp.queues[lane.queue] for lane in lanes]
        with Consumer(channel, queues, callbacks=[taker], accept=["json"]) as consumer:
            consumer.qos(prefetch_count=prefetch)
            yield taker
            taker.done()


def waiting(**numbers: int) -> None:
    for lane, number in numbers.items():
        assert queue.send(some(Lane(lane), number))


def test_a_flood_of_replays_fills_no_more_than_a_quarter_of_a_worker(broker: Broker) -> None:
    waiting(replay=1_000, slow=1_000)

    with taking(tuple(Lane)) as taker:
        taken = taker.take(2_000)
        assert len(taken) == BACKGROUND_MAX == PREFETCH / 4
        waiting(first=3)
        assert taker.take(3) == [Lane.FIRST.queue] * 3
        taker.done()
        assert taker.take(BATCH_MAX), "there is room for the background again"


def test_a_small_worker_keeps_places_for_the_live_ones_too(broker: Broker) -> None:
    waiting(replay=100)

    with taking(tuple(Lane), prefetch=16) as taker:
        assert len(taker.take(100)) == 4


def test_what_is_live_is_taken_before_what_is_replayed(broker: Broker) -> None:
    waiting(replay=100, slow=100, first=100, retry=100)

    with taking(tuple(Lane)) as taker:
        taken = taker.take(200)

    assert set(taken) == {lane.queue for lane in LIVE}


def test_first_attempts_and_retries_take_turns(broker: Broker) -> None:
    waiting(first=5 * BATCH_MAX, retry=5 * BATCH_MAX)

    with taking(tuple(Lane)) as taker:
        taken = Counter(taker.take(4 * BATCH_MAX))

    assert taken == {Lane.FIRST.queue: 2 * BATCH_MAX, Lane.RETRY.queue: 2 * BATCH_MAX}


def test_the_background_gets_a_turn_though_the_live_queues_are_never_empty(broker: Broker) -> None:
    waiting(replay=10, first=BACKGROUND_TURN * BATCH_MAX)
    taken: list[str] = []

    with taking(tuple(Lane)) as taker:
        for _ in range(BACKGROUND_TURN):
            taken += taker.take(1)
            taker.done()

    assert taken.count(Lane.REPLAY.queue) == 10
    assert taken.count(Lane.FIRST.queue) == (BACKGROUND_TURN - 1) * BATCH_MAX


@pytest.mark.parametrize("lane", BACKGROUND)
def test_a_worker_of_the_background_alone_is_filled_by_it(broker: Broker, lane: Lane) -> None:
    waiting(**{lane: 300})

    with taking((lane,)) as taker:
        assert len(taker.take(300)) == 300


def test_a_broker_that_refuses_to_hand_out_messages_ends_the_worker_with_a_line_that_says_so(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with pointed_at(broker.url_of_user("-blmpop")), pytest.raises(WorkerShutdown), taking(LIVE) as taker:
        taker.take(1)

    (said,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert "'blmpop'" in said.getMessage()
    assert "Redis 7 or newer" in said.getMessage()


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("unknown command 'BLMPOP', with args beginning with: '1' '2'", True),
        ("unknown command `BLMPOP`, with args beginning with: `1`", True),
        ("LOADING Redis is loading the dataset in memory", False),
        ("NOAUTH Authentication required.", False),
        ("OOM command not allowed when used memory > 'maxmemory'.", False),
    ],
)
def test_what_passes_ends_no_worker(text: str, ends: bool) -> None:
    with pytest.raises(WorkerShutdown) if ends else nullcontext():
        transport.end_if_command_is_refused(Exception(text))
