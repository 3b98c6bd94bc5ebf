"""`single` and `fanout`: as many events as the API takes, to one subscription or to ten."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bench import NAIVE_SHARE, Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import LOOP, NAIVE, PRODUCT, Bar, Outcome, Run, speed_ratio
from benchmarks.load import Load, report


def burst(bench: Bench, contestant: Contestant, *, events: int, fan_out: int, variant: str = "") -> Run:
    """A run of `events` custom events to `fan_out` subscriptions of a type of their own."""
    event_type = f"bench.to{fan_out}"
    paths = [f"/n/{number}" for number in range(fan_out)]
    for path in paths:
        contestant.subscribe(bench.sink.url(path), event_type)
    load = Load(stories=[[report(event_type)]], paths=[paths], count=events, variant=variant)
    run = bench.measure(contestant, load)
    contestant.unsubscribe()
    return run


def turn(bench: Bench, contestant: Contestant, *, events: int, fan_out: int) -> Callable[[], Run]:
    return lambda: burst(bench, contestant, events=events, fan_out=fan_out)


@dataclass(frozen=True)
class Burst:
    """The two differ in numbers alone."""

    name: str
    work: str
    events: int
    fan_out: int
    to_loop: tuple[float, float]
    to_naive: float

    def run(self, bench: Bench) -> Outcome:
        events = bench.count(self.events)
        with bench.stack() as stack:
            product, naive = bench.product(stack), bench.naive(stack)
            bench.warm_up(product, naive)
            runs = bench.interleave(
                turn(bench, product, events=events, fan_out=self.fan_out),
                bench.loop_turn(self.events * self.fan_out // 2),
                turn(bench, naive, events=max(events // NAIVE_SHARE, 10), fan_out=self.fan_out),
            )
        return Outcome(scenario=self.name, work=self.work, runs=runs, bars=self.bars(runs))

    def bars(self, runs: list[Run]) -> list[Bar]:
        mine, loop, naive = ([r for r in runs if r.who == who] for who in (PRODUCT, LOOP, NAIVE))
        must, aim = self.to_loop
        return [
            Bar(what="deliveries/s to loop", value=speed_ratio(mine, loop), must=must, aim=aim),
            Bar(what="deliveries/s to naive", value=speed_ratio(mine, naive), must=self.to_naive),
        ]


def single() -> Burst:
    return Burst(
        name="single",
        work="5,000 custom events, one call each, 32 connections, one subscription",
        events=5_000,
        fan_out=1,
        to_loop=(0.40, 0.60),
        to_naive=6,
    )


def fanout() -> Burst:
    return Burst(
        name="fanout",
        work="1,000 custom events to 10 subscriptions each",
        events=1_000,
        fan_out=10,
        to_loop=(1.15, 1.7),
        to_naive=12,
    )
