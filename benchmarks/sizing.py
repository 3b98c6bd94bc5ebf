"""`python -m benchmarks.sizing`: how many cores a rate needs, from the CPU per delivery that was measured.

CPU per delivery is the sum of API, worker, PostgreSQL and Valkey in `build/bench/single.json` (each event to
one receiver) and `fanout.json` (to ten). A core is planned to be busy for 60 % of the time: beyond that
waiting times grow.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from math import ceil
from pathlib import Path

from local.files import CHECKOUT

PLANNED_SHARE = 0.6
RATES = (10, 50, 100, 300, 1_000, 3_000)
SERVICE = ("api", "worker", "postgresql", "valkey")
SCENARIOS = {"single": "one receiver per event", "fanout": "ten receivers per event"}


def cores(rate: float, milliseconds: float) -> float:
    """Cores that so many deliveries per second keep busy, planned share included."""
    return rate * milliseconds / 1000 / PLANNED_SHARE


def shown(count: float) -> str:
    return f"{ceil(count * 10) / 10:.1f}"


def rows(cpu_ms: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The table in Markdown: for each rate and scenario the cores of all, and of each part."""
    lines = []
    for scenario, parts in cpu_ms.items():
        each = {part: parts[part] for part in SERVICE}
        total = sum(each.values())
        lines += [
            "",
            f"{SCENARIOS[scenario].capitalize()} (`{scenario}`): {total:.2f} ms of CPU per delivery.",
            "",
            "| deliveries/s | cores | API | workers | PostgreSQL | Valkey |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for rate in RATES:
            told = " | ".join(shown(cores(rate, value)) for value in each.values())
            lines.append(f"| {rate:,} | {shown(cores(rate, total))} | {told} |")
    return lines[1:]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.sizing", description=__doc__)
    parser.add_argument("--input", type=Path, default=CHECKOUT / "build" / "bench", help="of the JSON files")
    folder = parser.parse_args(arguments).input
    found = {}
    for scenario in SCENARIOS:
        path = folder / f"{scenario}.json"
        if not path.exists():
            print(f"{path} is missing: `make bench SCENARIO={scenario}` makes it", file=sys.stderr)
            return 1
        found[scenario] = json.loads(path.read_text())["cpu_ms_per_delivery"]
    print("\n".join(rows(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
