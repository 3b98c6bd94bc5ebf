"""`wide`: one event to 10,000 subscriptions."""

import json
from dataclasses import replace

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant, Refused
from benchmarks.figures import PRODUCT, Bar, Outcome, Run, middle, ratio, speed_ratio
from benchmarks.load import Load, report
from benchmarks.processes import play
from benchmarks.scenarios.drain import drained
from local.stack import Stack

SUBSCRIPTIONS = 10_000
DRAINED = 10_000
ONE = "to one"


def subscribe_many(bench: Bench, product: Contestant, count: int) -> list[str]:
    """Through the API, but by the driver: one by one would take minutes."""
    paths = [f"/n/{number}" for number in range(count)]
    stories = []
    for path in paths:
        hook = {"name": path, "url": bench.sink.url(path), "events": ["bench.wide"]}
        stories.append([("POST", "/v1/webhooks", json.dumps(hook))])
    played = play(product.port, product.headers, stories, count)
    if played.refused:
        raise Refused(f"subscriptions: {played.refused}")
    return paths


def to_one(bench: Bench, product: Contestant) -> Run:
    """One call at a time, as the wide one is."""
    product.subscribe(bench.sink.url("/n/one"), "bench.one")
    load = Load(
        stories=[[report("bench.one")]],
        paths=[["/n/one"]],
        count=bench.count(100),
        connections=1,
        variant=ONE,
    )
    run = bench.measure(product, load)
    product.unsubscribe()
    return run


class Wide:
    name = "wide"
    work = "one event to 10,000 subscriptions"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            paths = subscribe_many(bench, product, bench.count(SUBSCRIPTIONS))
            load = Load(stories=[[report("bench.wide")]], paths=[paths], count=1, connections=1)
            runs = bench.interleave(
                lambda: bench.measure(product, load),
                lambda: to_one(bench, product),
                lambda: self.drain(bench, stack, product),
            )
        return Outcome(scenario=self.name, work=self.work, runs=runs, bars=self.bars(runs))

    def drain(self, bench: Bench, stack: Stack, product: Contestant) -> Run:
        """The yardstick of this scenario, on the same server."""
        return replace(drained(bench, stack, product, 1, DRAINED), variant="drain")

    def bars(self, runs: list[Run]) -> list[Bar]:
        wide, one, drain = (
            [run for run in runs if (run.who, run.variant) == (PRODUCT, variant)]
            for variant in ("", ONE, "drain")
        )
        answer = ratio(middle(wide, "api_p50_ms"), middle(one, "api_p50_ms"))
        return [
            Bar(what="API answer to that of one", value=answer, must=2, aim=1.1, at_most=True),
            Bar(what="deliveries/s to drain", value=speed_ratio(wide, drain), must=0.8, aim=1),
        ]
