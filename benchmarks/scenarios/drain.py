"""`drain`: a full queue and workers that begin: the workers alone, without the API."""

from dataclasses import replace
from functools import partial

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import LOOP, PRODUCT, Bar, Outcome, Run, speed_ratio
from benchmarks.load import Load, report
from local.stack import Stack

DELIVERIES, FAN_OUT = 20_000, 10
TWO = "two workers"


def set_workers(stack: Stack, count: int) -> None:
    """Let exactly the first so many of the stack's workers run."""
    workers = [service for name, service in stack.processes.items() if name.startswith("worker-")]
    for worker in workers[count:]:
        worker.ask_to_stop()
    for worker in workers[count:]:
        worker.finish(stack.supervisor.interrupts)
    stopped = [worker for worker in workers[:count] if not worker.running]
    for worker in stopped:
        worker.start()
    stack.supervisor.wait(*(worker.name for worker in stopped)) if stopped else None


def drained(
    bench: Bench, stack: Stack, product: Contestant, workers: int, deliveries: int = DELIVERIES
) -> Run:
    """Report everything while no worker runs, then start so many."""
    set_workers(stack, 0)
    paths = [f"/n/{number}" for number in range(FAN_OUT)]
    for path in paths:
        product.subscribe(bench.sink.url(path), "bench.drain")
    load = Load(
        stories=[[report("bench.drain")]],
        paths=[paths],
        count=bench.count(deliveries // FAN_OUT),
        variant=TWO if workers == 2 else "",
        workers_after=lambda: set_workers(stack, workers),
    )
    run = bench.measure(product, load)
    product.unsubscribe()
    # The API's part was played before the clock of this scenario.
    return replace(run, events_per_s=None, api_p50_ms=None, api_p99_ms=None)


class Drain:
    name = "drain"
    work = "20,000 deliveries pending, then workers start"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack(workers=2) as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            runs = bench.interleave(
                partial(drained, bench, stack, product, 1),
                bench.loop_turn(DELIVERIES // 2),
                partial(drained, bench, stack, product, 2),
            )
        mine = [run for run in runs if run.who == PRODUCT]
        loop = [run for run in runs if run.who == LOOP]
        one, two = ([run for run in mine if run.variant == variant] for variant in ("", TWO))
        return Outcome(
            scenario=self.name,
            work=self.work,
            runs=runs,
            bars=[
                Bar(what="deliveries/s to loop", value=speed_ratio(one, loop), must=1.5),
                Bar(what="two workers to loop", value=speed_ratio(two, loop), aim=2.5),
            ],
        )
