"""An event with thousands of recipients, and workers that are killed while they make its deliveries."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from local import temporary
from local.stack import Stack, StackConfig
from tests.e2e.conftest import Api, eventually
from tests.receiver import Receiver

RECIPIENTS = 3_000
EVENTS_MAX = 10

# Copies of one that was made through the API, which would take a while for so many.
COPIES = """
INSERT INTO subscriptions_subscription
SELECT (jsonb_populate_record(s, jsonb_build_object('id', s.id / 2 + n))).*
FROM subscriptions_subscription s CROSS JOIN generate_series(1, %s) AS n
"""
PROGRESS = """
SELECT (SELECT count(*) FROM delivery_delivery d JOIN delivery_event e ON e.id = d.event_id
        WHERE e.event_id = %(event)s),
       (SELECT count(*) FROM delivery_fanout)
"""
OUTCOME = """
SELECT count(*), count(DISTINCT (event_id, subscription_id)), count(*) FILTER (WHERE state = 'delivered')
FROM delivery_delivery
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    env = {"DELIVERY_LEASE_MARGIN_SECONDS": "2"}
    with (
        temporary.folder() as folder,
        Stack(StackConfig(data_dir=folder, workers=2, concurrency=16, env=env)) as running,
    ):
        yield running


def asked(stack: Stack, query: str, **values: Any) -> tuple[Any, ...]:
    with (
        closing(psycopg2.connect(stack.settings["DATABASE_URL"])) as database,
        database,
        database.cursor() as cursor,
    ):
        cursor.execute(query, values)
        return cursor.fetchone() or ()


def kill_workers(stack: Stack) -> None:
    for name in ("worker-1", "worker-2"):
        stack.processes[name].kill()
    for name in ("worker-1", "worker-2"):
        stack.restart(name)


def test_workers_that_are_killed_in_the_middle_leave_one_delivery_for_each_recipient(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    api.subscribe(receiver.url("/wide"), events=["e2e.wide"], signature_schemes=["none"], timeout_seconds=2)
    with closing(psycopg2.connect(stack.settings["DATABASE_URL"])) as database, database:
        database.cursor().execute(COPIES, [RECIPIENTS - 1])
    events = 0
    caught = False
    while not caught:
        assert events < EVENTS_MAX, "the fan-out was never met in its middle"
        event = api.post("/v1/events", {"event_type": "e2e.wide", "data": {}})
        assert event["subscriptions"] == RECIPIENTS
        events += 1
        made, waiting = 0, 1
        while waiting and not made:
            made, waiting = asked(stack, PROGRESS, event=event["event_id"])
        caught = waiting > 0
        kill_workers(stack) if caught else time.sleep(0.1)

    def all_delivered() -> bool:
        return asked(stack, OUTCOME) == (events * RECIPIENTS,) * 3

    eventually(all_delivered, 100, "all are delivered")
    assert asked(stack, PROGRESS, event=event["event_id"]) == (RECIPIENTS, 0)
