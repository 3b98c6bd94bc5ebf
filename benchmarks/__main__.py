"""`make bench [SCENARIO=fanout]`: the production configuration beside its yardsticks, on this machine.

`--share 5` does a fifth of the work and `--quick` next to none; `--repeats 5` measures more often;
`--profile` (PROFILE=1) writes where the time of API and worker goes, to a folder per scenario in
`build/bench/profile/`. BENCH_POOL, BENCH_CONCURRENCY and BENCH_WORKERS choose the workers; BENCH_ENV
("NAME=value NAME=value") sets settings. docs/performance.md explains the figures.
"""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psycopg2

from benchmarks import cpu, report
from benchmarks.bench import Bench, Options, OutOfTime, Scenario
from benchmarks.contestants import Refused
from benchmarks.figures import Outcome
from benchmarks.processes import sink
from benchmarks.scenarios import ALL
from local.errors import StartFailed
from local.files import CHECKOUT
from local.stack import StackConfig
from local.supervisor import say
from webhooks_project import env

FOLDER = CHECKOUT / "build" / "bench"
LIMIT_SECONDS = 45 * 60
LOOK_SECONDS = 3.0
QUICK_SHARE = 50


def main(arguments: list[str]) -> int:
    """Exit status 1 if something was lost, doubled or not carried out; a bar that is missed is no error."""
    names = [scenario.name for scenario in ALL]
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "scenario", nargs="*", choices=[*names, []], metavar="SCENARIO", help="all, if none is named"
    )
    parser.add_argument("--share", type=int, default=1, help="5: only a fifth of the work")
    parser.add_argument("--quick", action="store_true", help=f"--share {QUICK_SHARE}: figures mean nothing")
    parser.add_argument("--repeats", type=int, help="runs of each; 3, or 1 with --quick")
    parser.add_argument("--profile", action="store_true", help="sample API and worker with py-spy")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the JSON files")
    chosen = parser.parse_args(arguments)
    options = Options(
        repeats=chosen.repeats or (1 if chosen.quick else 3),
        share=QUICK_SHARE if chosen.quick else max(chosen.share, 1),
        workers=env.integer("BENCH_WORKERS", Options.workers, at_least=1),
        pool=env.text("BENCH_POOL", StackConfig.pool),
        concurrency=env.integer("BENCH_CONCURRENCY", StackConfig.concurrency, at_least=1),
        env=dict(pair.split("=", 1) for pair in env.text("BENCH_ENV", " ").split()),
        profile_to=chosen.output / "profile" if chosen.profile else None,
        ends=time.monotonic() + LIMIT_SECONDS,
    )
    scenarios = [one for one in ALL if not chosen.scenario or one.name in chosen.scenario]
    return run(scenarios, options, chosen.output)


def run(scenarios: list[Scenario], options: Options, folder: Path) -> int:
    busy_share = cpu.busy_share(LOOK_SECONDS)
    if busy_share > cpu.BUSY_SHARE:
        say(
            f"WARNING: {100 * busy_share:.0f} % of this machine is in use by others: times mean little,"
            " and ratios less than on a quiet one"
        )
    outcomes = []
    with sink() as receiver:
        bench = Bench(options, receiver, say)
        for scenario in scenarios:
            say(f"{scenario.name}: {scenario.work}")
            outcome = carry_out(scenario, bench)
            outcomes.append(outcome)
            say(report.table(outcome))
            if outcome.runs:
                say(f"  → {report.write(folder, outcome, busy_share)}")
    if len(outcomes) > 1:
        say(report.overview(outcomes))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def carry_out(scenario: Scenario, bench: Bench) -> Outcome:
    """One scenario's end is not the others'."""
    try:
        return bench.run(scenario)
    except OutOfTime:
        return Outcome(
            scenario=scenario.name, work=scenario.work, skipped=f"the {LIMIT_SECONDS // 60} minutes are over"
        )
    except (Refused, StartFailed, TimeoutError, subprocess.SubprocessError, psycopg2.Error) as error:
        return Outcome(scenario=scenario.name, work=scenario.work, failed=f"{type(error).__name__}: {error}")


def interrupt(number: int, frame: FrameType | None) -> None:
    """A wish to end is an interruption, so that what was started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
