"""`batch`: the events of `single`, up to 500 in a call."""

import json

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import LOOP, PRODUCT, Bar, Outcome, Run, speed_ratio
from benchmarks.load import DATA, Load

EVENTS, PER_CALL = 5_000, 500
PATH = "/v1/events/batch"


def batched(bench: Bench, product: Contestant) -> Run:
    per_call = min(PER_CALL, bench.count(EVENTS))
    body = json.dumps({"events": [{"event_type": "bench.batch", "data": DATA}] * per_call})
    product.subscribe(bench.sink.url("/n/batch"), "bench.batch")
    load = Load(
        stories=[[("POST", PATH, body)]],
        paths=[["/n/batch"]],
        count=max(bench.count(EVENTS) // per_call, 1),
        events_per_story=per_call,
    )
    run = bench.measure(product, load)
    product.unsubscribe()
    return run


class Batch:
    name = "batch"
    work = "5,000 custom events, 500 in a call, one subscription"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product = bench.product(stack)
            status, _ = product.try_call("POST", PATH, {"events": []})
            if status in (404, 405):
                return Outcome(scenario=self.name, work=self.work, skipped=f"the API has no {PATH}")
            bench.warm_up(product)
            runs = bench.interleave(lambda: batched(bench, product), bench.loop_turn(EVENTS))
        mine, loop = ([r for r in runs if r.who == who] for who in (PRODUCT, LOOP))
        bar = Bar(what="deliveries/s to loop", value=speed_ratio(mine, loop), must=0.85, aim=1.4)
        return Outcome(scenario=self.name, work=self.work, runs=runs, bars=[bar])
