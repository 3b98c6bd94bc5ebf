"""What scenarios are written with: a stack and its contestants, turns that interleave, scaled counts."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.contestants import Contestant, naive, product
from benchmarks.figures import Outcome, Run
from benchmarks.load import Load, measure, report
from benchmarks.processes import Sink, sink
from benchmarks.profiles import Profiler
from benchmarks.yardstick import Loop
from local import temporary
from local.stack import Stack, StackConfig

# `naive` is slow; its figures are per second, so fewer of them tell the same.
NAIVE_SHARE = 5
# Twice the cores: while one waits for the receiver or the database another computes.
NAIVE_CONCURRENCY = 2 * (os.cpu_count() or 1)
WARM_UP_EVENTS = 200


@dataclass(frozen=True, kw_only=True)
class Options:
    """How thoroughly, and with which worker."""

    repeats: int = 3
    share: int = 1
    """Do only the so-manieth part of the work."""
    workers: int = 2
    """Processes: one for each core, for Python runs one thread at a time."""
    pool: str = StackConfig.pool
    concurrency: int = StackConfig.concurrency
    env: Mapping[str, str] = field(default_factory=dict)
    """Settings of the product for this run."""
    profile_to: Path | None = None
    ends: float = float("inf")
    """By the monotonic clock: what has not begun by then is left out."""


class Scenario(Protocol):
    """One line of the table."""

    @property
    def name(self) -> str: ...

    @property
    def work(self) -> str: ...

    def run(self, bench: "Bench") -> Outcome: ...


class OutOfTime(Exception):
    """The time of the whole run is up."""


class Bench:
    """Handed to each scenario."""

    def __init__(self, options: Options, receiver: Sink, say: Callable[[str], None]) -> None:
        self.options = options
        self.sink = receiver
        self.say = say
        self._scenario = ""
        self.loop = Loop(receiver, say, sweep_requests=self.count(1_000, at_least=100))

    def run(self, scenario: Scenario) -> Outcome:
        """Carry it out, under its name."""
        self._scenario = scenario.name
        return scenario.run(self)

    def count(self, full: int, *, at_least: int = 20) -> int:
        """A count, or the share of it that is to be done."""
        return max(full // self.options.share, min(at_least, full))

    @contextmanager
    def stack(self, *, workers: int | None = None, env: Mapping[str, str] | None = None) -> Iterator[Stack]:
        """The production configuration, new and empty, from here to the end of the block."""
        config = {
            "workers": workers or self.options.workers,
            "pool": self.options.pool,
            "concurrency": self.options.concurrency,
        }
        settings = {**OUT_OF_THE_WAY, **(env or {}), **self.options.env}
        with (
            temporary.folder() as folder,
            Stack(StackConfig(data_dir=folder, env=settings, **config)) as stack,  # type: ignore[arg-type]
        ):
            yield stack

    @contextmanager
    def tls_sink(self, certificate: Path) -> Iterator[None]:
        """Another sink in the place of the usual one until the end of the block."""
        usual = self.sink
        try:
            with sink(certificate) as self.sink:
                yield
        finally:
            self.sink = usual

    def product(self, stack: Stack) -> Contestant:
        return product(stack)

    def naive(self, stack: Stack) -> Contestant:
        return naive(stack, NAIVE_CONCURRENCY)

    def warm_up(self, *contestants: Contestant) -> None:
        """Connections, caches and plans of a server that has been running; events of no receiver but one."""
        for contestant in contestants:
            contestant.subscribe(self.sink.url("/n/warm"), "bench.warm")
            count = self.count(WARM_UP_EVENTS)
            measure(
                contestant,
                self.sink,
                Load(stories=[[report("bench.warm")]], paths=[["/n/warm"]], count=count),
            )

    def measure(self, contestant: Contestant, load: Load) -> Run:
        """One run, told in a line; with a profile if one is wanted."""
        if time.monotonic() > self.options.ends:
            raise OutOfTime
        folder = self.options.profile_to and self.options.profile_to / self._scenario
        with Profiler(folder, contestant, load.variant):
            run = measure(contestant, self.sink, load)
        self.tell(run)
        return run

    def interleave(self, *turns: Callable[[], Run]) -> list[Run]:
        """All by turns, again and again: the machine's moods meet each alike."""
        return [turn() for _ in range(self.options.repeats) for turn in turns]

    def loop_turn(self, count: int) -> Callable[[], Run]:
        """The bare loop as a turn."""

        def turn() -> Run:
            run = self.loop.run(self.count(count))
            self.tell(run)
            return run

        return turn

    def tell(self, run: Run) -> None:
        label = f"{run.who} {run.variant}".strip()
        line = f"  {label:<24}{run.deliveries_per_s:>8.0f}/s"
        if run.latency_p50_ms is not None:
            line += f"   latency {run.latency_p50_ms:.1f} / {run.latency_p99_ms:.1f} ms"
        line += f"   CPU {sum(run.cpu_ms_per_delivery.values()):.2f} ms"
        if run.problems:
            line += f"   PROBLEM: {'; '.join(run.problems)}"
        self.say(line)


# Limits against misuse, which a benchmark is.
OUT_OF_THE_WAY = {
    "API_KEY_RATE_PER_SECOND": "1000000",
    "API_ORGANIZATION_RATE_PER_SECOND": "1000000",
    "SUBSCRIPTIONS_PER_ORGANIZATION_MAX": "20000",
}
