"""`make flush`: the broker loses everything while 10,000 deliveries wait; how long does recovery take?

The workers are stopped while the deliveries are made, so that all wake-ups lie in the broker; it is
flushed empty, and the workers go on. The same is done without flushing, in the same run, to compare.
"""

import sys
import time
from contextlib import closing

import psycopg2
import requests
from redis import Redis

from benchmarks.processes import sink
from local import temporary
from local.stack import Stack, StackConfig
from local.supervisor import say

DELIVERIES, SUBSCRIPTIONS = 10_000, 10
PATIENCE_SECONDS = 300.0
STATES = "SELECT state, count(*) FROM delivery_delivery GROUP BY state"


def main() -> int:
    """Exit status 1 if one of them is not delivered."""
    with (
        temporary.folder() as folder,
        sink() as receiver,
        Stack(StackConfig(data_dir=folder, workers=2)) as stack,
    ):
        session = requests.Session()
        key = stack.manage("create_api_key", "--organization", "flush", "--scopes", "all").strip()
        session.headers["Authorization"] = f"Bearer {key}"
        for number in range(SUBSCRIPTIONS):
            hook = {"name": f"{number}", "url": receiver.url(f"/n/{number}"), "events": ["*"]}
            session.post(f"{stack.base_url}/v1/webhooks", json=hook, timeout=30).raise_for_status()
        kept = drain(stack, session, flushed=False)
        lost = drain(stack, session, flushed=True)
        sent = receiver.stats()["requests"]
    say(f"{DELIVERIES} waiting deliveries, their wake-ups in the broker: delivered in {kept:.1f} s")
    say(f"the same after a flush: in {lost:.1f} s, {lost / kept:.2f} of it")
    say(f"requests that were too many: {sent - 2 * DELIVERIES}")
    return 0


def drain(stack: Stack, session: requests.Session, *, flushed: bool) -> float:
    """Make the deliveries while the workers stand still; the seconds from their start to the last one."""
    workers = [service for name, service in stack.processes.items() if name.startswith("worker-")]
    for worker in workers:
        worker.kill()
    for number in range(DELIVERIES // SUBSCRIPTIONS):
        event = {"event_type": "flush.test", "data": {"number": number}}
        session.post(f"{stack.base_url}/v1/events", json=event, timeout=30).raise_for_status()
    broker = Redis.from_url(stack.settings["BROKER_URL"])
    waited = time.monotonic() + PATIENCE_SECONDS
    while broker.llen("runhooks:deliveries.first") < DELIVERIES and time.monotonic() < waited:
        time.sleep(0.1)
    say(f"{broker.llen('runhooks:deliveries.first')} wake-ups wait in the broker")
    if flushed:
        broker.flushall()
    for worker in workers:
        worker.start()
    for worker in workers:
        stack.supervisor.wait(worker.name)
    return until_delivered(stack)


def until_delivered(stack: Stack) -> float:
    began = time.monotonic()
    with closing(psycopg2.connect(stack.settings["DATABASE_URL"])) as database, database.cursor() as cursor:
        database.autocommit = True
        while time.monotonic() < began + PATIENCE_SECONDS:
            cursor.execute(STATES)
            states = dict(cursor.fetchall())
            if set(states) == {"delivered"}:
                return time.monotonic() - began
            time.sleep(0.1)
    raise SystemExit(f"not all are delivered: {states}")


if __name__ == "__main__":
    sys.exit(main())
