"""Due and abandoned rows become wake-ups again: the reason why a lost message costs seconds only.

A row is nudged when it is due by the database's clock, nobody holds a live lease, and
- nobody was ever told (a long wait that is over), or
- a worker took it and ended, which its lease shows by being over, or
- it was told a grace period ago and its lane is empty: that message was lost, or
- it was told 30 s ago (then 60, 120, … after each nudge) and its lane holds fewer messages than
  there are rows which wait for one. No more are published than are missing, so 100,000 rows that
  only wait their turn never become more than about as many messages, however long it takes.
"""

import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from delivery import queue
from delivery.queue import WakeUp, lane_depths
from delivery.states import Lane

DOUBLINGS_MAX = 10

IS_DUE = """finished_at IS NULL AND lane = %(lane)s AND next_attempt_at <= now()
      AND (lease_until IS NULL OR lease_until <= now())"""

# Told to nobody; or claimed since it was told, and the lease is over: its worker ended.
UNTOLD = "(nudged_at IS NULL OR nudged_at <= lease_until)"
# Of those that were marked in this very look, which may take longer than the grace, none is lost.
LOST = f"({UNTOLD} OR nudged_at <= now() - interval '1 second' * (%(grace)s + %(look)s))"
OVERDUE = """nudged_at <= now() - interval '1 second' * %(backoff)s * 2 ^ least(nudges, %(doublings)s)"""

MARK = f"""
WITH due AS (
    SELECT id FROM delivery_delivery
    WHERE {IS_DUE} AND {{condition}}
    ORDER BY next_attempt_at
    LIMIT %(rows)s
    FOR UPDATE SKIP LOCKED
)
UPDATE delivery_delivery AS d
SET nudged_at = now(), nudges = least(d.nudges + 1, 1000),
    -- What a worker left behind goes with the retries: it must not queue behind a backlog again.
    lane = CASE WHEN d.claims_lost > 0 AND d.lane = 'first' THEN 'retry' ELSE d.lane END
FROM due WHERE d.id = due.id
RETURNING d.id, d.attempts + 1, d.lane
"""  # noqa: S608 - parts of this file; values are parameters

IS_ANY_OVERDUE = f"SELECT EXISTS (SELECT 1 FROM delivery_delivery WHERE {IS_DUE} AND {OVERDUE})"  # noqa: S608 - as above

# Rows that should each have a message: counted up to one batch more than there are messages.
TOLD = f"""
SELECT count(*) FROM (
    SELECT 1 FROM delivery_delivery WHERE {IS_DUE} AND nudged_at <= now() LIMIT %(depth)s + %(rows)s
) AS told
"""  # noqa: S608 - as above


def requeue_once(*, thorough: bool = True) -> int:
    """One look at all lanes; how many wake-ups were published: 0 while the broker is away.

    A thorough one also counts the rows of lanes that are not empty: a millisecond for some
    thousands of them, too much for each second of a long backlog.
    """
    began = time.monotonic()
    depths = lane_depths()
    if depths is None:
        return 0
    published = 0
    for lane, depth in depths.items():
        condition = UNTOLD if depth else LOST
        while due := mark_due(lane, condition, look_began=began):
            if not queue.send(due):
                return published
            published += len(due)
            if len(due) < settings.REQUEUE_BATCH_ROWS:
                break
        if depth and thorough and (missing := missing_messages(lane, depth)):
            due = mark_due(lane, OVERDUE, look_began=began, rows=missing)
            if due and not queue.send(due):
                return published
            published += len(due)
    return published


def missing_messages(lane: Lane, depth: int) -> int:
    """How many of the lane's rows can have no message in its queue of that depth; at most one batch."""
    parameters = _parameters(lane, rows=settings.REQUEUE_BATCH_ROWS) | {"depth": depth}
    with connection.cursor() as cursor:
        cursor.execute(IS_ANY_OVERDUE, parameters)
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(TOLD, parameters)
        return max(0, int(cursor.fetchone()[0]) - depth)


def mark_due(lane: Lane, condition: str, *, look_began: float, rows: int | None = None) -> Sequence[WakeUp]:
    """Wake-ups for rows of the lane that need one, marked as nudged now; at most `rows`, else one batch."""
    parameters = _parameters(lane, rows or settings.REQUEUE_BATCH_ROWS)
    parameters["look"] = time.monotonic() - look_began
    with connection.cursor() as cursor:
        cursor.execute(MARK.format(condition=condition), parameters)
        return [WakeUp(id_, attempt, Lane(own)) for id_, attempt, own in cursor.fetchall()]


def _parameters(lane: Lane, rows: int) -> dict[str, Any]:
    return {
        "lane": lane,
        "grace": settings.REQUEUE_GRACE_SECONDS,
        "backoff": settings.REQUEUE_BACKOFF_SECONDS,
        "doublings": DOUBLINGS_MAX,
        "rows": rows,
    }
