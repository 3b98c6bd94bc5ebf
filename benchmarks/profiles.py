"""Where the time of API and worker goes: py-spy samples them during a run, and the tables say it."""

import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.contestants import Contestant
from benchmarks.figures import PRODUCT

SAMPLES_PER_SECOND = 100
LINES = 60
# Sampled are threads that hold the interpreter's lock: what waits, for work or for an answer, does not count.
PARTS = ("api", "worker")


class Profiler:
    """Samples the product's API and worker until the end of the block; without a folder it does nothing."""

    def __init__(self, folder: Path | None, contestant: Contestant, variant: str) -> None:
        self._folder = folder if contestant.who == PRODUCT else None
        self._contestant = contestant
        self._variant = variant
        self._running: dict[Path, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            parts = self._contestant.parts()
            for part in PARTS:
                for number, pid in enumerate(parts[part]):
                    name = "-".join(
                        filter(None, (part, str(number + 1), self._variant.replace("/", " per ")))
                    )
                    self._sample(pid, self._folder / f"{name}.folded")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for folded, process in self._running.items():
            # An interrupt ends the recording and writes the file.
            process.send_signal(2)
            process.wait(30)
            if folded.exists():
                folded.with_suffix(".txt").write_text(table(folded.read_text()))

    def _sample(self, pid: int, folded: Path) -> None:
        program = Path(sysconfig.get_path("scripts")) / "py-spy"
        command = [
            str(program),
            "record",
            "--pid",
            str(pid),
            "--subprocesses",
            "--format",
            "raw",
            "--gil",
        ]
        command += ["--rate", str(SAMPLES_PER_SECOND), "--duration", "600", "--output", str(folded)]
        self._running[folded] = subprocess.Popen(  # noqa: S603 - made here of our own parts
            command, stdout=subprocess.DEVNULL, stderr=sys.stderr, start_new_session=True
        )


def table(folded: str) -> str:
    """The functions with most time of their own and with most time in all, from folded stacks."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [frame.rsplit(":", 1)[0] for frame in stack.split(";") if not frame.startswith("process ")]
        if not frames:
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    samples = sum(own.values()) or 1
    lines = [f"{samples} samples"]
    for title, counts in (("by itself", own), ("with what it calls", whole)):
        lines += ["", title]
        lines += [f"{100 * count / samples:>6.1f} %  {frame}" for frame, count in counts.most_common(LINES)]
    return "\n".join(lines) + "\n"
