"""`latency`: how long from the call to the receiver when nothing is saturated."""

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import LOOP, PRODUCT, Bar, Outcome, Run, middle, middle_extra, ratio
from benchmarks.load import Load, report

RATE, SECONDS = 100, 20


def paced(bench: Bench, product: Contestant, *, variant: str = "") -> Run:
    """A run at a steady pace to one receiver."""
    product.subscribe(bench.sink.url("/n/paced"), "bench.paced")
    load = Load(
        stories=[[report("bench.paced")]],
        paths=[["/n/paced"]],
        count=bench.count(RATE * SECONDS),
        rate=RATE,
        variant=variant,
    )
    run = bench.measure(product, load)
    product.unsubscribe()
    return run


class Latency:
    name = "latency"
    work = "100 events/s for 20 s, API call sent → receiver has it"

    def run(self, bench: Bench) -> Outcome:
        def one_request() -> Run:
            run = bench.loop.run(bench.count(1_000), (1, 1))
            bench.tell(run)
            return run

        with bench.stack() as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            runs = bench.interleave(lambda: paced(bench, product), one_request)
        return Outcome(scenario=self.name, work=self.work, runs=runs, bars=self.bars(runs))

    def bars(self, runs: list[Run]) -> list[Bar]:
        mine, loop = ([r for r in runs if r.who == who] for who in (PRODUCT, LOOP))
        p50, p99 = middle(mine, "latency_p50_ms"), middle(mine, "latency_p99_ms")
        request = middle_extra(loop, "request_ms")
        return [
            Bar(what="p50 to one request of loop", value=ratio(p50, request), must=10, aim=4, at_most=True),
            Bar(what="p99 to p50", value=ratio(p99, p50), must=4, aim=2.5, at_most=True),
        ]
