"""Runs the bare loop in the best number of processes and threads, which a short sweep finds."""

import json
import subprocess
import sys
from collections.abc import Callable

from benchmarks.figures import LOOP, Run
from benchmarks.ledger import judge
from benchmarks.processes import Sink
from local.files import CHECKOUT

# Processes and threads.
SHAPES = ((1, 1), (1, 4), (2, 1), (2, 2), (2, 4), (2, 8), (4, 1), (4, 4))
SWEEP_REQUESTS = 1_000
LIMIT_SECONDS = 120.0


class Loop:
    """The bare loop against one sink; remembers its best shape."""

    def __init__(
        self, sink: Sink, say: Callable[[str], None], *, sweep_requests: int = SWEEP_REQUESTS
    ) -> None:
        self.sink = sink
        self._say = say
        self._sweep_requests = sweep_requests
        self._best: tuple[int, int] | None = None

    @property
    def best(self) -> tuple[int, int]:
        if self._best is None:
            speeds = {shape: self.run(self._sweep_requests, shape).deliveries_per_s for shape in SHAPES}
            self._best = max(speeds, key=lambda shape: speeds[shape])
            told = ", ".join(f"{p}×{t} {speed:.0f}/s" for (p, t), speed in speeds.items())
            self._say(f"loop, processes × threads: {told}; best {self._best[0]}×{self._best[1]}")
        return self._best

    def run(self, count: int, shape: tuple[int, int] | None = None) -> Run:
        """Send so many requests, in the best shape if none is named."""
        processes, threads = shape or self.best
        self.sink.reset()
        shares = [len(range(number, count, processes)) for number in range(processes)]
        told = self._play(self.sink.url("/n/loop"), shares, threads)
        stats, arrivals = self.sink.stats(), self.sink.dump()
        expected = [
            ("/n/loop", f"{process}-{thread}-{number}")
            for process, share in enumerate(shares)
            for thread in range(threads)
            for number in range(len(range(thread, share, threads)))
        ]
        ledger = judge(expected, arrivals)
        seconds = max(one["ended"] for one in told) - min(one["began"] for one in told)
        return Run(
            who=LOOP,
            deliveries=count,
            deliveries_per_s=count / seconds,
            cpu_ms_per_delivery={
                "loop": 1000 * sum(one["cpu_seconds"] for one in told) / count,
                "sink": 1000 * stats["cpu_seconds"] / count,
            },
            lost=ledger.lost,
            duplicates=ledger.duplicates,
            problems=ledger.complaints(),
            extra={"processes": processes, "threads": threads, "request_ms": told[0]["request_ms"]},
        )

    def _play(self, url: str, shares: list[int], threads: int) -> list[dict[str, float]]:
        running = [
            subprocess.Popen(  # noqa: S603 - made here of our own parts
                [sys.executable, "-m", "benchmarks.loop", url, str(share), str(threads), str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=CHECKOUT,
            )
            for number, share in enumerate(shares)
        ]
        try:
            for process in running:
                assert process.stdout is not None
                process.stdout.readline()
            for process in running:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            # Each output is a line, so waiting for one after the other blocks none.
            return [json.loads(process.communicate(timeout=LIMIT_SECONDS)[0]) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
