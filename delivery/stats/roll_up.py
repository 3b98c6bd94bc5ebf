"""Counts attempts by time: each exactly once, seconds after it was written.

A round counts what was written between the mark and a moment before now, and moves the mark in the same
transaction. So counts only ever grow, whichever process counts and wherever it is killed. All times are the
database's: what is written while its clock, set back, has not come up to the mark again is not counted.

A task of beat, not a thread of every worker: while the broker is away there is hardly anything to count, and
a thread would cost each worker one more connection.
"""

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from delivery import turns
from delivery.states import ErrorClass
from delivery.stats.model import Grain, StatsMark
from delivery.stats.slots import BOUNDS_MS

# About a third of a second of the database: 20 s of 5,000 attempts a second.
ROUND_ROWS = 100_000
STATEMENT_MAX_MILLISECONDS = 60_000
# An old log is counted round by round, for so long each time that beat asks.
ROUNDS_MAX_SECONDS = 5.0
# From taking the time of a statement to the lock of its table, by which others see that it writes.
UNSEEN_SECONDS = 2.0
# What a transaction of another role is given, whose beginning ours may not see.
HIDDEN_SECONDS = 60.0
FORGET_ROWS = 5_000

# Nothing was sent: a person or a stopped subscription came before it, we refused, or a worker ended.
UNSENT = (
    ErrorClass.CANCELLED,
    ErrorClass.SUBSCRIPTION_DISABLED,
    ErrorClass.WORKER_LOST,
    ErrorClass.NOT_SENT,
    ErrorClass.ADDRESS_NOT_ALLOWED,
)

# `created_at` is when the statement began that wrote the row. Whoever writes attempts holds a lock on the
# table until the commit, so all rows from before the oldest such transaction are there to be seen. After so
# many rows the round ends at the next one's time, but not among those that have the first one's.
UNTIL = """
SELECT (SELECT created_at FROM delivery_attempt
        WHERE created_at > (SELECT min(created_at) FROM delivery_attempt WHERE created_at >= %(mark)s)
        ORDER BY created_at OFFSET %(rows)s LIMIT 1),
       least(
           statement_timestamp() - interval '1 second' * %(unseen)s,
           (SELECT min(coalesce(writer.xact_start, statement_timestamp() - interval '1 second' * %(hidden)s))
            FROM pg_locks AS held JOIN pg_stat_activity AS writer ON writer.pid = held.pid
            WHERE held.relation = 'delivery_attempt'::regclass AND held.mode = 'RowExclusiveLock'
              AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND held.pid <> pg_backend_pid()))
"""

