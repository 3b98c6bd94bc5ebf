"""What pages, commands and metrics say of how it went: read from the counts, never from the log."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from delivery.stats.model import Grain, Measure, StatsMark
from delivery.stats.slots import percentile

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Span:
    """How far back, and how much time one of its steps is."""

    name: str
    length: timedelta
    step: timedelta


SPANS = {
    span.name: span
    for span in (
        Span("hour", HOUR, timedelta(minutes=1)),
        Span("day", timedelta(days=1), timedelta(minutes=15)),
        Span("week", timedelta(days=7), timedelta(hours=2)),
        Span("month", timedelta(days=30), timedelta(hours=6)),
    )
}


class Whose(NamedTuple):
    """Of all together, of one organization, or of one subscription."""

    organization_id: int | None = None
    subscription_id: int | None = None


ALL = Whose()


class Row(NamedTuple):
    """So many had this answer and duration."""

    measure: str
    answer: str
    slot: int
    attempts: int
    delivered: int
    given_up: int
    milliseconds: float


@dataclass
class Counts:
    """Of a step of time, or of several."""

    attempts: int = 0
    delivered: int = 0
    given_up: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    #: by slot
    durations: Counter[int] = field(default_factory=Counter)
    firsts: Counter[int] = field(default_factory=Counter)
    request_milliseconds: float = 0.0
    first_milliseconds: float = 0.0

    @property
    def success_rate(self) -> float | None:
        """Of the deliveries that ended; None if none did."""
        ended = self.delivered + self.given_up
        return self.delivered / ended if ended else None

    @property
    def accepted_rate(self) -> float | None:
        """Of the attempts; None if there were none. It falls before what failed has used up its retries."""
        return self.delivered / self.attempts if self.attempts else None

    def request_ms(self, share: float) -> float | None:
        """How long requests took: the percentile of this share."""
        return percentile(self.durations, share)

    def first_ms(self, share: float) -> float | None:
        """From the making of a delivery to its first request."""
        return percentile(self.firsts, share)

    def add(self, row: Row) -> None:
        if row.measure == Measure.FIRST:
            self.firsts[row.slot] += row.attempts
            self.first_milliseconds += row.milliseconds
            return
        self.attempts += row.attempts
        self.delivered += row.delivered
        self.given_up += row.given_up
        self.answers[row.answer] += row.attempts
        self.durations[row.slot] += row.attempts
        self.request_milliseconds += row.milliseconds

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            attempts=self.attempts + other.attempts,
            delivered=self.delivered + other.delivered,
            given_up=self.given_up + other.given_up,
            answers=self.answers + other.answers,
            durations=self.durations + other.durations,
            firsts=self.firsts + other.firsts,
            request_milliseconds=self.request_milliseconds + other.request_milliseconds,
            first_milliseconds=self.first_milliseconds + other.first_milliseconds,
        )


Steps = Sequence[tuple[datetime, Counts]]

COLUMNS = (
    "measure, answer, slot, sum(attempts)::bigint, sum(delivered)::bigint, sum(given_up)::bigint, "
    "sum(milliseconds)::float8"
)
# Whose, in words that the index knows.
SCOPE = "organization_id {organization} AND subscription_id {subscription}"
STEPS = f"""
SELECT date_bin(%(step)s, starts_at, timestamptz 'epoch') AS at, {COLUMNS}
FROM delivery_attemptcount
WHERE grain = %(grain)s AND {SCOPE} AND starts_at >= %(since)s
GROUP BY 1, 2, 3, 4
"""  # noqa: S608 - parts of this file; values are parameters
EVER = f"SELECT {COLUMNS} FROM delivery_attemptcount WHERE grain = 'ever' GROUP BY 1, 2, 3"  # noqa: S608 - as above
LAG = "SELECT extract(epoch FROM clock_timestamp() - counted_until)::float8 FROM delivery_statsmark"


def steps(span: Span, *, now: datetime, whose: Whose = ALL) -> Steps:
    """The span's steps in their order, the last of which is not over yet; of one owner, hours at least."""
    step = span.step if whose == ALL else max(span.step, HOUR)
    first = floor(now - span.length, step) + step
    found: dict[datetime, Counts] = {}
    for at, row in _rows(step, first, whose):
        found.setdefault(at, Counts()).add(row)
    number = int((now - first) / step) + 1
    return [(at, found.get(at) or Counts()) for at in (first + step * n for n in range(number))]


def _rows(step: timedelta, since: datetime, whose: Whose) -> Iterable[tuple[datetime, Row]]:
    scope = {
        "organization": "IS NULL" if whose.organization_id is None else "= %(organization_id)s",
        "subscription": "IS NULL" if whose.subscription_id is None else "= %(subscription_id)s",
    }
    grain = Grain.MINUTE if step < HOUR else Grain.HOUR
    asked: dict[str, Any] = whose._asdict() | {"step": step, "grain": grain, "since": since}
    with connection.cursor() as cursor:
        cursor.execute(STEPS.format(**scope), asked)
        return [(at, Row(*values)) for at, *values in cursor.fetchall()]


def floor(at: datetime, step: timedelta) -> datetime:
    return at - timedelta(seconds=at.timestamp() % step.total_seconds())


def total(parts: Iterable[tuple[datetime, Counts]]) -> Counts:
    """All of them together."""
    return sum((counts for _, counts in parts), Counts())


def ever() -> Counts:
    """Of everything that was ever counted: these numbers only grow."""
    counts = Counts()
    with connection.cursor() as cursor:
        cursor.execute(EVER)
        for values in cursor.fetchall():
            counts.add(Row(*values))
    return counts


def counted_until() -> datetime | None:
    return StatsMark.objects.values_list("counted_until", flat=True).first()


def lag_seconds() -> float | None:
    """How far the counts are behind; None if nothing was ever counted."""
    with connection.cursor() as cursor:
        cursor.execute(LAG)
        row = cursor.fetchone()
    return row and float(row[0])
