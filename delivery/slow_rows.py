"""The rows of slow receivers, which all workers share, and the deliveries that wait for them."""

from collections.abc import Iterable, Mapping, Set

from django.conf import settings
from django.db import connection

# What a receiver that has recovered gets of those that waited: 128 places at 600 ms an answer.
RELEASED_PER_SECOND = 200.0
RELEASED_ROWS = 1_000

# In one order for all workers, so that two wait for each other instead of deadlocking.
TIMED_OUT = """
INSERT INTO delivery_slowreceiver AS s (organization_id, receiver, since, timeouts, last_timeout_at)
SELECT given.organization_id, given.receiver, now(), given.timeouts, now()
FROM unnest(%s::bigint[], %s::text[], %s::int[]) AS given (organization_id, receiver, timeouts)
ORDER BY given.organization_id, given.receiver
ON CONFLICT (organization_id, receiver) DO UPDATE
SET timeouts = s.timeouts + excluded.timeouts, last_timeout_at = excluded.last_timeout_at
"""

# Nobody has been told to go there for a whole period: whether it still hangs is not known.
IS_FORGOTTEN = "last_timeout_at < now() - interval '1 second' * %s"
KNOWN = f"SELECT organization_id, receiver, {IS_FORGOTTEN} FROM delivery_slowreceiver"  # noqa: S608 - of this file, as next
FORGET = f"""
DELETE FROM delivery_slowreceiver
WHERE {IS_FORGOTTEN} OR (organization_id, receiver) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
"""  # noqa: S608 - as above

# What a worker has in hand is left to its record.
RELEASE = """
WITH waiting AS (
    SELECT id, row_number() OVER (ORDER BY next_attempt_at) AS place
    FROM (
        SELECT id, next_attempt_at FROM delivery_delivery
        WHERE finished_at IS NULL AND lane = 'slow' AND next_attempt_at IS NOT NULL
          AND (lease_until IS NULL OR lease_until <= now())
          AND organization_id = %(organization_id)s
          AND lower(substring(url FROM '^[^:]+://[^/?#]+')) = ANY(%(spellings)s)
        ORDER BY next_attempt_at
        LIMIT %(rows)s
        FOR UPDATE SKIP LOCKED
    ) AS locked
)
UPDATE delivery_delivery AS d
SET lane = CASE WHEN d.replay_of_id IS NULL THEN 'retry' ELSE 'replay' END,
    reason = 'receiver_recovered', nudged_at = NULL, nudges = 0,
    next_attempt_at = least(
        d.next_attempt_at, now() + interval '1 second' * (%(before)s + waiting.place) / %(rate)s)
FROM waiting WHERE d.id = waiting.id
"""


def exchange(timed_out: Mapping[tuple[int, str], int], ended: Set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Write down what was seen of organizations' slow receivers; all that are slow now."""
    period = settings.DELIVERY_SLOW_PERIOD_SECONDS
    with connection.cursor() as cursor:
        if ended:
            cursor.execute(FORGET, [period, *_columns(ended)])
        if timed_out:
            cursor.execute(TIMED_OUT, [*_columns(timed_out), list(timed_out.values())])
        cursor.execute(KNOWN, [period])
        rows = cursor.fetchall()
        if any(is_forgotten for _, _, is_forgotten in rows):
            cursor.execute(FORGET, [period, [], []])
    return {
        (organization_id, receiver) for organization_id, receiver, is_forgotten in rows if not is_forgotten
    }


def _columns(keys: Iterable[tuple[int, str]]) -> list[list[int] | list[str]]:
    pairs = list(keys)
    return [[organization_id for organization_id, _ in pairs], [receiver for _, receiver in pairs]]


def release(organization_id: int, receiver: str) -> int:
    """What was put aside for the receiver goes out, spread over time; returns how many.

    In chunks that commit on their own: a claim must not wait for 100,000 rows. What is not found
    here, because its URL is written in another way, comes back at its own time.
    """
    released = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                RELEASE,
                {
                    "organization_id": organization_id,
                    "spellings": spellings(receiver),
                    "rows": RELEASED_ROWS,
                    "before": released,
                    "rate": RELEASED_PER_SECOND,
                },
            )
            chunk = int(cursor.rowcount)
        released += chunk
        if chunk < RELEASED_ROWS:
            return released


def spellings(receiver: str) -> list[str]:
    """How URLs may begin that lead there: a scheme's own port need not be said."""
    scheme, _, rest = receiver.partition("://")
    usual = {"https": ":443", "http": ":80"}.get(scheme, "")
    return [receiver, f"{scheme}://{rest.removesuffix(usual)}"] if rest.endswith(usual) else [receiver]
