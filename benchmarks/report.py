"""The table for people and `build/bench/<scenario>.json` for comparing."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import LOOP, PARTS, Bar, Outcome, Run, middle, middle_cpu, summary

COLUMNS = f"{'':<24}{'deliveries/s':>22}{'events/s':>10}{'API p50/p99 ms':>18}{'latency p50/p95/p99 ms':>28}"


def table(outcome: Outcome) -> str:
    """One scenario: a row per contestant and load, the CPU by part, the demands."""
    lines = ["", f"{outcome.scenario}: {outcome.work}"]
    if outcome.skipped:
        return "\n".join([*lines, f"  skipped: {outcome.skipped}"])
    if outcome.failed:
        return "\n".join([*lines, *(f"  PROBLEM {problem}" for problem in outcome.problems)])
    if outcome.runs:
        lines.append(f"{COLUMNS}   CPU ms per delivery")
    for who, variant in dict.fromkeys((run.who, run.variant) for run in outcome.runs):
        lines.append(row(outcome.of(who, variant)))
    lines += [f"  {line(bar)}" for bar in outcome.bars]
    lines += [f"  PROBLEM {problem}" for problem in outcome.problems]
    return "\n".join(lines)


def cells(runs: Sequence[Run]) -> list[str]:
    """Medians, with the range of the deliveries per second."""
    speeds = sorted(run.deliveries_per_s for run in runs)
    return [
        f"{runs[0].who} {runs[0].variant}".strip(),
        f"{middle(runs, 'deliveries_per_s'):.0f} ({speeds[0]:.0f}–{speeds[-1]:.0f})",
        number(middle(runs, "events_per_s"), 0),
        " / ".join(number(middle(runs, f"api_{p}_ms"), 1) for p in ("p50", "p99")),
        " / ".join(number(middle(runs, f"latency_{p}_ms"), 1) for p in ("p50", "p95", "p99")),
        cpu(runs),
    ]


def row(runs: Sequence[Run]) -> str:
    name, speed, events, api, latency, spent = cells(runs)
    return f"  {name:<22}{speed:>22}{events:>10}{api:>18}{latency:>28}   {spent}"


def cpu(runs: Sequence[Run]) -> str:
    """The sum and its parts, in the order of the key."""
    if runs[0].who == LOOP:
        return f"{sum(runs[0].cpu_ms_per_delivery.values()):.2f}"
    parts = middle_cpu(runs)
    told = " / ".join(f"{parts[part]:.2f}" for part in PARTS if part in parts)
    return f"{sum(parts.values()):.2f} = {told}"


def line_cells(bar: Bar) -> list[str]:
    """One demand and whether it is met."""
    value = f"{bar.value:.2f} {bar.unit}".strip() if bar.value is not None else "–"
    limits = [f"{name} {'≤' if bar.at_most else '≥'} {limit:g}" for name, limit in limits_of(bar)]
    return [bar.what, value, ", ".join(limits), bar.verdict]


def line(bar: Bar) -> str:
    what, value, limits, verdict = line_cells(bar)
    return f"{what:<36}{value:>14}   {limits:<24} {verdict}"


def limits_of(bar: Bar) -> list[tuple[str, float]]:
    return [(name, limit) for name, limit in (("must", bar.must), ("aim", bar.aim)) if limit is not None]


def number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def document(outcome: Outcome, busy_share: float) -> dict[str, Any]:
    """What is written; `bars`, `problems` and `machine` are there for readers beside the fixed keys."""
    return {
        **summary(outcome),
        "bars": [vars(bar) | {"verdict": bar.verdict} for bar in outcome.bars],
        "problems": outcome.problems,
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "python": platform.python_version(),
            "busy_share_before": busy_share,
        },
    }


def write(folder: Path, outcome: Outcome, busy_share: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.scenario}.json"
    path.write_text(json.dumps(document(outcome, busy_share), indent=1, ensure_ascii=False) + "\n")
    return path


def overview(outcomes: Sequence[Outcome]) -> str:
    """All demands of all scenarios at the end."""
    lines = ["", "all demands"]
    for outcome in outcomes:
        if outcome.skipped:
            lines.append(f"  {outcome.scenario:<12} skipped: {outcome.skipped}")
        if outcome.failed:
            lines.append(f"  {outcome.scenario:<12} PROBLEM {outcome.problems[0]}")
        lines += [f"  {outcome.scenario:<12} {line(bar)}" for bar in outcome.bars]
    return "\n".join(lines)
