"""The two ways in which a worker makes an attempt: one by one in a thread, and in the engine's batches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from uuid import UUID

from delivery import worker
from delivery.deliver import Again, deliver
from delivery.loop.engine import Engine
from delivery.loop.permits import Permits
from delivery.loop.stages import Job
from delivery.models import Delivery
from delivery.sender import Transport
from delivery.short_waits import ShortWaits

Attempt = Callable[..., Again | None]


@contextmanager
def one_by_one(transport: Transport) -> Iterator[Attempt]:
    waits = ShortWaits(longest_seconds=60, most=1000)
    yield lambda delivery, number=1: deliver(id_of(delivery), number, transport=transport, short_waits=waits)


@contextmanager
def in_batches(transport: Transport) -> Iterator[Attempt]:
    engine = new_engine()
    engine.start()

    def make(delivery: Delivery | UUID, number: int = 1) -> Again | None:
        results: SimpleQueue[Again | Exception | None] = SimpleQueue()
        engine.submit(Job(id_of(delivery), number, results.put))
        result = results.get(timeout=60)
        if isinstance(result, Exception):
            raise result
        return result

    yield make
    assert engine.stop(10)


both_ways = {"one by one": one_by_one, "in batches": in_batches}


def new_engine(*, per_receiver: int = 64) -> Engine:
    return Engine(
        worker.new_loop_transport,
        ShortWaits(longest_seconds=60, most=1000),
        Permits(per_receiver=per_receiver, per_organization=256),
    )


def id_of(delivery: Delivery | UUID) -> UUID:
    return delivery.id if isinstance(delivery, Delivery) else delivery
