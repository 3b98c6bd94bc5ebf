"""Due and abandoned rows become wake-ups again: the reason why a lost message costs seconds only.

A row is nudged when it is due by the database's clock, nobody holds a live lease, and
- nobody was ever told (a long wait that is over), or
- it was told a grace period ago and its lane is empty: that message was lost, or
- it was told long ago and its lane is not empty: 30 s, then 60, 120, … after each nudge, so that
  100,000 rows that only wait their turn do not become millions of messages.
"""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from delivery import queue
from delivery.queue import lane_depths
from delivery.states import Lane

# Batches are marked one after another; a key of our own in PostgreSQL's space of advisory locks.
ADVISORY_LOCK = 7_205_018
DOUBLINGS_MAX = 10

DUE = """
WITH due AS (
    SELECT id FROM delivery_delivery
    WHERE finished_at IS NULL AND lane = %(lane)s AND next_attempt_at <= now()
      AND (lease_until IS NULL OR lease_until <= now())
      AND (nudged_at IS NULL OR nudged_at <= now() - interval '1 second' * CASE
            WHEN %(empty)s THEN %(grace)s
            ELSE %(backoff)s * 2 ^ least(nudges, %(doublings)s) END)
    ORDER BY next_attempt_at
    LIMIT %(rows)s
    FOR UPDATE SKIP LOCKED
)
UPDATE delivery_delivery AS d SET nudged_at = now(), nudges = least(d.nudges + 1, 1000)
FROM due WHERE d.id = due.id
RETURNING d.id, d.attempts + 1
"""


def requeue_once() -> int:
    """One look at all lanes; how many wake-ups were published: 0 while the broker is away."""
    depths = lane_depths()
    if depths is None:
        return 0
    published = 0
    for lane, depth in depths.items():
        while due := mark_due(lane, empty=depth == 0):
            if not queue.send([queue.WakeUp(id_, attempt, lane) for id_, attempt in due]):
                return published
            published += len(due)
            if len(due) < settings.REQUEUE_BATCH_ROWS:
                break
    return published


def mark_due(lane: Lane, *, empty: bool) -> Sequence[tuple[UUID, int]]:
    """Rows of the lane that need a nudge, marked as nudged now; at most one batch."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        cursor.execute(
            DUE,
            {
                "lane": lane,
                "empty": empty,
                "grace": settings.REQUEUE_GRACE_SECONDS,
                "backoff": settings.REQUEUE_BACKOFF_SECONDS,
                "doublings": DOUBLINGS_MAX,
                "rows": settings.REQUEUE_BATCH_ROWS,
            },
        )
        return [(id_, attempt) for id_, attempt in cursor.fetchall()]
