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
ONE, AGAIN, DRAIN = "to one", "again", "drain"
# Events to one before the wide one, so that its connection is in use as those of the others are.
BEFORE = 10


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
    load = Load(
        stories=[[report("bench.one")]],
        paths=[["/n/one"]],
        count=BEFORE + bench.count(100),
        connections=1,
        variant=ONE,
        first_counted=BEFORE,
    )
    return bench.measure(product, load)


def to_all(bench: Bench, product: Contestant, paths: list[str], variant: str) -> Run:
    load = Load(
        stories=[*[[report("bench.one")]] * BEFORE, [report("bench.wide")]],
        paths=[*[["/n/one"]] * BEFORE, paths],
        count=BEFORE + 1,
        connections=1,
        variant=variant,
        first_counted=BEFORE,
    )
    return bench.measure(product, load)


class Wide:
    name = "wide"
    work = "one event to 10,000 subscriptions"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            paths = subscribe_many(bench, product, bench.count(SUBSCRIPTIONS))
            runs = bench.interleave(
                # By workers that meet these subscriptions first: `drain` starts them anew.
                lambda: self.told(bench, product, paths, ""),
                # By the same ones, which know them now.
                lambda: self.told(bench, product, paths, AGAIN),
                lambda: self.told(bench, product, paths, ONE),
                lambda: self.drain(bench, stack, product),
            )
        return Outcome(scenario=self.name, work=self.work, runs=runs, bars=self.bars(runs))

    def told(self, bench: Bench, product: Contestant, paths: list[str], variant: str) -> Run:
        product.subscribe(bench.sink.url("/n/one"), "bench.one")
        run = to_one(bench, product) if variant == ONE else to_all(bench, product, paths, variant)
        product.unsubscribe()
        return run

    def drain(self, bench: Bench, stack: Stack, product: Contestant) -> Run:
        """The yardstick of this scenario, on the same server and by as many workers."""
        return replace(drained(bench, stack, product, bench.options.workers, DRAINED), variant=DRAIN)

    def bars(self, runs: list[Run]) -> list[Bar]:
        wide, again, one, drain = (
            [run for run in runs if (run.who, run.variant) == (PRODUCT, variant)]
            for variant in ("", AGAIN, ONE, DRAIN)
        )
        answer = ratio(middle(wide, "api_p50_ms"), middle(one, "api_p50_ms"))
        return [
            Bar(what="API answer to that of one", value=answer, must=2, aim=1.1, at_most=True),
            Bar(what="deliveries/s to drain", value=speed_ratio(wide, drain), must=0.8, aim=1),
            Bar(what="again, to drain", value=speed_ratio(again, drain)),
        ]
