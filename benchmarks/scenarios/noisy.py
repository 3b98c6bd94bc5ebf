"""`noisy`: what receivers that hang or are slow cost those that are well."""

from functools import partial

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import Bar, Outcome, Run, middle, ratio
from benchmarks.load import Load, report

RATES = (100, 300)
SECONDS = 20
HEALTHY = [report("bench.healthy")]
HANGING = [report("bench.hanging")]
SLOW = [report("bench.slow")]
# One of five hangs until the time-out, one of five answers after 2 s.
MIX = [HEALTHY, HANGING, HEALTHY, SLOW, HEALTHY]
PATHS = [["/n/healthy"], [], ["/n/healthy"], [], ["/n/healthy"]]


def mixed(bench: Bench, product: Contestant, rate: int) -> Run:
    """The mix at a rate; only the healthy ones are waited for and counted."""
    product.subscribe(bench.sink.url("/n/healthy"), "bench.healthy")
    # A second attempt within the run would be noise of its own.
    product.subscribe(bench.sink.url("/hang/1", 1), "bench.hanging", retry_schedule=[3600])
    product.subscribe(bench.sink.url("/wait/2000/1", 2), "bench.slow", retry_schedule=[3600])
    load = Load(
        stories=MIX,
        paths=PATHS,
        count=bench.count(rate * SECONDS),
        rate=rate,
        variant=f"{rate}/s noisy",
        # What still waits for the sick ones is cancelled; requests under way end by themselves.
        before_settling=product.unsubscribe,
    )
    return bench.measure(product, load)


def healthy(bench: Bench, product: Contestant, rate: int) -> Run:
    """The same without the sick ones: as many healthy events per second as in the mix."""
    product.subscribe(bench.sink.url("/n/healthy"), "bench.healthy")
    share = len([story for story in MIX if story is HEALTHY]) / len(MIX)
    load = Load(
        stories=[HEALTHY],
        paths=[["/n/healthy"]],
        count=bench.count(int(rate * share * SECONDS)),
        rate=rate * share,
        variant=f"{rate}/s healthy",
    )
    run = bench.measure(product, load)
    product.unsubscribe()
    return run


class Noisy:
    name = "noisy"
    work = "100 and 300 events/s, one of five to a receiver that hangs, one of five to one that takes 2 s"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            turns = [partial(play, bench, product, rate) for rate in RATES for play in (healthy, mixed)]
            runs = bench.interleave(*turns)
        return Outcome(scenario=self.name, work=self.work, runs=runs, bars=self.bars(runs))

    def bars(self, runs: list[Run]) -> list[Bar]:
        found = []
        for rate in RATES:
            noisy, quiet = (
                middle([run for run in runs if run.variant == f"{rate}/s {mood}"], "latency_p99_ms")
                for mood in ("noisy", "healthy")
            )
            found.append(
                Bar(
                    what=f"healthy p99 at {rate}/s",
                    value=ratio(noisy, quiet),
                    must=1.5,
                    aim=1.1,
                    at_most=True,
                )
            )
        return found
