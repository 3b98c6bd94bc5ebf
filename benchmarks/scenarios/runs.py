"""`runs`: what executors report: created, started, three steps, completed; two subscriptions and a callback.

`naive` knows no runs: it is told the same eight events, each to two subscriptions.
"""

import json
from functools import partial

from benchmarks.bench import NAIVE_SHARE, Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import NAIVE, PRODUCT, Bar, Outcome, Run, speed_ratio
from benchmarks.load import DATA, Load, report
from benchmarks.processes import Call

RUNS = 2_000
STEPS = ("fetch", "render", "store")
EVENTS_PER_RUN = 2 + 2 * len(STEPS)
SUBSCRIPTIONS = 2
# Each event to each subscription, and the end of the run to the callback.
DELIVERIES_PER_RUN = EVENTS_PER_RUN * SUBSCRIPTIONS + 1
BATCHED = "in a batch"


def created(bench: Bench, workflow: str) -> Call:
    wanted = {"workflow_id": workflow, "input": DATA, "webhook_url": bench.sink.url("/n/callback", 1)}
    return ("POST", "/v1/runs", json.dumps(wanted))


def by_calls(bench: Bench, workflow: str) -> list[Call]:
    """Nine calls that follow each other."""
    steps = [
        ("POST", f"/v1/runs/{{id}}/steps/{step}/{move}", "{}")
        for step in STEPS
        for move in ("start", "complete")
    ]
    end = json.dumps({"output": DATA})
    return [
        created(bench, workflow),
        ("POST", "/v1/runs/{id}/start", "{}"),
        *steps,
        ("POST", "/v1/runs/{id}/complete", end),
    ]


def by_batch(bench: Bench, workflow: str) -> list[Call]:
    """Two calls: the second has all reports."""
    steps = [
        {"run_id": "{id}", "step": step, "move": move} for step in STEPS for move in ("start", "complete")
    ]
    reports = [
        {"run_id": "{id}", "move": "start"},
        *steps,
        {"run_id": "{id}", "move": "complete", "report": {"output": DATA}},
    ]
    return [created(bench, workflow), ("POST", "/v1/runs/batch", json.dumps({"reports": reports}))]


def reported(bench: Bench, product: Contestant, story: list[Call], variant: str) -> Run:
    for number in range(SUBSCRIPTIONS):
        product.subscribe(bench.sink.url(f"/n/{number}"), "*")
    load = Load(
        stories=[story],
        paths=[[]],
        count=bench.count(RUNS // bench.options.repeats, at_least=5),
        events_per_story=EVENTS_PER_RUN,
        deliveries_per_story=DELIVERIES_PER_RUN,
        ids_from_rows=True,
        variant=variant,
    )
    run = bench.measure(product, load)
    product.unsubscribe()
    return run


def told(bench: Bench, naive: Contestant) -> Run:
    paths = [f"/n/{number}" for number in range(SUBSCRIPTIONS)]
    for path in paths:
        naive.subscribe(bench.sink.url(path), "bench.run")
    count = bench.count(RUNS * EVENTS_PER_RUN // bench.options.repeats // NAIVE_SHARE)
    run = bench.measure(naive, Load(stories=[[report("bench.run")]], paths=[paths], count=count))
    naive.unsubscribe()
    return run


class Runs:
    name = "runs"
    work = "2,000 runs (9 calls each, or two with a batch), 2 subscriptions and a callback"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product, naive = bench.product(stack), bench.naive(stack)
            bench.warm_up(product, naive)
            product.unsubscribe()
            workflow = product.call("POST", "/v1/workflows", {"name": "Benchmark"})["id"]
            runs = bench.interleave(
                partial(reported, bench, product, by_calls(bench, workflow), ""),
                partial(told, bench, naive),
                partial(reported, bench, product, by_batch(bench, workflow), BATCHED),
            )
        calls, batch, other = (
            [run for run in runs if (run.who, run.variant) == key]
            for key in ((PRODUCT, ""), (PRODUCT, BATCHED), (NAIVE, ""))
        )
        return Outcome(
            scenario=self.name,
            work=self.work,
            runs=runs,
            bars=[
                Bar(what="deliveries/s to naive", value=speed_ratio(calls, other), must=6, aim=12),
                Bar(what="in a batch, to naive", value=speed_ratio(batch, other), must=6, aim=12),
            ],
        )
