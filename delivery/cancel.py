"""Ends deliveries that still wait, and leaves a log entry for each.

A request that is on its way at that moment is not recalled: if the receiver accepts it, the
recorder turns the delivery into a delivered one, for that is what happened.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from delivery.states import ErrorClass
from subscriptions.models import Subscription

CHUNK_ROWS = 5_000
LATELY = timedelta(days=1)

STOPPED_COLUMNS = (
    "d.id, d.organization_id, d.subscription_id, d.event_id, d.url, d.attempts, d.is_test"  # of a `d`
)
# One entry in the attempt log for each row of a `stopped` before it: no request was made, and why.
LOG_STOPPED = """
INSERT INTO delivery_attempt (
    id, organization_id, delivery_id, subscription_id, event_id, event_type, url, number, success,
    error_class, error_message, request_headers, response_headers, duration_ms, is_test, late
)
SELECT uuidv7(), s.organization_id, s.id, s.subscription_id, e.event_id, e.type, s.url, s.attempts + 1, false,
       %(error_class)s, %(message)s, '{}', '{}', NULL, s.is_test, false
FROM stopped s JOIN delivery_event e ON e.id = s.event_id
"""
CANCEL = f"""
WITH stopped AS (
    UPDATE delivery_delivery AS d
    SET state = 'cancelled', reason = %(reason)s, finished_at = now(), next_attempt_at = NULL
    WHERE d.finished_at IS NULL AND {{condition}}
    RETURNING {STOPPED_COLUMNS}
)
{LOG_STOPPED}
"""  # noqa: S608 - parts of this project; values are parameters

MESSAGES = {
    "cancelled_by_request": "Cancelled before this attempt was made",
    "subscription_deactivated": "Cancelled: the subscription was deactivated",
    "subscription_deleted": "Cancelled: the subscription was deleted",
    "signing_key_revoked": "Cancelled: the API key that signs for this run was revoked",
    "held_too_long": "Cancelled: held longer than such deliveries are kept",
}


def cancel_of_subscription(subscription_id: int, reason: str) -> int:
    """What still waits for the subscription, up to CHUNK_ROWS; returns how many.

    A caller's transaction and its locks must not last as long as a backlog is large: beat has the
    rest done (`finish_stopped`), and a worker that gets hold of one before sends nothing.
    """
    some = (
        "d.id IN (SELECT id FROM delivery_delivery WHERE subscription_id = %(subscription_id)s "
        "AND finished_at IS NULL LIMIT %(rows)s)"
    )
    return _cancel(some, reason, subscription_id=subscription_id, rows=CHUNK_ROWS)


def stop_reason(*, deleted: bool) -> str:
    """Why its owner wants nothing more sent."""
    return "subscription_deleted" if deleted else "subscription_deactivated"


def finish_stopped() -> int:
    """Cancel what is left of those that were deactivated or deleted lately; returns how many."""
    lately = timezone.now() - LATELY
    stopped = Subscription.objects.filter(is_active=False, updated_at__gt=lately)
    return sum(_finish(id_) for id_ in stopped.values_list("pk", flat=True))


def _finish(subscription_id: int) -> int:
    cancelled = 0
    while True:
        with transaction.atomic():
            # The subscription's lock first, as everywhere; its owner may want it back by now.
            row = Subscription.objects.select_for_update().get(pk=subscription_id)
            if row.is_active:
                return cancelled
            reason = stop_reason(deleted=row.deleted_at is not None)
            chunk = cancel_of_subscription(subscription_id, reason)
        cancelled += chunk
        if chunk < CHUNK_ROWS:
            return cancelled


def cancel_one(delivery_id: UUID, reason: str) -> bool:
    """False if it has ended already."""
    return _cancel("d.id = %(delivery_id)s", reason, delivery_id=delivery_id) == 1


def cancel_held_for(days: float, *, rows: int) -> int:
    """What has been held for so many days, at most so many; returns how many there were."""
    longest = (
        "d.id IN (SELECT id FROM delivery_delivery WHERE state = 'held' "
        "AND held_at <= now() - interval '1 day' * %(days)s ORDER BY held_at LIMIT %(rows)s "
        "FOR UPDATE SKIP LOCKED)"
    )
    return _cancel(longest, "held_too_long", days=days, rows=rows)


def _cancel(condition: str, reason: str, **parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            CANCEL.replace("{condition}", condition),
            {
                "reason": reason,
                "error_class": ErrorClass.CANCELLED,
                "message": MESSAGES[reason],
                **parameters,
            },
        )
        return int(cursor.rowcount)
