"""Writes down what became of attempts: their rows and the deliveries' new states, in one statement.

The delivery changes only if the claim that made the attempt is still the latest one and its attempt
has not been recorded yet. Otherwise the attempt is logged as late and changes nothing. The
attempt's id is given, so recording again after a connection broke in the middle adds no second row.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection

from delivery.claim import Claimed
from delivery.database import DATABASE_AWAY
from delivery.models import STAFF_DETAIL_MAX_CHARACTERS
from delivery.phases import Phases
from delivery.states import ENDED, Lane, State
from webhooks_project.arrays import array
from webhooks_project.statements import Statement

logger = logging.getLogger(__name__)
Written = TypeVar("Written")

# A database that is away is asked again this often while the lease lives.
PAUSE_SECONDS = 0.5

# The types of the values that an outcome brings: an array each.
TYPES = {
    **dict.fromkeys("id delivery_id".split(), "uuid"),
    **dict.fromkeys("organization_id subscription_id".split(), "bigint"),
    **dict.fromkeys("event_id event_type url state reason error_class error_message".split(), "text"),
    **dict.fromkeys("request_headers response_headers response_body staff_detail phases".split(), "text"),
    **dict.fromkeys("claim_number attempt status_code".split(), "int"),
    **dict.fromkeys("is_test ended in_celery accepted".split(), "bool"),
    **dict.fromkeys("delay duration_ms".split(), "float8"),
}
ARRAYS = ", ".join(f"%({name})s::{type_}[]" for name, type_ in TYPES.items())
GIVEN = f"unnest({ARRAYS}) AS g ({', '.join(TYPES)})"

ATTEMPTS = """
INSERT INTO delivery_attempt (
    id, organization_id, delivery_id, subscription_id, event_id, event_type, url, number, success,
    status_code, error_class, error_message, request_headers, response_headers, response_body,
    staff_detail, duration_ms, phases, is_test, late, next_retry_at
)
SELECT id, organization_id, delivery_id, subscription_id, event_id, event_type, url, attempt, accepted,
       status_code, error_class, error_message, request_headers::jsonb, response_headers::jsonb,
       response_body, staff_detail, duration_ms, phases::int[], is_test, {late}, {next_retry_at}
FROM {source}
ON CONFLICT (id) DO NOTHING
"""

# No join of what is given with what was recorded: of 256 rows each, without an index, that would be most
# of the work. What was not recorded is missing from the answer, and logged by a statement of its own.
RECORD = Statement(
    "runhooks_record",
    f"""
WITH recorded AS (
    UPDATE delivery_delivery AS d
    SET attempts = d.attempts + 1,
        last_status_code = g.status_code,
        url = g.url,
        lease_until = NULL,
        claims_lost = 0,
        -- Cancelled while the request was on its way: an acceptance is the truth, a failure changes nothing.
        state = CASE WHEN d.finished_at IS NULL OR g.accepted THEN g.state ELSE d.state END,
        reason = CASE WHEN d.finished_at IS NULL OR g.accepted THEN g.reason ELSE d.reason END,
        finished_at = CASE WHEN g.ended THEN coalesce(d.finished_at, now()) ELSE d.finished_at END,
        next_attempt_at = CASE WHEN g.ended OR d.finished_at IS NOT NULL THEN NULL
            ELSE now() + interval '1 second' * g.delay END,
        -- A retry inside Celery comes back by itself; any other wait has told nobody yet.
        nudged_at = CASE WHEN g.in_celery THEN now() + interval '1 second' * g.delay END,
        nudges = 0,
        held_at = CASE WHEN d.finished_at IS NULL AND g.state = 'held' THEN now() END,
        lane = CASE WHEN g.ended OR d.lane = 'replay' THEN d.lane ELSE 'retry' END
    FROM {GIVEN}
    WHERE d.id = g.delivery_id
      AND d.claim_number = g.claim_number
      AND d.attempts = g.attempt - 1
    RETURNING g.*, d.next_attempt_at, d.state = g.state AS taken
), logged AS ({ATTEMPTS.format(late="false", next_retry_at="next_attempt_at", source="recorded")})
SELECT id, taken FROM recorded
""",  # noqa: S608 - parts of this file; values are parameters
)

LOG_LATE = Statement("runhooks_log_late", ATTEMPTS.format(late="true", next_retry_at="NULL", source=GIVEN))


POSTPONE = """
UPDATE delivery_delivery AS d
SET reason = p.reason, lease_until = NULL, nudged_at = NULL, claims_lost = 0,
    next_attempt_at = now() + interval '1 second' * p.seconds, lane = coalesce(p.lane, d.lane)
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::float8[], %s::text[])
    AS p (id, fence, reason, seconds, lane)
