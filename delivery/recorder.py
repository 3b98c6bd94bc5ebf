"""Writes down what became of an attempt: the attempt's row and the delivery's new state, in one statement.

The delivery changes only if the claim that made the attempt is still the latest one and its attempt
has not been recorded yet. Otherwise the attempt is logged as late and changes nothing. The
attempt's id is given, so recording again after a connection broke in the middle adds no second row.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from delivery.claim import Claimed
from delivery.database import DATABASE_AWAY
from delivery.models import STAFF_DETAIL_MAX_CHARACTERS
from delivery.states import ENDED, State

logger = logging.getLogger(__name__)

# A database that is away is asked again this often while the lease lives.
PAUSE_SECONDS = 0.5

RECORD = """
WITH recorded AS (
    UPDATE delivery_delivery AS d
    SET attempts = d.attempts + 1,
        last_status_code = %(status_code)s,
        url = %(url)s,
        lease_until = NULL,
        claims_lost = 0,
        -- Cancelled while the request was on its way: an acceptance is the truth, a failure changes nothing.
        state = CASE WHEN d.finished_at IS NULL OR %(accepted)s THEN %(state)s ELSE d.state END,
        reason = CASE WHEN d.finished_at IS NULL OR %(accepted)s THEN %(reason)s ELSE d.reason END,
        finished_at = CASE WHEN %(ended)s THEN coalesce(d.finished_at, now()) ELSE d.finished_at END,
        next_attempt_at = CASE WHEN %(ended)s OR d.finished_at IS NOT NULL THEN NULL
            ELSE now() + interval '1 second' * %(delay)s END,
        -- A retry inside Celery comes back by itself; any other wait has told nobody yet.
        nudged_at = CASE WHEN %(in_celery)s THEN now() + interval '1 second' * %(delay)s END,
        nudges = 0,
        held_at = CASE WHEN d.finished_at IS NULL AND %(state)s = 'held' THEN now() END,
        lane = CASE WHEN %(ended)s OR d.lane = 'replay' THEN d.lane ELSE 'retry' END
    WHERE d.id = %(delivery_id)s
      AND d.claim_number = %(claim_number)s
      AND d.attempts = %(attempt)s - 1
    RETURNING d.next_attempt_at, d.state
)
INSERT INTO delivery_attempt (
    id, organization_id, delivery_id, subscription_id, event_id, event_type, url, number, success,
    status_code, error_class, error_message, request_headers, response_headers, response_body,
    staff_detail, duration_ms, is_test, late, next_retry_at
)
SELECT %(id)s, %(organization_id)s, %(delivery_id)s, %(subscription_id)s, %(event_id)s, %(event_type)s,
       %(url)s, %(attempt)s, %(accepted)s, %(status_code)s, %(error_class)s, %(error_message)s,
       %(request_headers)s, %(response_headers)s, %(response_body)s,
       %(staff_detail)s, %(duration_ms)s, %(is_test)s,
       NOT EXISTS (SELECT 1 FROM recorded), (SELECT next_attempt_at FROM recorded)
ON CONFLICT (id) DO NOTHING
RETURNING late, (SELECT state FROM recorded)
"""


POSTPONE = """
UPDATE delivery_delivery
SET reason = %(reason)s, lease_until = NULL, nudged_at = NULL, claims_lost = 0,
    next_attempt_at = now() + interval '1 second' * %(s)s
WHERE id = %(id)s AND claim_number = %(fence)s AND finished_at IS NULL AND state <> 'held'
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An attempt that was made (or refused), and what the delivery becomes."""

    id: UUID
    claimed: Claimed
    url: str
    state: State
    reason: str
    delay_seconds: float | None
    in_celery: bool
    accepted: bool
    status_code: int | None
    error_class: str
    error_message: str
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    response_body: str | None
    duration_ms: float | None
    staff_detail: str = ""


def record(outcome: Outcome) -> bool:
    """Write the outcome; True if the delivery took it, False if it was late or changed nothing."""
    claimed = outcome.claimed
    parameters: dict[str, Any] = {
        "id": outcome.id,
        "delivery_id": claimed.id,
        "organization_id": claimed.organization_id,
        "subscription_id": claimed.subscription_id,
        "event_id": claimed.event_id,
        "event_type": claimed.event_type,
        "claim_number": claimed.claim_number,
        "attempt": claimed.attempt,
        "is_test": claimed.is_test,
        "url": outcome.url,
        "state": outcome.state,
        "reason": outcome.reason,
        "ended": outcome.state in ENDED,
        "delay": outcome.delay_seconds,
        "in_celery": outcome.in_celery,
        "accepted": outcome.accepted,
        "status_code": outcome.status_code,
        "error_class": outcome.error_class,
        "error_message": outcome.error_message,
        "request_headers": json.dumps(outcome.request_headers),
        "response_headers": json.dumps(outcome.response_headers),
        "response_body": outcome.response_body,
        "duration_ms": outcome.duration_ms,
        "staff_detail": outcome.staff_detail[:STAFF_DETAIL_MAX_CHARACTERS],
    }
    with connection.cursor() as cursor:
        cursor.execute(RECORD, parameters)
        row = cursor.fetchone()
    return row is not None and not row[0] and row[1] == outcome.state


def postpone(claimed: Claimed, reason: str, seconds: float) -> None:
    """Give a claimed delivery back unsent, for a reason that is ours; no attempt is used up."""
    with connection.cursor() as cursor:
        cursor.execute(
            POSTPONE, {"id": claimed.id, "fence": claimed.claim_number, "reason": reason, "s": seconds}
        )


def record_while_leased(
    outcome: Outcome,
    write: Callable[[Outcome], bool] = record,
    *,
    lease_ends: float,
    pause: Callable[[float], object] = time.sleep,
) -> bool:
    """Record; while the database is away, keep trying as long as the lease lives (monotonic seconds).

    After that the row belongs to whoever claims it next: the receiver may see a second copy, which
    is the one doubt that no sender can remove (promise 4). Raises the last database error then.
    """
    while True:
        try:
            return write(outcome)
        except DATABASE_AWAY:
            connection.close()
            if time.monotonic() + PAUSE_SECONDS >= lease_ends:
                raise
            logger.warning("recording waits for the database delivery=%s", outcome.claimed.id)
            pause(PAUSE_SECONDS)
