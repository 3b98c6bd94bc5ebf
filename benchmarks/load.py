"""One measured run: drive an API, count at the sink, wait for the rows, judge the ledger."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import cpu
from benchmarks.contestants import Contestant
from benchmarks.figures import Run, percentile
from benchmarks.ledger import Expected, judge, latencies_ms
from benchmarks.processes import Call, Played, Sink, play

PATIENCE_SECONDS = 20.0
LIMIT_SECONDS = 240.0
SETTLE_SECONDS = 30.0
# With the envelope, the body that a receiver gets is about 1 KB.
DATA = {"text": "x" * 900}


def report(event_type: str) -> Call:
    """The call that reports one custom event."""
    return ("POST", "/v1/events", json.dumps({"event_type": event_type, "data": DATA}))


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is driven, and what has to come of it."""

    stories: Sequence[Sequence[Call]]
    paths: Sequence[Sequence[str]]
    """For each story the paths that each of its events has to reach, once."""
    count: int
    rate: float | None = None
    connections: int = 32
    variant: str = ""
    events_per_story: int = 1
    kinds: Sequence[str] = ("n",)
    """The first words of the paths that are waited for."""
    before_settling: Callable[[], object] = field(default=lambda: None)
    """Called when all has arrived, or no more is to be expected."""
    workers_after: Callable[[], object] | None = None
    """Starts the workers once everything is reported: then what counts is from the first arrival on."""
    ids_from_rows: bool = False
    """The API's answers do not name the events; the rows of the deliveries do."""
    deliveries_per_story: int | None = None
    """Where paths do not say it."""
    first_counted: int = 0
    """Stories before this one only warm the connections up: the clock starts with it."""

    @property
    def events(self) -> int:
        return self.count * self.events_per_story

    @property
    def events_counted(self) -> int:
        return (self.count - self.first_counted) * self.events_per_story

    @property
    def deliveries(self) -> int:
        """How many requests have to come."""
        if self.deliveries_per_story is not None:
            return self.count * self.deliveries_per_story
        return self.events_per_story * sum(len(self.paths[n % len(self.paths)]) for n in range(self.count))


def measure(contestant: Contestant, sink: Sink, load: Load) -> Run:
    """Play the load and return its figures."""
    sink.reset()
    mark = contestant.mark()
    parts = contestant.parts()
    before = cpu.snapshot(parts)
    # Their clock is the driver's and the sink's.
    played = play(
        contestant.port,
        contestant.headers,
        load.stories,
        load.count,
        connections=load.connections,
        rate=load.rate,
    ).from_story(load.first_counted)
    if load.workers_after is not None:
        load.workers_after()
        parts = contestant.parts()
        before = cpu.snapshot(parts)
    sink.wait_for(load.deliveries, load.kinds, patience=PATIENCE_SECONDS, limit=LIMIT_SECONDS)
    load.before_settling()
    rows = contestant.settle(mark, load.kinds, SETTLE_SECONDS)
    usage = Usage(before, cpu.snapshot(parts))
    delivered = sum(rows[kind, "delivered"] for kind in load.kinds)
    if load.ids_from_rows:
        expected = contestant.addressed(mark)
    else:
        expected = [
            (path, id_) for story, id_, _ in played.ids for path in load.paths[story % len(load.paths)]
        ]
    return _run(contestant.who, load, played, sink, usage, expected, delivered)


@dataclass(frozen=True)
class Usage:
    """CPU of the service from the first call, or the start of the workers, until all is on record."""

    before: cpu.Snapshot
    after: cpu.Snapshot

    def per_delivery(self, sink_seconds: float, driver_seconds: float, deliveries: int) -> dict[str, float]:
        seconds = cpu.used(self.before, self.after) | {"sink": sink_seconds, "driver": driver_seconds}
        return {part: 1000 * value / max(deliveries, 1) for part, value in seconds.items()}


def _run(
    who: str, load: Load, played: Played, sink: Sink, usage: Usage, expected: list[Expected], delivered: int
) -> Run:
    stats = sink.stats()
    arrivals = [one for one in sink.dump() if one[0].split("/")[1] in load.kinds]
    ledger = judge(expected, arrivals)
    drained = load.workers_after is not None
    waits = [] if drained else latencies_ms({id_: sent for _, id_, sent in played.ids}, arrivals)
    answers = [1000 * (answered - sent) for _, sent, answered, _ in played.calls]
    driver_seconds = 0.0 if drained else played.cpu_seconds
    each = usage.per_delivery(stats["cpu_seconds"], driver_seconds, len(expected))
    times = [at for _, _, at in arrivals] or [played.ended]
    span = max(times) - (min(times) if drained else played.began)
    ours = sum(each.values()) * len(expected) / 1000
    return Run(
        who=who,
        variant=load.variant,
        deliveries=len(expected),
        deliveries_per_s=len(expected) / max(span, 1e-9),
        events_per_s=load.events_counted / max(played.ended - played.began, 1e-9),
        api_p50_ms=percentile(answers, 0.50),
        api_p99_ms=percentile(answers, 0.99),
        latency_p50_ms=percentile(waits, 0.50),
        latency_p95_ms=percentile(waits, 0.95),
        latency_p99_ms=percentile(waits, 0.99),
        cpu_ms_per_delivery=each,
        others_cpu_share=cpu.others_share(usage.before, usage.after, ours),
        lost=ledger.lost,
        duplicates=ledger.duplicates,
        extra={name: stats[name] for name in ("open_most", "handshakes", "resumed")},
        problems=(*ledger.complaints(), *_problems(load, played, len(expected), delivered)),
    )


def _problems(load: Load, played: Played, expected: int, delivered: int) -> list[str]:
    found = []
    if played.refused:
        found.append(f"the API said {played.refused}")
    if not load.ids_from_rows and len(played.ids) != load.events:
        found.append(f"the API accepted {len(played.ids)} of {load.events} events")
    if expected != load.deliveries:
        found.append(f"{expected} of {load.deliveries} deliveries were made")
    if delivered != expected:
        found.append(f"{delivered} of {expected} rows are delivered")
    return found


def until(met: Callable[[], Any], limit: float, what: str) -> None:
    """Wait for something that is not measured."""
    ends = time.monotonic() + limit
    while not met():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {limit:.0f} s: {what}")
        time.sleep(0.1)
