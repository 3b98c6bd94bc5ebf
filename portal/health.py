"""How a subscription fared lately: from the counts, never from the log."""

from datetime import timedelta

from django.utils import timezone

from delivery.stats import selectors, texts
from delivery.stats.selectors import HOUR, Span, Steps, Whose
from subscriptions.models import Subscription

WEEK = Span("week", timedelta(days=7), HOUR)
DAY_STEPS = 24


def lately(subscription: Subscription) -> list[tuple[str, str]]:
    """One statement, however many attempts there were."""
    whose = Whose(subscription.organization_id, subscription.pk)
    week = selectors.steps(WEEK, now=timezone.now(), whose=whose)
    return [("Last 24 hours", _told(week[-DAY_STEPS:])), ("Last 7 days", _told(week))]


def _told(steps: Steps) -> str:
    counts = selectors.total(steps)
    if not counts.attempts:
        return "nothing was sent"
    ended = (
        "" if counts.success_rate is None else f"; {texts.share(counts.success_rate)} of deliveries arrived"
    )
    most = texts.duration(counts.request_ms(0.95))
    return f"{counts.attempts:,} attempts, of which 95 % took at most {most}{ended}"
