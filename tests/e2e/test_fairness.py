"""With real workers: what hangs or is replayed keeps nothing else waiting."""

import time
from collections.abc import Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from local import temporary
from local.stack import Stack, StackConfig
from tests.e2e.conftest import Api, eventually
from tests.receiver import Receiver

TOKEN = "sesame"
SHARING = (
    "from webhooks_project.celery import app; "
    "print([one['pool']['workers-sharing-limits'] for one in app.control.inspect().stats().values()])"
)
COUNT = 150
SOON_SECONDS = 2.0


@pytest.fixture
def hanging() -> Iterator[Receiver]:
    """A receiver at a port of its own."""
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Two workers, which share four places of each receiver."""
    env = {"DELIVERY_REQUESTS_PER_RECEIVER_MAX": "4", "METRICS_TOKEN": TOKEN}
    with (
        temporary.folder() as folder,
        Stack(StackConfig(data_dir=folder, workers=2, concurrency=16, env=env)) as running,
    ):
        yield running


def metric(api: Api, name: str) -> float:
    """The sum over all its labels."""
    page = requests.get(
        f"{api.stack.base_url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
    )
    families = text_string_to_metric_families(page.text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def test_two_workers_share_the_places_of_a_receiver(api: Api, stack: Stack, hanging: Receiver) -> None:
    hanging.hang("/shared")
    api.subscribe(hanging.url("/shared"), events=["e2e.shared"], timeout_seconds=8)
    eventually(lambda: stack.manage("shell", "-v", "0", "-c", SHARING).strip() == "[2, 2]", 30, "both know")

    api.events(20, "e2e.shared")

    eventually(lambda: metric(api, "runhooks_worker_given_back_total") >= 16, 20, "the others are given back")
    assert len(hanging.at("/shared")) == 4
    hanging.recover("/shared")
    hanging.wait_for(20, "/shared", seconds=60)


def longest_way(api: Api, receiver: Receiver, path: str, event_type: str) -> float:
    """Seconds from the call to the receiver, for events one after the other; the longest."""
    ways = []
    for number in range(1, 11):
        began = time.monotonic()
        api.events(1, event_type)
        ways.append(receiver.wait_for(number, path)[-1].at - began)
    return max(ways)


def test_neither_a_flood_of_replays_nor_a_receiver_that_hangs_delays_the_others(
    api: Api, stack: Stack, receiver: Receiver, hanging: Receiver
) -> None:
    api.subscribe(receiver.url("/live"), events=["e2e.live"])
    hanging.reply(500, path="/flood")
    flood = api.subscribe(hanging.url("/flood"), events=["e2e.flood"], retry_schedule=[], timeout_seconds=3)
    api.events(COUNT, "e2e.flood")
    eventually(lambda: api.states(flood).count("exhausted") == 100, 60, "the newest 100 have failed")
    api.call("PATCH", f"/v1/webhooks/{flood['id']}", {"retry_schedule": [5, 5, 5, 5, 5]})
    hanging.hang("/flood")
    before = len(hanging.at("/flood"))

    replay = api.post("/v1/replays", {"subscription_id": flood["id"], "rate_per_second": 1000})
    hanging.wait_for(before + 1, "/flood")
    assert longest_way(api, receiver, "/live", "e2e.live") < SOON_SECONDS

    def waits_in_the_slow_lane() -> bool:
        page = api.get(f"/v1/deliveries?subscription_id={flood['id']}&limit=100")
        return any((row["lane"], row["reason"]) == ("slow", "receiver_slow") for row in page["deliveries"])

    eventually(waits_in_the_slow_lane, 30, "the receiver is slow")
    receiver.requests.clear()
    assert longest_way(api, receiver, "/live", "e2e.live") < SOON_SECONDS

    hanging.recover("/flood")
    eventually(lambda: api.states(flood).count("delivered") == 100, 60, "the newest 100 have arrived")
    assert api.get(f"/v1/replays/{replay['id']}")["replayed"] == COUNT
