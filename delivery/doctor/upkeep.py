"""Judges what beat has done beside deliveries: the counts of attempts, and the deletion of what is old."""

from collections.abc import Callable, Iterator, Mapping

from delivery.doctor.finding import Finding, ok, span, warning
from delivery.retention import selectors as retention
from delivery.stats import selectors as stats

# As the alert for it has it; counts are some ten seconds behind.
COUNTS_LATE_SECONDS = 300.0
# Beat asks every five minutes. A pass may leave something to the next one, but not for days.
RETENTION_SILENT_SECONDS = 3_600.0
RETENTION_LATE_SECONDS = 172_800.0


def counts() -> Iterator[Finding]:
    yield judge_counts(stats.lag_seconds())


def judge_counts(lag: float | None) -> Finding:
    if lag is None:
        return ok("counts.behind", "nothing has been counted yet")
    what = f"attempts are counted up to {span(lag)} ago"
    if lag <= COUNTS_LATE_SECONDS:
        return ok("counts.behind", what)
    return warning(
        "counts.behind",
        what,
        "Look for errors of the roll-up in the workers' logs, and for long transactions in the database. "
        "Nothing is lost: it is counted later, and the retention waits for it.",
    )


def pruned() -> Iterator[Finding]:
    yield judge_retention(retention.ages())


def judge_retention(ages: retention.Ages | None) -> Finding:
    if ages is None:
        return ok("retention.late", "it has not been at work yet")
    if ages.ended > RETENTION_SILENT_SECONDS:
        return warning(
            "retention.late",
            f"it was last at work {span(ages.ended)} ago",
            "Look for errors of delivery.tasks.prune in the workers' logs.",
        )
    if ages.done is None:
        return ok("retention.late", f"at work on what has gathered, the last time {span(ages.ended)} ago")
    what = f"what was old enough was gone {span(ages.done)} ago"
    if ages.done <= RETENTION_LATE_SECONDS:
        return ok("retention.late", what)
    return warning(
        "retention.late",
        f"{what}, and since then it has not got through",
        "Raise RETENTION_ROWS_PER_SECOND as far as the database bears it.",
    )


#: by the id that is used when the check itself fails
CHECKS: Mapping[str, Callable[[], Iterator[Finding]]] = {"counts.behind": counts, "retention.late": pruned}
