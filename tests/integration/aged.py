"""Events of long ago: keys tell their time, so they are made with the clock of then."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import time_ns
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db.models.functions import Now
from django.utils import timezone

from delivery.models import Attempt, Event, StatsMark
from delivery.retention.policy import policies
from delivery.retention.prune import Pace, Tally, prune
from delivery.states import ENDED, State
from subscriptions.models import Organization
from tests.integration.test_outbox import happen

DAY_NS = 24 * 3600 * 10**9


@contextmanager
def long_ago(days: float) -> Iterator[None]:
    """Keys that this process makes are those of then."""
    clock = SimpleNamespace(time_ns=lambda: time_ns() - int(days * DAY_NS))
    with patch("subscriptions.ids.time", clock):
        yield


def aged(
    organization: Organization,
    days: float,
    *,
    state: State = State.DELIVERED,
    attempts: int = 2,
    **values: Any,
) -> Event:
    """An event whose deliveries came to this state so long ago, each after so many attempts."""
    with long_ago(days):
        event = happen(organization, **values)
        Attempt.objects.bulk_create(
            Attempt(
                organization=organization,
                delivery=delivery,
                subscription_id=delivery.subscription_id,
                event_id=event.event_id,
                event_type=event.type,
                url=delivery.url,
                number=number,
                success=state is State.DELIVERED and number == attempts,
                created_at=Now() - timedelta(days=days),
            )
            for delivery in event.deliveries.all()
            for number in range(1, attempts + 1)
        )
    counted()
    then = Now() - timedelta(days=days)
    event.deliveries.update(
        state=state,
        attempts=attempts,
        finished_at=then if state in ENDED else None,
        held_at=then if state is State.HELD else None,
        next_attempt_at=then if state in (State.PENDING, State.WAITING) else None,
    )
    return event


def counted(until: datetime | None = None) -> None:
    """The statistics have what was written until then, or until now."""
    StatsMark.objects.update_or_create(pk=1, defaults={"counted_until": until or timezone.now()})


def pruned(
    organization: Organization | None = None, *, older_than_days: int | None = None, **pace: Any
) -> Tally:
    """What a pass over all organizations, or this one, deletes."""
    wanted = policies(organization, older_than_days=older_than_days)
    return prune(wanted, Pace(**{"pause": lambda seconds: None} | pace))
