"""`make chaos`: break everything by turns under load, then prove that nothing was lost.

CHAOS_SECONDS (300), CHAOS_SEED (by the clock), CHAOS_RATE (events per second, 20). The same seed
plans the same faults, moods and load; when exactly they meet is up to the machine.
"""

import signal
import sys
import time
from pathlib import Path
from types import FrameType

from local.errors import StartFailed
from local.files import CHECKOUT
from local.supervisor import say
from tests.chaos.report import complaint, table, write_json
from tests.chaos.run import Config, run
from webhooks_project import env

REPORT = Path("build") / "chaos.json"
LOGS = Path("build") / "chaos-logs"


def main() -> int:
    """Exit status 0 if everything held, 1 if not."""
    config = Config(
        seconds=env.number("CHAOS_SECONDS", 300.0),
        seed=env.integer("CHAOS_SEED", int(time.time()) % 100_000),
        rate=env.number("CHAOS_RATE", 20.0),
        logs_to=CHECKOUT / LOGS,
    )
    say(f"chaos for {config.seconds:.0f} s with CHAOS_SEED={config.seed}, {config.rate:.0f} events/s")
    outcome = run(config, say)
    write_json(CHECKOUT / REPORT, outcome.figures)
    say(table(outcome.figures))
    if not outcome.verdict.passed:
        say(complaint(outcome.verdict, outcome.evidence, config.seed))
        say(f"the logs of all processes are in {LOGS}")
        return 1
    say(f"held: nothing lost, every second copy explained ({REPORT})")
    return 0


def interrupt(number: int, frame: FrameType | None) -> None:
    """A wish to end is an interruption, so that whatever is paused goes on and ends."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except StartFailed as error:
        print(f"chaos: {error}", file=sys.stderr)
        sys.exit(1)
