"""How a subscription fares: its last day and week, from the counts and its newest attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from delivery.admin.charts import Chart, answers
from delivery.models import Attempt
from delivery.stats import selectors, texts
from delivery.stats.roll_up import UNSENT
from delivery.stats.selectors import HOUR, Counts, Span, Steps, Whose
from subscriptions.models import Subscription

SEEN_WITH = "delivery.view_attempt"
WEEK = Span("week", timedelta(days=7), HOUR)
DAY_STEPS = 24
# Among so many of its newest attempts the last success and failure are looked for.
NEWEST_ATTEMPTS = 200


@dataclass(frozen=True)
class Line:
    span: str
    attempts: str
    success_rate: str
    p95: str
    answers: str


@dataclass(frozen=True)
class Health:
    lines: Sequence[Line]
    chart: Chart
    last_success: datetime | None
    last_failure: datetime | None
    failing_since: datetime | None
    newest_attempts: int = NEWEST_ATTEMPTS


def health_of(subscription: Subscription) -> Health:
    """Two statements, however many attempts it has."""
    whose = Whose(subscription.organization_id, subscription.pk)
    week = selectors.steps(WEEK, now=timezone.now(), whose=whose)
    newest = (
        Attempt.objects.filter(subscription_id=subscription.pk)
        .order_by("-id")
        .values_list("success", "created_at", "error_class", "is_test")[:NEWEST_ATTEMPTS]
    )
    sent = [(success, at) for success, at, error, is_test in newest if not is_test and error not in UNSENT]
    return Health(
        lines=[_line("24 hours", week[-DAY_STEPS:]), _line("7 days", week)],
        chart=answers(week, WEEK, hours=168, subscription_id=subscription.pk),
        last_success=next((at for success, at in sent if success), None),
        last_failure=next((at for success, at in sent if not success), None),
        failing_since=subscription.failing_since,
    )


def _line(span: str, steps: Steps) -> Line:
    counts: Counts = selectors.total(steps)
    return Line(
        span=span,
        attempts=f"{counts.attempts:,}",
        success_rate=texts.share(counts.success_rate),
        p95=texts.duration(counts.request_ms(0.95)),
        answers=", ".join(f"{number:,} {answer}" for answer, number in counts.answers.most_common()) or "-",
    )
