"""Judges who does the work: workers per queue, those that fell silent, their clocks, beat's canary."""

from collections.abc import Mapping, Sequence

from django.conf import settings

from delivery.doctor.finding import Finding, clock, error, ok, span, warning
from delivery.models import Worker

# A worker that fell silent longer ago was replaced or is missed by no one.
SILENCE_TOLD_SECONDS = 3_600.0

# Four canaries' worth for each worker that they go round.
IDLE_SECONDS = 60.0

Seen = Sequence[tuple[Worker, float]]


def alive(seen: Seen) -> list[Worker]:
    return [worker for worker, silent in seen if silent <= settings.WORKER_SILENT_SECONDS]


def judge(seen: Seen, queues: Sequence[str], waiting: Mapping[str, int] | None) -> list[Finding]:
    """What the workers' rows mean; `waiting`: messages per queue, None while the broker is away."""
    return [
        *(
            _consumers(queue, alive(seen), None if waiting is None else waiting.get(queue, 0))
            for queue in queues
        ),
        _silent(seen),
        _idle(alive(seen)),
        _clocks(alive(seen)),
    ]


def _consumers(queue: str, workers: Sequence[Worker], waiting: int | None) -> Finding:
    consuming = [worker for worker in workers if queue in worker.queues]
    depth = "" if waiting is None else f"; {waiting:,} messages wait"
    if not consuming:
        return error(
            f"workers.{queue}",
            f"no worker consumes {queue}{depth}",
            f"Start a worker with {queue} among its --queues.",
        )
    places = sum(worker.concurrency for worker in consuming)
    count = "1 worker" if len(consuming) == 1 else f"{len(consuming)} workers"
    return ok(f"workers.{queue}", f"{count} with {places} places{depth}")


def _silent(seen: Seen) -> Finding:
    gone = [
        f"{worker.name} ({span(silent)} ago)"
        for worker, silent in seen
        if settings.WORKER_SILENT_SECONDS < silent <= SILENCE_TOLD_SECONDS
    ]
    if not gone:
        return ok("workers.silent", "no worker fell silent in the last hour")
    return warning(
        "workers.silent",
        f"fell silent without stopping: {', '.join(gone)}",
        "See what ended it (memory, its host). Its deliveries go to others when their leases end.",
    )


def _idle(workers: Sequence[Worker]) -> Finding:
    """Idle workers take turns with the canary, one each quarter of a minute: each gets some."""
    most = IDLE_SECONDS * max(1, len(workers))
    deaf = [worker for worker in workers if worker.idle_seconds > most]
    if not deaf or len(deaf) == len(workers):
        # If none receives anything, the canary is the finding.
        return ok("workers.idle", "every worker receives messages")
    names = ", ".join(f"{worker.name} (for {span(worker.idle_seconds)})" for worker in deaf)
    return warning(
        "workers.idle",
        f"lives but receives nothing, while others do: {names}",
        "Restart it: its connection to the broker is deaf. Nothing is lost meanwhile.",
    )


def _clocks(workers: Sequence[Worker]) -> Finding:
    most = settings.CLOCK_DIFFERENCE_MAX_SECONDS
    if not workers:
        return ok("workers.clock", "no worker, no clock")
    worst = max(workers, key=lambda worker: abs(worker.clock_ahead_seconds))
    whose = f"the clock of {worst.name}" if abs(worst.clock_ahead_seconds) > most else "each worker's clock"
    return clock("workers.clock", whose, "the database's", worst.clock_ahead_seconds, most)


def judge_canary(age_seconds: float | None, waiting: int | None) -> Finding:
    """Whether what beat sends is carried out. `waiting`: messages in the canary's queue."""
    most = settings.CANARY_OLD_SECONDS
    if age_seconds is not None and age_seconds <= most:
        return ok("beat.canary", f"a worker carried out beat's canary {span(age_seconds)} ago")
    if waiting:
        suspect = (
            "Messages wait in `maintenance`: its workers hang, are too few, or take nothing: restart them."
        )
    else:
        suspect = "Nothing waits in `maintenance`: see that beat runs, once, and reaches the broker."
    since = "yet" if age_seconds is None else f"for {span(age_seconds)}"
    return error("beat.canary", f"no worker has carried out beat's canary {since}", suspect)
