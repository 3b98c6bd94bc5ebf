"""How a subscription fares: failing since when, and disabled when it is gone or fails for too long.

A success and a failure each cost a write only when they change something, and the row of a receiver
that fails every other time is written at most once a minute and process, however many attempts
there are: spans here are days.
"""

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from delivery import failing, hold, outbox
from delivery.cancel import LOG_STOPPED, STOPPED_COLUMNS, stop_reason
from delivery.recorder import Outcome, record
from delivery.states import NOT_TRIED, ErrorClass, State
from subscriptions import notices
from subscriptions.event_types import SUBSCRIPTION_DISABLED, DisabledReason
from subscriptions.ids import first_uuid7
from subscriptions.models import Subscription
from subscriptions.services import subscription_disable

logger = logging.getLogger(__name__)

# A failure so soon after a success is not the beginning of anything that lasts days.
RECENT_SECONDS = 60.0
RECENT_ENTRIES_MAX = 10_000
# Attempts carry ids by the worker's clock, which may be off a little.
CLOCKS_APART = timedelta(hours=1)

FAILURES = """
SELECT count(DISTINCT delivery_id), coalesce(bool_or(success), false)
FROM delivery_attempt
WHERE subscription_id = %(subscription_id)s AND id >= %(first_id)s AND created_at >= %(since)s AND NOT is_test
  AND error_class <> ALL(%(not_tried)s)
"""

LOG_DISABLED = f"""
WITH stopped AS (SELECT {STOPPED_COLUMNS} FROM delivery_delivery d WHERE d.id = %(id)s)
{LOG_STOPPED}
"""  # noqa: S608 - parts of this project; values are parameters

MESSAGES = {
    DisabledReason.GONE: "its receiver answered 410 Gone",
    DisabledReason.FAILING: "every attempt has failed for too long",
}

MAIL = """\
Your webhook {it.name!r} (id {it.pk}, {it.url}) was disabled: {what}.

What still waits for it and what happens from now on is kept for {days} days. When the receiver is well again,
set is_active to true (PATCH /v1/webhooks/{it.pk}) and ask for what was kept:
POST /v1/webhooks/{it.pk}/recover with {{"since": "{it.disabled_at:%Y-%m-%dT%H:%M:%SZ}"}}.
"""


class RecentSuccesses:
    """When this process last saw each subscription accept something; the longest ago go first."""

    def __init__(self) -> None:
        self._at: OrderedDict[int, float] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, subscription_id: int, *, now: float) -> None:
        with self._lock:
            self._at[subscription_id] = now
            self._at.move_to_end(subscription_id)
            if len(self._at) > RECENT_ENTRIES_MAX:
                self._at.popitem(last=False)

    def is_recent(self, subscription_id: int, *, now: float) -> bool:
        at = self._at.get(subscription_id)
        return at is not None and now - at < RECENT_SECONDS


_successes = RecentSuccesses()


def is_gone(outcome: Outcome) -> bool:
    return outcome.state == State.HELD


def record_gone(outcome: Outcome) -> bool:
    """Record a 410 and disable its subscription, both or neither; True if the delivery took it."""
    claimed = outcome.claimed
    assert claimed.subscription_id is not None
    with transaction.atomic():
        # The subscription's lock first, as everywhere: two orders would deadlock. With it, what is
        # held here is seen by whoever enables the subscription after us.
        subscription = Subscription.objects.select_for_update().filter(pk=claimed.subscription_id).first()
        if subscription is None or not subscription.is_active:
            # Its owner was faster: nobody would recover what is held.
            deleted = subscription is None or subscription.deleted_at is not None
            return record(replace(outcome, state=State.CANCELLED, reason=stop_reason(deleted=deleted)))
        taken = record(outcome)
        disabled = subscription_disable(subscription.pk, DisabledReason.GONE)
        if disabled is not None:
            _follow(disabled, claimed.id)
    return taken


