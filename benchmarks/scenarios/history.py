"""`history`: what five million stored attempts (of a million deliveries) cost."""

import time
from functools import partial

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import Bar, Outcome, Run, middle, percentile, ratio, speed_ratio
from benchmarks.processes import play
from benchmarks.scenarios.bursts import burst
from benchmarks.scenarios.latency import paced
from benchmarks.seed import copy_rows

ATTEMPTS, ATTEMPTS_PER_DELIVERY = 5_000_000, 5
EVENTS, FAN_OUT = 500, 10
LIST_CALLS = 300


def fill(bench: Bench, product: Contestant) -> None:
    """Copies of what the warm-up left."""
    began = time.monotonic()
    attempts = bench.count(ATTEMPTS)
    copy_rows(product, "delivery_delivery", "state = 'delivered'", attempts // ATTEMPTS_PER_DELIVERY, {})
    copy_rows(product, "delivery_attempt", "success", attempts, {})
    bench.say(f"  {attempts} attempts stored in {time.monotonic() - began:.0f} s")


def listed_p99_ms(bench: Bench, product: Contestant, subscription: int) -> float:
    """The slowest list: an organization's log, a subscription's, and the deliveries, one call at a time."""
    lists = (f"/v1/webhooks/{subscription}/logs", "/v1/webhooks/logs/all", "/v1/deliveries?limit=100")
    slowest = 0.0
    for path in lists:
        played = play(
            product.port, product.headers, [[("GET", path, "")]], bench.count(LIST_CALLS), connections=1
        )
        slowest = max(
            slowest, percentile((1000 * (done - sent) for _, sent, done, _ in played.calls), 0.99) or 0
        )
    return slowest


class History:
    name = "history"
    work = "fanout, latency and the lists, with 5 million attempts stored"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            # It stays, so that its log stays a log of something that is there.
            subscription = product.subscriptions.pop()
            empty = self.both(bench, product, "empty")
            fill(bench, product)
            full = self.both(bench, product, "")
            p99 = listed_p99_ms(bench, product, subscription)
        runs = [*empty, *full]
        return Outcome(scenario=self.name, work=self.work, runs=runs, bars=self.bars(runs, p99))

    def both(self, bench: Bench, product: Contestant, mood: str) -> list[Run]:
        """The two loads by turns; the empty database and the full one cannot take turns."""
        slow = f"{mood} paced".strip()
        return bench.interleave(
            partial(burst, bench, product, events=bench.count(EVENTS), fan_out=FAN_OUT, variant=mood),
            partial(paced, bench, product, variant=slow),
        )

    def bars(self, runs: list[Run], list_p99_ms: float) -> list[Bar]:
        burst_empty, burst_full, paced_empty, paced_full = (
            [run for run in runs if run.variant == variant]
            for variant in ("empty", "", "empty paced", "paced")
        )
        latency = ratio(middle(paced_empty, "latency_p50_ms"), middle(paced_full, "latency_p50_ms"))
        return [
            Bar(
                what="fanout to the empty one's", value=speed_ratio(burst_full, burst_empty), must=0.9, aim=1
            ),
            Bar(what="empty one's latency to this one's", value=latency, must=0.9, aim=1),
            Bar(what="slowest list's p99", value=list_p99_ms, must=300, at_most=True, unit="ms"),
        ]
