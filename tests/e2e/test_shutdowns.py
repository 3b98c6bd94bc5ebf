"""Workers that are told to stop in the middle of a request, and long waits that outlive them."""

import signal
from collections import Counter
from collections.abc import Callable
from contextlib import closing

import psutil
import psycopg2
from redis import Redis

from local.stack import Stack
from tests.e2e.conftest import Api, eventually
from tests.e2e.test_stack import webhook_ids
from tests.receiver import Receiver


def in_flight(
    api: Api, receiver: Receiver, path: str, count: int = 32
) -> tuple[dict[str, object], list[str]]:
    """So many requests that both workers have open at a receiver which does not answer yet."""
    receiver.hang(path)
    subscription = api.subscribe(receiver.url(path), timeout_seconds=8, retry_schedule=[1] * 5)
    ids = api.events(count, f"e2e.{path.strip('/')}")
    receiver.wait_for(count, path)
    return subscription, ids


def delivered(api: Api, subscription: dict[str, object], count: int) -> Callable[[], bool]:
    return lambda: Counter(api.states(subscription)) == {"delivered": count}


def test_a_warm_stop_in_mid_attempt_finishes_the_attempt_and_nothing_is_sent_twice(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    subscription, ids = in_flight(api, receiver, "/warm")

    worker = stack.processes["worker-1"]
    worker.send(signal.SIGTERM)
    eventually(lambda: "Warm shutdown" in worker.output(), 10, "it has heard")
    receiver.recover("/warm")

    eventually(lambda: not worker.running, 20, "the worker ends")
    eventually(delivered(api, subscription, 32), 20, "all are delivered")
    stack.restart("worker-1")
    assert webhook_ids(receiver.at("/warm")) == dict.fromkeys(ids, 1)
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_a_cold_stop_in_mid_attempt_costs_a_second_copy_at_most_and_loses_nothing(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    subscription, ids = in_flight(api, receiver, "/cold")

    worker = stack.processes["worker-1"]
    worker.send(signal.SIGQUIT)
    receiver.recover("/cold")

    eventually(lambda: not worker.running, 20, "the worker ends")
    eventually(delivered(api, subscription, 32), 40, "all are delivered")
    stack.restart("worker-1")
    seen = webhook_ids(receiver.at("/cold"))
    assert set(seen) == set(ids)
    assert max(seen.values()) <= 2
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


WAITING = """
INSERT INTO delivery_delivery (
    id, organization_id, event_id, body_id, subscription_id, url, webhook_id, is_test,
    lane, state, reason, attempts, once, claim_number, nudges, nudged_at, next_attempt_at)
SELECT uuidv7(), d.organization_id, d.event_id, d.body_id, d.subscription_id, d.url, d.webhook_id, false,
    'retry', 'waiting', 'retry', 1, false, 1, 0, NULL, now() + interval '2 days'
FROM delivery_delivery d, generate_series(1, %s) WHERE d.subscription_id = %s
"""
OVER = "UPDATE delivery_delivery SET next_attempt_at = now() WHERE state = 'waiting' AND subscription_id = %s"
ROWS = 200_000


def test_200_000_deliveries_that_wait_for_days_cost_a_worker_no_memory_and_survive_its_restart(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    few = api.subscribe(receiver.url("/few"), events=["e2e.few"])
    many = api.subscribe(receiver.url("/many"), events=["e2e.many"])
    api.events(1, "e2e.few")
    api.events(1, "e2e.many")
    receiver.wait_for(1, "/few")
    receiver.wait_for(1, "/many")
    stack.restart("worker-2")
    worker = psutil.Process(stack.processes["worker-2"].pid)
    before = worker.memory_info().rss

    with closing(psycopg2.connect(stack.settings["DATABASE_URL"])) as database, database.cursor() as cursor:
        cursor.execute(WAITING, [ROWS, many["id"]])
        cursor.execute(WAITING, [5, few["id"]])
        cursor.execute(OVER, [few["id"]])
        database.commit()

    # Whoever sends these has looked at the others as well.
    receiver.wait_for(6, "/few")
    assert worker.memory_info().rss - before < 20_000_000, "in Celery they would be 2 GB"
    assert len(receiver.at("/many")) == 1
    api.call("DELETE", f"/v1/webhooks/{many['id']}")
    api.call("DELETE", f"/v1/webhooks/{few['id']}")


def test_a_message_is_acknowledged_when_its_outcome_is_on_record_and_not_before(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    subscription, _ = in_flight(api, receiver, "/acknowledged", count=10)
    broker = Redis.from_url(stack.settings["BROKER_URL"])

    during = broker.hlen("runhooks:unacked")
    receiver.recover("/acknowledged")

    assert during >= 10
    eventually(delivered(api, subscription, 10), 20, "all are delivered")
    eventually(lambda: broker.hlen("runhooks:unacked") == 0, 10, "all are acknowledged")
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")
