"""The publisher and a real broker that is there, away, or frozen."""

import logging
import signal
import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction

from delivery import queue
from delivery.queue import FAN_OUT, Publisher, WakeUp
from delivery.states import Lane
from local.supervisor import Supervisor
from subscriptions.models import Organization
from subscriptions.services import subscription_create
from tests.brokers import Broker, pointed_at, some, valkey
from tests.integration.test_outbox import happen
from tests.integration.test_sender import closed_port
from webhooks_project.celery import app


def as_sent(wake_ups: Sequence[WakeUp]) -> list[tuple[str, int]]:
    return [(str(wake_up.delivery_id), wake_up.attempt) for wake_up in wake_ups]


def test_wake_ups_arrive_in_the_queues_of_their_lanes_in_order(broker: Broker) -> None:
    wanted = {lane: some(lane) for lane in Lane}

    assert queue.send([wake_up for wake_ups in wanted.values() for wake_up in wake_ups])

    assert {lane: broker.wake_ups(lane) for lane in Lane} == {
        lane: as_sent(wake_ups) for lane, wake_ups in wanted.items()
    }


def test_a_message_holds_ids_and_nothing_else(
    broker: Broker, organization: Organization, wake_ups: list[WakeUp]
) -> None:
    values = {"name": "Hook", "url": "http://127.0.0.1/very-private", "events": ["*"], "secret": "top-secret"}
    subscription_create(organization=organization, values=values)
    delivery = happen(organization, data={"patient": "Zoe"}).deliveries.get()

    queue.send(wake_ups)

    (message,) = broker.take_all(Lane.FIRST)
    args, kwargs, _ = message.payload
    assert (args, kwargs) == ([str(delivery.id), 1], {})
    assert message.headers["task"] == "delivery.tasks.deliver"
    for private in ("very-private", "top-secret", "Zoe", "whsec_"):
        assert private not in f"{message.headers} {message.payload} {message.properties}"


def test_the_publisher_sends_in_the_background_what_it_was_given(broker: Broker) -> None:
    publisher, wanted = Publisher(), some(number=1200)

    publisher.publish(wanted)

    assert publisher.flush(10)
    assert broker.wake_ups(Lane.FIRST) == as_sent(wanted)


def test_a_broker_that_is_down_costs_the_caller_no_time_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher = Publisher()
    started = time.monotonic()

    with pointed_at(f"redis://127.0.0.1:{closed_port()}/0"), caplog.at_level(logging.WARNING):
        publisher.publish(some(number=100))
        took = time.monotonic() - started
        tried = publisher.flush(20)

    assert took < 0.1
    assert tried
    assert "wake-ups left to the requeuer" in caplog.text


def test_an_absent_broker_says_so_to_who_waits_for_it() -> None:
    with pointed_at(f"redis://127.0.0.1:{closed_port()}/0"):
        assert queue.send(some()) is False


def test_after_an_outage_the_next_publish_works() -> None:
    with valkey() as broker, pointed_at(broker.url):
        assert queue.send(some())
        broker.service.kill()

        assert not queue.send(some())

        broker.service.start()
        broker.service.wait_until_ready(Supervisor(broker.service.folder).interrupts)
        broker.take_all(Lane.FIRST)
        wanted = some()
        assert queue.send(wanted)
        assert broker.wake_ups(Lane.FIRST) == as_sent(wanted)


def test_a_broker_that_restarted_unnoticed_gets_the_message_on_a_new_connection() -> None:
    with valkey() as broker, pointed_at(broker.url):
        assert queue.send(some())
        broker.service.kill()
        broker.service.start()
        broker.service.wait_until_ready(Supervisor(broker.service.folder).interrupts)
        broker.take_all(Lane.FIRST)

        wanted = some()
        assert queue.send(wanted)

        assert set(as_sent(wanted)) == set(broker.wake_ups(Lane.FIRST))


def test_a_frozen_broker_does_not_hold_the_caller_up(
    broker: Broker, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"name": "Hook", "url": "http://127.0.0.1/", "events": ["*"]}
    subscription_create(organization=organization, values=values)
    publisher = Publisher()
    monkeypatch.setattr(queue, "publisher", lambda: publisher)
    queue.send(some())
    broker.service.send(signal.SIGSTOP)
    try:
        started = time.monotonic()

        happen(organization)
        took = time.monotonic() - started
        tried = publisher.flush(30)
    finally:
        broker.service.send(signal.SIGCONT)

    assert took < 1
    assert tried, "the publisher hung for more than 30 s"


def test_a_full_backlog_is_left_to_the_requeuer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue, "BACKLOG_MAX", 10)

    with pointed_at(f"redis://127.0.0.1:{closed_port()}/0"), caplog.at_level(logging.WARNING):
        publisher = Publisher()
        publisher.publish(some(number=2000))
        publisher.flush(20)

    assert "backlog full" in caplog.text


def test_each_process_has_one_publisher(wake_ups: list[WakeUp], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    first, second = queue.publisher(), queue.publisher()

    assert first is second


def test_a_hook_after_commit_hands_over_everything_at_once(wake_ups: list[WakeUp]) -> None:
    wanted = some()

    with transaction.atomic():
        queue.publish_after_commit(wanted)
        before = list(wake_ups)

    assert (before, wake_ups) == ([], wanted)


def test_a_message_that_wakes_a_fan_out_is_as_if_celery_had_made_it(broker: Broker) -> None:
    publisher = Publisher()

    for _ in range(2):
        publisher.publish_fan_out()
        assert publisher.flush(10)
    app.send_task(FAN_OUT, queue="maintenance")

    with app.connection_for_read() as reading:
        channel: Any = reading.default_channel
        messages = [channel.basic_get("maintenance", no_ack=True) for _ in range(3)]
    assert len({message.headers["id"] for message in messages}) == 3
    assert len({message.delivery_tag for message in messages}) == 3
    own = dict.fromkeys(("id", "root_id"))
    told = [(message.payload, message.content_type, message.headers | own) for message in messages]
    assert told[0] == told[1] == told[2]
    assert told[0][2]["task"] == FAN_OUT
