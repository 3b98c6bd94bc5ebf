"""Deliveries that wait for a person: to a subscription that the service disabled, and poison.

Held rows have no next attempt, so neither a claim nor the requeuer sees them. A subscription's lock
orders what is held against what is recovered: nothing becomes held unseen by a recovery after it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from delivery import selectors
from delivery.cancel import CHUNK_ROWS, LOG_STOPPED, STOPPED_COLUMNS, cancel_held_for
from delivery.claim import Claimed
from delivery.models import Delivery
from delivery.recorder import postpone
from delivery.states import ErrorClass
from subscriptions import audit
from subscriptions.models import Organization
from subscriptions.selectors import still_disabled, subscription_get
from webhooks_project.errors import Conflict

SUBSCRIPTION_DISABLED = "subscription_disabled"
WORKER_LOST = "worker_lost"

# What is on its way right now is left to its own record, or to the next claim if there is none.
HOLD = """
UPDATE delivery_delivery AS d
SET state = 'held', held_at = now(), reason = %(reason)s, lease_until = NULL,
    next_attempt_at = NULL, nudged_at = NULL
WHERE d.finished_at IS NULL AND d.state <> 'held' AND {condition}
"""

PARK = f"""
WITH stopped AS (
    {HOLD.format(condition="d.id = %(id)s AND d.claim_number = %(fence)s")}
    RETURNING {STOPPED_COLUMNS}
)
{LOG_STOPPED}
"""

RECOVER = """
UPDATE delivery_delivery
SET state = CASE WHEN attempts = 0 THEN 'pending' ELSE 'waiting' END, reason = 'recovered', lane = 'replay',
    next_attempt_at = now(), held_at = NULL, nudged_at = NULL, nudges = 0, claims_lost = 0
WHERE id IN (
    SELECT id FROM delivery_delivery WHERE state = 'held' AND finished_at IS NULL AND {condition}
    ORDER BY held_at LIMIT %(rows)s FOR UPDATE
)
"""


def hold_waiting(subscription_id: int) -> int:
    """What still waits for a subscription that was just disabled, up to CHUNK_ROWS; returns how many.

    The rest is held when it is due, by the worker that finds it: a large backlog must not keep the
    subscription locked.
    """
    return _execute(
        HOLD.format(
            condition="""d.id IN (
                SELECT id FROM delivery_delivery
                WHERE subscription_id = %(subscription_id)s AND finished_at IS NULL AND state <> 'held'
                  AND NOT is_test AND (lease_until IS NULL OR lease_until <= now())
                LIMIT %(rows)s)"""
        ),
        reason=SUBSCRIPTION_DISABLED,
        subscription_id=subscription_id,
        rows=CHUNK_ROWS,
    )


def hold_claimed(claimed: Claimed) -> None:
    """A worker found the subscription disabled: nothing is sent, unless it was enabled this moment."""
    assert claimed.subscription_id is not None
    with transaction.atomic():
        if still_disabled([claimed.subscription_id]):
            _execute(
                HOLD.format(condition="d.id = %(id)s AND d.claim_number = %(fence)s"),
                reason=SUBSCRIPTION_DISABLED,
                id=claimed.id,
                fence=claimed.claim_number,
            )
        else:
            postpone(claimed, "enabled", 0)


def park(claimed: Claimed) -> None:
    """So many workers ended while they had it that another one must not try: a person looks first."""
    _execute(
        PARK,
        reason=WORKER_LOST,
        id=claimed.id,
        fence=claimed.claim_number,
        error_class=ErrorClass.WORKER_LOST,
        message=f"Parked: {claimed.claims_lost} workers in a row ended while they sent it",
    )


def recover(*, organization: Organization, subscription_id: int, since: datetime) -> int:
    """What was held for the subscription at `since` or later goes out; returns how many.

    What was parked because it ended its workers stays: that is looked at one by one. The rest goes
    in chunks that commit on their own: a call that breaks off can be repeated. Raises NotFound, and
    Conflict while the subscription is disabled.
    """
    condition = "subscription_id = %(subscription_id)s AND held_at >= %(since)s AND reason <> %(parked)s"
    recovered = 0
    while True:
        with transaction.atomic():
            # The subscription's lock before any delivery's, as everywhere. After it, every event from
            # before the subscription was enabled has its held rows committed.
            _refuse_while_disabled(organization, subscription_id)
            chunk = _execute(
                RECOVER.format(condition=condition),
                subscription_id=subscription_id,
                since=since,
                parked=WORKER_LOST,
                rows=CHUNK_ROWS,
            )
            if chunk:
                # Each chunk for itself, as it commits for itself.
                audit.record(
                    "subscription.recovered",
                    subscription_id,
                    organization=organization,
                    after={"since": since, "deliveries": chunk},
                )
        recovered += chunk
        if chunk < CHUNK_ROWS:
            return recovered


def recover_one(*, organization: Organization, delivery_id: UUID) -> Delivery:
    """A held delivery goes out. Raises NotFound, and Conflict if it is not held or must stay so."""
    with transaction.atomic():
        delivery = selectors.delivery_get(organization, delivery_id)
        if delivery.subscription_id is not None:
            _refuse_while_disabled(organization, delivery.subscription_id)
        if not _execute(RECOVER.format(condition="id = %(id)s"), id=delivery.id, rows=1):
            delivery.refresh_from_db()
            raise Conflict(f"the delivery is {delivery.state}, not held", code="not_held")
        delivery.refresh_from_db()
        audit.record("delivery.recovered", delivery.pk, organization=organization)
    return delivery


def _refuse_while_disabled(organization: Organization, subscription_id: int) -> None:
    if subscription_get(organization, subscription_id, lock=True).disabled_at is not None:
        raise Conflict("the subscription is disabled: set is_active first", code=SUBSCRIPTION_DISABLED)


def cancel_forgotten() -> int:
    """Nobody recovered them within the retention (DELIVERY_HELD_RETENTION_DAYS): cancelled, and logged."""
    cancelled = 0
    while chunk := cancel_held_for(settings.DELIVERY_HELD_RETENTION_DAYS, rows=CHUNK_ROWS):
        cancelled += chunk
    return cancelled


def _execute(sql: str, **parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)
