"""The start page: is everything all right? Verdict, cards and plots above Django's list of apps.

Each statement behind it reads counts, or rows by an index up to a bound, so that it takes as long with five
million attempts as with five. What the doctor says is kept for a few seconds, for it looks at everything.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from delivery import doctor, health, presence
from delivery.admin.charts import charts
from delivery.doctor import rows
from delivery.doctor.bounded import Question
from delivery.doctor.finding import ORDER, Finding, Level, span, worst
from delivery.doctor.workers import alive
from delivery.states import Lane, State
from delivery.stats import selectors, texts
from delivery.stats.selectors import SPANS, Counts, Span

# Whoever may see all that it is about.
PERMISSIONS = (
    *(
        "delivery.view_delivery",
        "delivery.view_attempt",
        "delivery.view_worker",
        "delivery.view_slowreceiver",
    ),
    "subscriptions.view_subscription",
)
# Of the filter of the lists.
HOURS = {"hour": 1, "day": 24, "week": 168, "month": 720}
DEFAULT_SPAN = "day"
# The page does not wait longer for what the doctor says, and shows what it said a moment ago.
EXAMINED_MAX_SECONDS = 0.15
EXAMINED_KEPT_SECONDS = 15.0
EXAMINED_SHOWN_SECONDS = 60.0
# Counts are ten seconds behind, and a little.
LAG_TOLD_SECONDS = 60.0
SUCCESS_RATE_LOW = 0.99
# Every other attempt is in vain: a receiver is down, though what it has missed still waits for its retries.
ACCEPTED_RATE_LOW = 0.5


@dataclass(frozen=True)
class Card:
    title: str
    value: str
    note: str
    url: str
    level: Level = Level.OK


@dataclass(frozen=True)
class Verdict:
    """What the doctor said, problems first, and how long ago."""

    findings: Sequence[Finding]
    seconds_ago: float

    @property
    def level(self) -> Level:
        return worst(self.findings)

    @property
    def problems(self) -> list[Finding]:
        found = [finding for finding in self.findings if finding.level is not Level.OK]
        return sorted(found, key=lambda finding: ORDER.index(finding.level))

    @property
    def line(self) -> str:
        if self.level is Level.OK:
            return f"Everything is all right: {len(self.findings)} of {len(self.findings)} checks pass"
        counts = ((level, sum(one.level is level for one in self.findings)) for level in ORDER[:-1])
        told = " and ".join(f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts if count)
        return f"Not everything is all right: {told}"


class Examination:
    """The doctor's latest findings. An examination that takes longer than a page may goes on meanwhile."""

    def __init__(self) -> None:
        self._known: tuple[float, list[Finding]] | None = None
        self._question = Question(self._examine)

    def _examine(self) -> None:
        findings = doctor.examine()
        self._known = (time.monotonic(), findings)

    def verdict(self) -> Verdict | None:
        """None where none of the past minute is at hand, nor will be in a moment."""
        with suppress(TimeoutError):
            self._question.answer(EXAMINED_MAX_SECONDS, kept_seconds=EXAMINED_KEPT_SECONDS)
        if self._known is None:
            return None
        at, findings = self._known
        age = time.monotonic() - at
        return Verdict(findings, age) if age <= EXAMINED_SHOWN_SECONDS else None


examination = Examination()


def start_page(request: HttpRequest) -> HttpResponse:
    """Django's page of the admin, with ours above it for those who may see all of it."""
    context = overview(request) if request.user.has_perms(PERMISSIONS) else {}
    return admin.site.index(request, context)


def overview(request: HttpRequest) -> dict[str, Any]:
    chosen = SPANS.get(request.GET.get("span", ""), SPANS[DEFAULT_SPAN])
    now = timezone.now()
    found = selectors.steps(chosen, now=now)
    lag = selectors.lag_seconds()
    return {
        "verdict": examination.verdict(),
        "spans": [(name, name == chosen.name) for name in SPANS],
        "cards": [*_of_span(chosen, selectors.total(found)), *_of_now()],
        "charts": charts(found, chosen, hours=HOURS[chosen.name]),
        "counted": None if lag is None else span(lag),
        "is_behind": lag is None or lag > LAG_TOLD_SECONDS,
    }