WHERE d.id = p.id AND d.claim_number = p.fence AND d.state <> 'held'
  -- In no words of an index, as in claim.py.
  AND coalesce(d.finished_at, 'infinity') = 'infinity'
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
    phases: Phases | None = None


class Postponed(NamedTuple):
    """A delivery that goes back unsent: why, for how long, and into which lane if not its own."""

    claimed: Claimed
    reason: str
    seconds: float
    lane: Lane | None = None


def record(outcome: Outcome) -> bool:
    """Write the outcome; True if the delivery took it, False if it was late or changed nothing."""
    return outcome.id in record_many([outcome])


def record_many(outcomes: Sequence[Outcome]) -> set[UUID]:
    """Write the outcomes in one commit; the ids of those that their deliveries took.

    No two of them may be of the same delivery.
    """
    # One order for all writers, so that two batches wait for each other instead of deadlocking.
    ordered = sorted(outcomes, key=lambda outcome: outcome.claimed.id)
    taken = {row["id"]: row["taken"] for row in RECORD.run(_columns(ordered))}
    late = [outcome for outcome in ordered if outcome.id not in taken]
    if late:
        LOG_LATE.run(_columns(late))
    return {id_ for id_, is_taken in taken.items() if is_taken}


def _columns(outcomes: Sequence[Outcome]) -> dict[str, str]:
    rows = [_given(outcome) for outcome in outcomes]
    return {name: array(row[name] for row in rows) for name in TYPES}


def _given(outcome: Outcome) -> dict[str, Any]:
    claimed = outcome.claimed
    return {
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
        "phases": outcome.phases and outcome.phases.as_array(),
        "staff_detail": outcome.staff_detail[:STAFF_DETAIL_MAX_CHARACTERS],
    }


def postpone(claimed: Claimed, reason: str, seconds: float) -> None:
    """Give a claimed delivery back unsent, for a reason that is ours; no attempt is used up."""
    postpone_many([Postponed(claimed, reason, seconds)])


def postpone_many(postponed: Sequence[Postponed]) -> None:
    """The same with many in one commit."""
    # In one order, as all that take many rows.
    ordered = sorted(postponed, key=lambda one: one.claimed.id)
    rows = [(one.claimed.id, one.claimed.claim_number, one.reason, one.seconds, one.lane) for one in ordered]
    with connection.cursor() as cursor:
        cursor.execute(POSTPONE, [array(column) for column in zip(*rows, strict=True)])


def record_while_leased(
    outcome: Outcome,
    write: Callable[[Outcome], bool] = record,
    *,
    lease_ends: float,
    pause: Callable[[float], object] = time.sleep,
) -> bool:
    """Record; while the database is away, keep trying as long as the lease lives (monotonic seconds)."""
    return while_leased(lambda: write(outcome), lease_ends=lease_ends, pause=pause)


def while_leased(
    write: Callable[[], Written], *, lease_ends: float, pause: Callable[[float], object] = time.sleep
) -> Written:
    """Write; while the database is away, keep trying as long as the lease lives (monotonic seconds).

    After that the row belongs to whoever claims it next: the receiver may see a second copy, which
    is the one doubt that no sender can remove (promise 4). Raises the last database error then.
    """
    while True:
        try:
            return write()
        except DATABASE_AWAY:
            connection.close()
            if time.monotonic() + PAUSE_SECONDS >= lease_ends:
                raise
            logger.warning("recording waits for the database")
            pause(PAUSE_SECONDS)
