"""`concurrency`: how many requests one worker process keeps in flight, and in how much memory."""

from dataclasses import replace

from benchmarks import cpu
from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import Bar, Outcome, Run, middle_extra
from benchmarks.load import Load, report
from benchmarks.sink import RECEIVERS

EVENTS = 500
ANSWER_MS = 500


def in_flight(bench: Bench, product: Contestant) -> Run:
    """Every event goes to all receivers, each of which takes half a second."""
    paths = [f"/wait/{ANSWER_MS}/{number}" for number in range(RECEIVERS)]
    for number, path in enumerate(paths):
        product.subscribe(bench.sink.url(path, number), "bench.wait")
    load = Load(
        stories=[[report("bench.wait")]],
        paths=[paths],
        count=bench.count(EVENTS, at_least=5),
        kinds=("wait",),
    )
    with cpu.peak_memory(product.parts()["worker"]) as peak:
        run = bench.measure(product, load)
    product.unsubscribe()
    return replace(run, extra=run.extra | {"worker_megabytes": peak[0]})


class Concurrency:
    name = "concurrency"
    work = "500 events to 20 receivers that answer after 500 ms, one worker process"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack(workers=1) as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            runs = bench.interleave(lambda: in_flight(bench, product))
        flight, memory = middle_extra(runs, "open_most"), middle_extra(runs, "worker_megabytes")
        return Outcome(
            scenario=self.name,
            work=self.work,
            runs=runs,
            bars=[
                Bar(what="requests in flight", value=flight, must=500, aim=2_000, unit=""),
                Bar(what="worker's memory", value=memory, must=400, at_most=True, unit="MB"),
            ],
        )