def note(outcome: Outcome) -> None:
    """Keep `failing_since` true to what was just recorded; tell of what fails, and disable what has failed
    for its whole span.
    """
    claimed = outcome.claimed
    id_ = claimed.subscription_id
    if id_ is None or claimed.is_test or is_gone(outcome):
        return
    if outcome.accepted:
        _successes.add(id_, now=time.monotonic())
        if claimed.failing_since is not None or claimed.failing_told_at is not None:
            _note_success(id_)
    elif claimed.failing_since is None:
        if not _successes.is_recent(id_, now=time.monotonic()):
            Subscription.objects.filter(pk=id_, failing_since=None).update(failing_since=Now())
    elif claimed.claimed_at - claimed.failing_since >= span() and disable_if_failing(id_, claimed.id):
        return
    elif failing.is_to_be_told(outcome):
        failing.tell(outcome)


def _note_success(subscription_id: int) -> None:
    """It fails no more. Who was told that it does is told of that as well, in one transaction with it."""
    untold = Subscription.objects.filter(
        pk=subscription_id, failing_told_at=None, failing_since__isnull=False
    )
    if not untold.update(failing_since=None):
        failing.tell_recovered(subscription_id)


def failing_count(*, most: int) -> int:
    """Subscriptions with a failure and no success since, those that are disabled for it aside."""
    failing = Subscription.objects.filter(failing_since__isnull=False, disabled_at=None, deleted_at=None)
    return failing.filter(is_active=True)[:most].count()


def span() -> timedelta:
    return timedelta(days=settings.SUBSCRIPTION_DISABLE_AFTER_DAYS)


@transaction.atomic
def disable_if_failing(subscription_id: int, delivery_id: UUID) -> bool:
    """Disable it if the log since `failing_since` has enough deliveries and no success among them."""
    # 0 days: never.
    if not settings.SUBSCRIPTION_DISABLE_AFTER_DAYS:
        return False
    row = Subscription.objects.filter(pk=subscription_id).values_list("failing_since", flat=True).first()
    if row is None:
        return False
    first_id = first_uuid7(int((row - CLOCKS_APART).timestamp() * 1000))
    with connection.cursor() as cursor:
        cursor.execute(
            FAILURES,
            {
                "subscription_id": subscription_id,
                "since": row,
                "first_id": first_id,
                "not_tried": sorted(NOT_TRIED),
            },
        )
        deliveries, any_success = cursor.fetchone()
    if any_success:
        # A failure and a success that ran side by side: it was noted too late to be cleared.
        Subscription.objects.filter(pk=subscription_id).update(failing_since=None)
        return False
    if deliveries < settings.SUBSCRIPTION_DISABLE_AFTER_DELIVERIES:
        return False
    subscription = subscription_disable(subscription_id, DisabledReason.FAILING)
    if subscription is None:
        return False
    _follow(subscription, delivery_id)
    return True


def _follow(subscription: Subscription, delivery_id: UUID) -> None:
    """What goes with disabling: the rest is held; an event, a log entry and a mail tell of it."""
    reason = DisabledReason(subscription.disabled_reason)
    assert subscription.disabled_at is not None
    held = hold.hold_waiting(subscription.pk)
    message = f"Disabled: {MESSAGES[reason]}"
    with connection.cursor() as cursor:
        cursor.execute(
            LOG_DISABLED,
            {"id": delivery_id, "error_class": ErrorClass.SUBSCRIPTION_DISABLED, "message": message},
        )
    since = subscription.failing_since
    outbox.append(
        outbox.NewEvent(
            organization=subscription.organization,
            event_type=SUBSCRIPTION_DISABLED,
            occurred_at=subscription.disabled_at,
            data={
                "subscription_id": subscription.pk,
                "name": subscription.name,
                "url": subscription.url,
                "reason": reason,
                "failing_since": None if since is None else since.isoformat(),
            },
        )
    )
    notices.add(
        subscription.organization,
        subject=f"Webhook {subscription.name!r} was disabled",
        text=MAIL.format(
            it=subscription, what=MESSAGES[reason], days=f"{settings.DELIVERY_HELD_RETENTION_DAYS:g}"
        ),
    )
    logger.warning("subscription disabled id=%s reason=%s held=%d", subscription.pk, reason, held)
