"""CPU time by part, children included, and what the rest of the machine used meanwhile."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

BUSY_SHARE = 0.10
LOOK_SECONDS = 0.2
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Snapshot:
    """Seconds used so far."""

    parts: Mapping[str, float]
    machine: float
    """Of all cores together, by everybody."""
    capacity: float
    """What all cores could have given since the machine started: busy and idle."""


def snapshot(parts: Mapping[str, Sequence[int]]) -> Snapshot:
    """`parts`: the process ids of each part; their children belong to them."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Guests' time is in user's as well; steal is nobody's here.
    busy = (
        times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    )
    return Snapshot({part: sum(map(_tree_seconds, pids)) for part, pids in parts.items()}, busy, busy + idle)


def used(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """Seconds by part between two snapshots."""
    return {part: max(seconds - before.parts[part], 0.0) for part, seconds in after.parts.items()}


def others_share(before: Snapshot, after: Snapshot, ours: float) -> float:
    """The share of the machine that was used and was not ours."""
    capacity = after.capacity - before.capacity
    return max(after.machine - before.machine - ours, 0.0) / capacity if capacity > 0 else 0.0


def memory_megabytes(pids: Sequence[int]) -> float:
    """What these processes and their children hold; pages that they share count once for each."""
    total = 0
    for process in _trees(pids):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / MEGABYTE


@contextmanager
def peak_memory(pids: Sequence[int]) -> Iterator[list[float]]:
    """Looks often until the end of the block; the list then holds the most that was seen."""
    peak = [memory_megabytes(pids)]
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            peak[0] = max(peak[0], memory_megabytes(pids))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def busy_share(seconds: float) -> float:
    """How much of the machine is in use now, before we do anything."""
    return psutil.cpu_percent(interval=seconds) / 100


def _trees(pids: Sequence[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


def _tree_seconds(pid: int) -> float:
    """User and system time of a process, its living children and those that it has buried."""
    total = 0.0
    for process in _trees([pid]):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total
