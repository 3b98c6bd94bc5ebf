"""How it went: attempts, success rate, latencies and answers of a span of time."""

import json
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from delivery.stats import selectors, texts
from delivery.stats.selectors import ALL, HOUR, SPANS, Counts, Steps, Whose
from subscriptions.models import Organization

PERCENTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Figures:
    """Of a step, or of the whole span; durations in milliseconds, None of nothing."""

    starts_at: str
    attempts: int
    delivered: int
    given_up: int
    success_rate: float | None
    accepted_rate: float | None
    first_attempt_p50_p95_p99: list[float | None]
    request_p50_p95_p99: list[float | None]
    answers: dict[str, int]


class Command(BaseCommand):
    help = "How it went in the past hour, day, week or month: read from counts that are seconds old."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--span", choices=SPANS, default="day", help="Default: day.")
        parser.add_argument("--organization", help="Its id or exact name; else of all together.")
        parser.add_argument("--json", action="store_true", help="For programs, with each step of the span.")

    def handle(self, *args: Any, **options: Any) -> None:
        whose, span = _whose(options["organization"]), SPANS[options["span"]]
        if whose != ALL and span.length <= HOUR:
            raise CommandError("--span: organizations are counted by the hour; ask for a day, week or month.")
        found = selectors.steps(span, now=timezone.now(), whose=whose)
        whole = _figures(found[0][0], selectors.total(found))
        if options["json"]:
            steps = [asdict(_figures(at, counts)) for at, counts in found]
            until = selectors.counted_until()
            told = {"span": span.name, "counted_until": until and until.isoformat(), "total": asdict(whole)}
            self.stdout.write(json.dumps(told | {"steps": steps}, indent=2))
            return
        self._print(found, whole)

    def _print(self, found: Steps, whole: Figures) -> None:
        """A line for each step in which something happened, then the whole."""
        self.stdout.write(HEADING)
        for at, counts in found:
            if counts.attempts:
                self.stdout.write(_text(_figures(at, counts)))
        self.stdout.write(_text(whole, name="together"))
        lag = selectors.lag_seconds()
        self.stdout.write(
            "nothing is counted yet: does beat run, and a worker of `maintenance`?"
            if lag is None
            else f"counted up to {lag:.0f} s ago"
        )


COLUMNS = (
    ("since (UTC)", 16),
    ("attempts", 10),
    ("delivered", 10),
    ("given up", 9),
    ("of ended", 9),
    ("accepted", 9),
    ("first p50", 10),
    ("p95", 8),
    ("p99", 8),
    ("request p50", 12),
    ("p95", 8),
    ("p99", 8),
)
HEADING = "  ".join(f"{name:>{width}}" for name, width in COLUMNS) + "  answers"


def _text(figures: Figures, name: str = "") -> str:
    cells = [
        name or figures.starts_at[:16].replace("T", " "),
        *(f"{number:,}" for number in (figures.attempts, figures.delivered, figures.given_up)),
        texts.share(figures.success_rate),
        texts.share(figures.accepted_rate),
        *map(texts.duration, figures.first_attempt_p50_p95_p99),
        *map(texts.duration, figures.request_p50_p95_p99),
    ]
    answers = ", ".join(f"{answer} {number:,}" for answer, number in figures.answers.items())
    aligned = (f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True))
    return f"{'  '.join(aligned)}  {answers}".rstrip()


def _figures(at: datetime, counts: Counts) -> Figures:
    return Figures(
        starts_at=at.isoformat(),
        attempts=counts.attempts,
        delivered=counts.delivered,
        given_up=counts.given_up,
        success_rate=counts.success_rate,
        accepted_rate=counts.accepted_rate,
        first_attempt_p50_p95_p99=[counts.first_ms(share) for share in PERCENTILES],
        request_p50_p95_p99=[counts.request_ms(share) for share in PERCENTILES],
        answers=dict(counts.answers.most_common()),
    )


def _whose(organization: str | None) -> Whose:
    if organization is None:
        return ALL
    found = (
        Organization.objects.filter(Q(public_id=organization) | Q(name=organization)).order_by("pk").first()
    )
    if found is None:
        raise CommandError(f"--organization: there is none with the id or name {organization!r}.")
    return Whose(found.pk)
