"""A Valkey server that tests may stop and pause, and wake-ups to send to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from kombu import pools

from delivery.queue import WakeUp
from delivery.states import Lane
from local import temporary
from local.ports import free_port
from local.service import Service
from local.supervisor import Supervisor
from local.valkey import Valkey
from webhooks_project.celery import app


class Broker:
    """A Valkey server, and what waits in its queues."""

    def __init__(self, url: str, service: Service) -> None:
        self.url = url
        self.service = service

    def url_of_user(self, *forbidden: str) -> str:
        """For a user of its own who may do all but this, as in ACL SETUSER."""
        with app.connection_for_write() as connection:
            client: Any = connection.default_channel.client  # type: ignore[attr-defined]  # Redis's only
            client.execute_command(
                "ACL", "SETUSER", "tenant", "reset", "on", ">pw", "~*", "&*", "+@all", *forbidden
            )
        return f"redis://tenant:pw@{self.url.rpartition('@')[2]}"

    def take_all(self, lane: Lane) -> list[Any]:
        """The messages of the lane's queue, removed from it."""
        taken = []
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            while (message := channel.basic_get(lane.queue, no_ack=True)) is not None:
                taken.append(message)
        return taken

    def wake_ups(self, lane: Lane) -> list[tuple[str, int]]:
        """What the messages of the lane ask for, in order; the queue is empty then."""
        return [tuple(message.payload[0]) for message in self.take_all(lane)]


@contextmanager
def valkey() -> Iterator[Broker]:
    """A server whose process can be stopped and paused, unlike that of `temporary.valkey`."""
    with temporary.folder() as folder, Supervisor(folder) as supervisor:
        server = Valkey(folder, free_port())
        service = server.service()
        supervisor.start(service)
        supervisor.wait()
        yield Broker(server.url, service)


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Celery's app publishes there, and knows nothing of it afterwards."""
    before = app.conf.broker_url
    switch(url)
    try:
        yield
    finally:
        switch(before)


def switch(url: str) -> None:
    pools.reset()
    app.conf.update(broker_url=url)
    # Where the app keeps what it once took from those pools.
    vars(app)["_pool"] = vars(app.amqp)["_producer_pool"] = None


def some(lane: Lane = Lane.FIRST, number: int = 3) -> list[WakeUp]:
    return [WakeUp(uuid4(), attempt, lane) for attempt in range(1, number + 1)]