# A key's time is when it was made (RFC 9562), by the clock of the host that made it: not after its attempt.
COUNT = """
WITH given AS (
    SELECT date_trunc('minute', created_at) AS minute, organization_id, subscription_id,
           CASE WHEN error_class IN ('', 'http_status') THEN status_code / 100 || 'xx' ELSE error_class END
               AS answer,
           coalesce(duration_ms, 0) AS duration,
           CASE WHEN number = 1 AND NOT late THEN greatest(0, extract(
               epoch FROM created_at - uuid_extract_timestamp(delivery_id))::float8 * 1000
               - coalesce(duration_ms, 0)) END AS waited,
           success AND NOT late AS delivered,
           NOT success AND NOT late AND next_retry_at IS NULL AS given_up
    FROM delivery_attempt
    WHERE created_at >= %(mark)s AND created_at < %(until)s AND NOT is_test
      AND error_class <> ALL (%(unsent)s::text[])
), measured AS MATERIALIZED (
    SELECT minute, organization_id, subscription_id, 'request' AS measure, coalesce(answer, '') AS answer,
           width_bucket(duration, %(slots)s::float8[]) AS slot, count(*) AS attempts,
           count(*) FILTER (WHERE delivered) AS delivered, count(*) FILTER (WHERE given_up) AS given_up,
           sum(duration) AS milliseconds
    FROM given GROUP BY 1, 2, 3, 5, 6
    UNION ALL
    SELECT minute, organization_id, subscription_id, 'first', '', width_bucket(waited, %(slots)s::float8[]),
           count(*), count(*) FILTER (WHERE delivered), count(*) FILTER (WHERE given_up), sum(waited)
    FROM given WHERE waited IS NOT NULL GROUP BY 1, 2, 3, 6
), grained AS (
    SELECT 'minute' AS grain, NULL::bigint AS organization_id, NULL::bigint AS subscription_id,
           minute AS starts_at, measure, answer, slot, attempts, delivered, given_up, milliseconds
    FROM measured
    UNION ALL
    SELECT 'hour', whose.organization_id, whose.subscription_id, date_trunc('hour', minute),
           measure, answer, slot, attempts, delivered, given_up, milliseconds
    FROM measured AS m CROSS JOIN LATERAL (
        VALUES (NULL::bigint, NULL::bigint, true), (m.organization_id, NULL, true),
               -- A callback is no subscription's.
               (m.organization_id, m.subscription_id, m.subscription_id IS NOT NULL)
    ) AS whose (organization_id, subscription_id, is_there)
    WHERE whose.is_there
    UNION ALL
    SELECT 'ever', NULL, NULL, timestamptz 'epoch', measure, answer, slot,
           attempts, delivered, given_up, milliseconds
    FROM measured
)
INSERT INTO delivery_attemptcount AS known (
    grain, organization_id, subscription_id, starts_at, measure, answer, slot,
    attempts, delivered, given_up, milliseconds)
SELECT grain, organization_id, subscription_id, starts_at, measure, answer, slot,
       sum(attempts), sum(delivered), sum(given_up), sum(milliseconds)
FROM grained GROUP BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (grain, organization_id, subscription_id, starts_at, measure, answer, slot) DO UPDATE
SET attempts = known.attempts + excluded.attempts, delivered = known.delivered + excluded.delivered,
    given_up = known.given_up + excluded.given_up, milliseconds = known.milliseconds + excluded.milliseconds
"""

FORGET = """
DELETE FROM delivery_attemptcount WHERE id IN (
    SELECT id FROM delivery_attemptcount
    WHERE grain = %(grain)s AND starts_at < now() - interval '1 day' * %(days)s
    ORDER BY starts_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED)
"""


def roll_up() -> int:
    """Rounds until everything that can be counted is, or the time is over; so many were made."""
    # At first: whatever there is, however old.
    StatsMark.objects.get_or_create(pk=1, defaults={"counted_until": datetime.fromtimestamp(0, UTC)})
    ends, rounds, is_more = time.monotonic() + ROUNDS_MAX_SECONDS, 0, True
    while is_more and time.monotonic() < ends:
        is_more = _round()
        rounds += 1
    return rounds


@transaction.atomic
def _round() -> bool:
    """Whether there is more; not if another process is counting."""
    turns.end_if_idle()
    mark = StatsMark.objects.select_for_update(skip_locked=True).first()
    if mark is None:
        return False
    asked: dict[str, Any] = {
        "mark": mark.counted_until,
        "rows": ROUND_ROWS,
        "unseen": UNSEEN_SECONDS,
        "hidden": HIDDEN_SECONDS,
        "slots": [float(bound) for bound in BOUNDS_MS],
        "unsent": list(UNSENT),
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = %s", [STATEMENT_MAX_MILLISECONDS])
        cursor.execute(UNTIL, asked)
        by_rows, by_time = cursor.fetchone()
        is_more = by_rows is not None and by_rows < by_time
        until = by_rows if is_more else by_time
        if until <= mark.counted_until:
            return False
        cursor.execute(COUNT, asked | {"until": until})
    mark.counted_until = until
    mark.save(update_fields=["counted_until"])
    return is_more


def forget_old() -> int:
    """Deletes what is older than is kept, so many at a time; returns how many rows that were."""
    kept = {
        Grain.MINUTE: settings.STATS_MINUTES_RETENTION_DAYS,
        Grain.HOUR: settings.STATS_HOURS_RETENTION_DAYS,
    }
    return sum(_forget(grain, days) for grain, days in kept.items())


def _forget(grain: Grain, days: float) -> int:
    forgotten = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(FORGET, {"grain": grain, "days": days, "rows": FORGET_ROWS})
            forgotten += int(cursor.rowcount)
            if cursor.rowcount < FORGET_ROWS:
                return forgotten
