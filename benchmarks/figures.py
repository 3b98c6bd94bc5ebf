"""What a benchmark knows when it has run: runs, their medians, the bars they are held against. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

PRODUCT, NAIVE, LOOP = "product", "naive", "loop"
PARTS = ("api", "worker", "postgresql", "valkey", "sink", "driver")
KEYS = (
    "deliveries_per_s",
    "events_per_s",
    "api_p50_ms",
    "api_p99_ms",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "cpu_ms_per_delivery",
    "ratio_to_loop",
    "ratio_to_naive",
    "lost",
    "duplicates",
    "runs",
)
MEDIANS = KEYS[:7]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One measured run of one contestant."""

    who: str
    variant: str = ""
    """Which of several loads of a scenario; empty: the one that the scenario is about."""
    deliveries: int
    deliveries_per_s: float
    events_per_s: float | None = None
    api_p50_ms: float | None = None
    api_p99_ms: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    cpu_ms_per_delivery: dict[str, float] = field(default_factory=dict)
    others_cpu_share: float = 0.0
    """How much of the machine somebody else used meanwhile."""
    lost: int = 0
    duplicates: int = 0
    problems: tuple[str, ...] = ()
    """What makes the run's figures worthless, in words."""
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One demand: what must be reached, and what is aimed at. `value` None: not measured."""

    what: str
    value: float | None
    must: float | None = None
    aim: float | None = None
    at_most: bool = False
    unit: str = "×"

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.must is None and self.aim is None:
            return "reported"
        if self.aim is not None and self._holds(self.aim):
            return "aim reached"
        if self.must is None:
            return "aim missed"
        return "must reached" if self._holds(self.must) else "missed"

    def _holds(self, limit: float) -> bool:
        assert self.value is not None
        return self.value <= limit if self.at_most else self.value >= limit


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All of one scenario. Skipped ones say why, and have no runs."""

    scenario: str
    work: str
    runs: Sequence[Run] = ()
    bars: Sequence[Bar] = ()
    skipped: str = ""
    failed: str = ""
    """What kept the scenario from being carried out."""

    def of(self, who: str, variant: str = "") -> list[Run]:
        return [run for run in self.runs if (run.who, run.variant) == (who, variant)]

    @property
    def problems(self) -> list[str]:
        """What the ledger or the clock complained about, in the product's runs and the yardsticks'."""
        failed = [f"it ended early: {self.failed}"] if self.failed else []
        return failed + [
            f"{' '.join(filter(None, (run.who, run.variant)))}: {problem}"
            for run in self.runs
            for problem in run.problems
        ]


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed; None without values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None


def middle(runs: Sequence[Run], name: str) -> float | None:
    """The median of one figure over runs that have it."""
    values = [value for run in runs if (value := getattr(run, name)) is not None]
    return median(values) if values else None


def middle_extra(runs: Sequence[Run], name: str) -> float | None:
    values = [run.extra[name] for run in runs if name in run.extra]
    return median(values) if values else None


def ratio(one: float | None, other: float | None) -> float | None:
    """None where there is nothing to compare."""
    return one / other if one is not None and other else None


def speed_ratio(runs: Sequence[Run], others: Sequence[Run]) -> float | None:
    return ratio(middle(runs, "deliveries_per_s"), middle(others, "deliveries_per_s"))


def middle_cpu(runs: Sequence[Run]) -> dict[str, float]:
    """The median of each part."""
    return {
        part: median(values)
        for part in PARTS
        if (values := [r.cpu_ms_per_delivery[part] for r in runs if part in r.cpu_ms_per_delivery])
    }


def summary(outcome: Outcome) -> dict[str, Any]:
    """The keys of `build/bench/<scenario>.json`; medians are the product's, of the scenario's main load."""
    runs = outcome.of(PRODUCT)
    return {
        **{name: middle(runs, name) for name in MEDIANS},
        "cpu_ms_per_delivery": middle_cpu(runs),
        "ratio_to_loop": speed_ratio(runs, outcome.of(LOOP)),
        "ratio_to_naive": speed_ratio(runs, outcome.of(NAIVE)),
        "lost": sum(run.lost for run in outcome.runs if run.who == PRODUCT),
        "duplicates": sum(run.duplicates for run in outcome.runs if run.who == PRODUCT),
        "runs": [vars(run) for run in outcome.runs],
    }
