"""How long deliveries waited because of faults. Pure."""

from collections.abc import Sequence

from tests.chaos.records import Evidence, Kind


def recoveries(evidence: Evidence) -> list[float]:
    """Seconds that attempts waited because of faults, for the 99th percentile.

    An attempt is due when the delivery is made, or at the time that the attempt before it named. If
    a fault lay between that and the moment when it was recorded, its recovery is the part of this
    wait in which no fault was on. It contains the request itself (up to its time-out) and, after a
    worker was killed, the rest of the lease. Killing beat interrupts nobody and does not count.
    """
    faults = sorted((f.began, f.ended) for f in evidence.faults if f.kind is not Kind.KILL_BEAT)
    created = {row.id: row.created for row in evidence.deliveries}
    due: dict[str, float] = {}
    found = []
    for attempt in evidence.attempts:
        since = due.get(attempt.delivery_id, created[attempt.delivery_id])
        if attempt.late or not attempt.sent:
            continue
        due[attempt.delivery_id] = attempt.next_retry or attempt.recorded
        away = _covered(since, attempt.recorded, faults)
        if away is not None:
            found.append(attempt.recorded - since - away)
    return sorted(found)


def _covered(begin: float, end: float, faults: Sequence[tuple[float, float]]) -> float | None:
    """How much of the span faults cover, each moment once; None if none touches it. `faults` is sorted."""
    covered, reached, touched = 0.0, begin, False
    for began, ended in faults:
        if began >= end or ended < begin:
            continue
        touched = True
        covered += max(0.0, min(ended, end) - max(began, reached))
        reached = max(reached, ended)
    return covered if touched else None


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed; 0 of none."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]
