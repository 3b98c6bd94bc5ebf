"""`python -m benchmarks.tables`: the tables of docs/performance.md, from `build/bench/*.json`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.figures import Bar, Outcome, Run
from benchmarks.report import cells, line_cells
from benchmarks.scenarios import ALL
from local.files import CHECKOUT

FIGURES = (
    "| scenario | who | deliveries/s (range) | events/s | API p50 / p99 ms | latency p50 / p95 / p99 ms |"
    " CPU ms per delivery = API / worker / PostgreSQL / Valkey / sink / driver |"
)
DEMANDS = "| scenario | demand | value | limits | verdict |"


def read(path: Path) -> Outcome:
    """An outcome as it was written."""
    told: dict[str, Any] = json.loads(path.read_text())
    runs = [Run(**run | {"problems": tuple(run["problems"])}) for run in told["runs"]]
    bars = [Bar(**{name: value for name, value in bar.items() if name != "verdict"}) for bar in told["bars"]]
    return Outcome(scenario=path.stem, work="", runs=runs, bars=bars)


def markdown(outcomes: list[Outcome]) -> list[str]:
    figures, demands = [FIGURES, "| --- " * 7 + "|"], [DEMANDS, "| --- " * 5 + "|"]
    for outcome in outcomes:
        for key in dict.fromkeys((run.who, run.variant) for run in outcome.runs):
            figures.append(_row(f"`{outcome.scenario}`", *cells(outcome.of(*key))))
        demands += [_row(f"`{outcome.scenario}`", *line_cells(bar)) for bar in outcome.bars]
    return [*figures, "", *demands]


def _row(*values: str) -> str:
    return f"| {' | '.join(values)} |"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.tables", description=__doc__)
    parser.add_argument("--input", type=Path, default=CHECKOUT / "build" / "bench", help="of the JSON files")
    folder = parser.parse_args(arguments).input
    paths = [path for scenario in ALL if (path := folder / f"{scenario.name}.json").exists()]
    print("\n".join(markdown([read(path) for path in paths])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