def _of_span(chosen: Span, counts: Counts) -> list[Card]:
    lately, rate, accepted = {"created": HOURS[chosen.name]}, counts.success_rate, counts.accepted_rate
    ended = f"{texts.number(counts.delivered)} delivered, {texts.number(counts.given_up)} given up"
    percentiles = " · ".join(
        f"{name} {texts.duration(counts.first_ms(share))}" for name, share in (("p50", 0.5), ("p99", 0.99))
    )
    took = " · ".join(
        f"{name} {texts.duration(counts.request_ms(share))}" for name, share in (("p50", 0.5), ("p95", 0.95))
    )
    return [
        Card(
            "Success rate",
            texts.share(rate),
            ended,
            _list("delivery_delivery", lately | {"state": "exhausted"}),
            Level.OK if rate is None or rate >= SUCCESS_RATE_LOW else Level.WARNING,
        ),
        Card(
            "To the first attempt, p95",
            texts.duration(counts.first_ms(0.95)),
            percentiles,
            _list("delivery_delivery", lately),
        ),
        Card(
            "Attempts",
            texts.number(counts.attempts),
            f"{texts.share(accepted)} accepted · requests {took}",
            _list("delivery_attempt", lately),
            Level.OK if accepted is None or accepted >= ACCEPTED_RATE_LOW else Level.WARNING,
        ),
    ]


def _of_now() -> list[Card]:
    return [_due(), _workers(), *_waiting()]


def _due() -> Card:
    due = rows.due_by_lane()
    lane, (_, oldest) = max(due.items(), key=lambda one: one[1][1])
    level = max(
        (rows.judge_lateness(name, number, seconds).level for name, (number, seconds) in due.items()),
        key=lambda level: -ORDER.index(level),
    )
    depths = " · ".join(f"{name} {_counted(number)}" for name, (number, _) in due.items())
    state = State.WAITING if lane in (Lane.RETRY, Lane.SLOW) else State.PENDING
    url = _list("delivery_delivery", {"state": state, "lane__exact": lane})
    return Card("Oldest due", span(oldest) if oldest else "none", f"due: {depths}", url, level)


def _workers() -> Card:
    seen = presence.seen()
    living = alive(seen)
    places = sum(worker.concurrency for worker in living)
    silent = len(seen) - len(living)
    note = f"{places:,} places" + (f", {silent} silent" if silent else "")
    level = Level.ERROR if not living else Level.WARNING if silent else Level.OK
    return Card("Workers", str(len(living)), note, _list("delivery_worker"), level)


def _waiting() -> list[Card]:
    """What waits for a person, or for somebody's receiver."""
    held = sum(rows.held_by_reason().values())
    failing = health.failing_count(most=rows.COUNTED_MAX)
    disabled, slow = rows.disabled_count(), rows.slow_count()
    return [
        _warned("Held", held, "wait for a person", _list("delivery_delivery", {"state": "held"})),
        _warned("Slow receivers", slow, "keep timing out", _list("delivery_slowreceiver")),
        _warned(
            "Failing subscriptions",
            failing,
            "no success since their last failure",
            _list("subscriptions_subscription", {"failing_since__isempty": 0}),
        ),
        _warned(
            "Disabled subscriptions",
            disabled,
            "by the service: gone or failing for days",
            _list("subscriptions_subscription", {"disabled_at__isempty": 0}),
        ),
    ]


def _warned(title: str, number: int, note: str, url: str) -> Card:
    return Card(title, _counted(number), note, url, Level.WARNING if number else Level.OK)


def _counted(number: int) -> str:
    return f"{number:,}{'+' if number >= rows.COUNTED_MAX else ''}"


def _list(name: str, query: dict[str, Any] | None = None) -> str:
    url = reverse(f"admin:{name}_changelist")
    return f"{url}?{urlencode(query)}" if query else url
