"""Tells that a subscription fails, and that it has recovered: an event and a mail, once each.

`failing_told_at` is set and cleared in the transaction of the event, under the subscription's lock, so many
workers that see it at once tell it once, and one that dies before leaves it to the next attempt. All
that decides whether to look comes with the claim: an attempt costs a statement more only when it may be told.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from delivery import outbox
from delivery.recorder import Outcome
from delivery.states import NOT_TRIED, State
from subscriptions import notices
from subscriptions.event_types import SUBSCRIPTION_FAILING, SUBSCRIPTION_RECOVERED
from subscriptions.ids import first_uuid7
from subscriptions.models import Subscription

logger = logging.getLogger(__name__)

# Attempts carry ids by the worker's clock, which may be off a little.
CLOCKS_APART = timedelta(hours=1)

# The latest ones tell enough, and a receiver of thousands a second does not make this long.
LATEST = """
SELECT count(*), coalesce(bool_or(success), false) FROM (
    SELECT success FROM delivery_attempt
    WHERE subscription_id = %(subscription_id)s AND id >= %(first_id)s AND created_at >= %(since)s
      AND NOT is_test AND error_class <> ALL(%(not_tried)s)
    ORDER BY id DESC LIMIT 1000
) AS latest
"""

FAILING_MAIL = """\
Your webhook {it.name!r} (id {it.pk}, {it.url}) has failed since {it.failing_since:%Y-%m-%d %H:%M} UTC. \
Its last attempt: {last}.

Deliveries are tried again as its retry policy says. What is used up can be sent again later:
POST /v1/replays with {{"subscription_id": {it.pk}}}. Its attempts: GET /v1/webhooks/{it.pk}/logs.
You will be told when it has recovered.
"""
RECOVERED_MAIL = """\
Your webhook {it.name!r} (id {it.pk}, {it.url}) has recovered: its receiver has accepted a delivery.

What was used up meanwhile can be sent again: POST /v1/replays with {{"subscription_id": {it.pk}}}.
"""


def is_to_be_told(outcome: Outcome) -> bool:
    """Has this failed attempt's subscription failed for long enough, as far as its claim knows?"""
    claimed, minutes = outcome.claimed, settings.SUBSCRIPTION_FAILING_AFTER_MINUTES
    if not minutes or claimed.failing_since is None or claimed.failing_told_at is not None:
        return False
    if claimed.last_told_at is not None and claimed.claimed_at - claimed.last_told_at < _between():
        return False
    is_used_up = outcome.state == State.EXHAUSTED
    return is_used_up or claimed.claimed_at - claimed.failing_since >= timedelta(minutes=minutes)


@transaction.atomic
def tell(outcome: Outcome) -> bool:
    """Tell it, unless somebody else has, or its log says otherwise."""
    id_ = outcome.claimed.subscription_id
    assert id_ is not None
    waited = Q(last_told_at=None) | Q(last_told_at__lte=Now() - _between())
    rows = Subscription.objects.filter(pk=id_)
    fails = rows.filter(waited, is_active=True, disabled_at=None, failing_told_at=None)
    subscription = fails.filter(failing_since__isnull=False).select_for_update().first()
    if subscription is None:
        return False
    failures, any_success = _latest(subscription)
    if any_success:
        # It ran side by side with a failure, and was noted too late to be cleared.
        rows.update(failing_since=None)
        return False
    if failures < settings.SUBSCRIPTION_FAILING_AFTER_ATTEMPTS:
        return False
    rows.update(failing_told_at=Now(), last_told_at=Now())
    last = {"last_status_code": outcome.status_code, "last_error_class": outcome.error_class}
    _append(subscription, SUBSCRIPTION_FAILING, last)
    answered = outcome.error_class if outcome.status_code is None else f"answered {outcome.status_code}"
    notices.add(
        subscription.organization,
        subject=f"Webhook {subscription.name!r} is failing",
        text=FAILING_MAIL.format(it=subscription, last=answered),
    )
    logger.warning("subscription failing id=%s since=%s", subscription.pk, subscription.failing_since)
    return True


@transaction.atomic
def tell_recovered(subscription_id: int) -> bool:
    """After a success. Nothing for one that was stopped meanwhile: its first success after that tells it."""
    rows = Subscription.objects.filter(pk=subscription_id)
    told = rows.filter(failing_told_at__isnull=False, is_active=True, disabled_at=None)
    subscription = told.select_for_update().first()
    if subscription is None:
        return False
    rows.update(failing_since=None, failing_told_at=None)
    _append(subscription, SUBSCRIPTION_RECOVERED, {})
    notices.add(
        subscription.organization,
        subject=f"Webhook {subscription.name!r} has recovered",
        text=RECOVERED_MAIL.format(it=subscription),
    )
    logger.info("subscription recovered id=%s", subscription.pk)
    return True


def _between() -> timedelta:
    return timedelta(minutes=settings.SUBSCRIPTION_TOLD_AGAIN_AFTER_MINUTES)


def _latest(subscription: Subscription) -> tuple[int, bool]:
    """Failed attempts in a row up to a bound, and whether one succeeded among them."""
    since = subscription.failing_since
    assert since is not None
    parameters: dict[str, Any] = {
        "subscription_id": subscription.pk,
        "since": since,
        "first_id": first_uuid7(int((since - CLOCKS_APART).timestamp() * 1000)),
        "not_tried": sorted(NOT_TRIED),
    }
    with connection.cursor() as cursor:
        cursor.execute(LATEST, parameters)
        attempts, any_success = cursor.fetchone()
    # The first failure was recorded a moment before `failing_since`, which it caused.
    return attempts + 1, any_success


def _append(subscription: Subscription, event_type: str, more: Mapping[str, Any]) -> None:
    since = subscription.failing_since or subscription.failing_told_at
    outbox.append(
        outbox.NewEvent(
            organization=subscription.organization,
            event_type=event_type,
            occurred_at=timezone.now(),
            data={
                "subscription_id": subscription.pk,
                "name": subscription.name,
                "url": subscription.url,
                "failing_since": None if since is None else since.isoformat(),
                **more,
            },
            not_to=subscription.pk,
        )
    )
