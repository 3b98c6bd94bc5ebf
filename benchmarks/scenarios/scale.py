"""`scale`: more worker processes, and API and workers on cores of their own."""

import os
from functools import partial

import psutil

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import Bar, Outcome, Run, speed_ratio
from benchmarks.scenarios.bursts import burst
from benchmarks.scenarios.drain import set_workers
from local.stack import Stack

EVENTS, FAN_OUT = 500, 10
WORKERS = (1, 2, 3)
APART = "cores apart"


def pin(pids: list[int], cores: set[int]) -> None:
    """All threads of these processes and their children; what they start later inherits it."""
    for pid in pids:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


def with_workers(bench: Bench, stack: Stack, product: Contestant, count: int) -> Run:
    set_workers(stack, count)
    variant = "" if count == 1 else f"{count} workers"
    return burst(bench, product, events=bench.count(EVENTS), fan_out=FAN_OUT, variant=variant)


def apart(bench: Bench, stack: Stack, product: Contestant) -> Run:
    """One worker on the last core, the API on the others."""
    set_workers(stack, 1)
    cores = os.sched_getaffinity(0)
    parts = product.parts()
    pin(parts["worker"], {max(cores)})
    pin(parts["api"], cores - {max(cores)})
    try:
        return burst(bench, product, events=bench.count(EVENTS), fan_out=FAN_OUT, variant=APART)
    finally:
        for part in ("worker", "api"):
            pin(parts[part], cores)


class Scale:
    name = "scale"
    work = "fanout with 1, 2 and 3 worker processes; API and worker on separate cores"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack(workers=max(WORKERS)) as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            turns = [partial(with_workers, bench, stack, product, count) for count in WORKERS]
            if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
                turns.append(partial(apart, bench, stack, product))
            runs = bench.interleave(*turns)
        one, two, three, pinned = (
            [run for run in runs if run.variant == variant]
            for variant in ("", "2 workers", "3 workers", APART)
        )
        return Outcome(
            scenario=self.name,
            work=self.work,
            runs=runs,
            bars=[
                Bar(what="two workers to one", value=speed_ratio(two, one)),
                Bar(what="three workers to one", value=speed_ratio(three, one)),
                Bar(what="cores apart to one worker", value=speed_ratio(pinned, one)),
            ],
        )
