"""Keeps who is to be told of an event, and makes their deliveries: any process may do the next chunk.

A chunk is one transaction: it inserts deliveries and moves the row's mark, so a process that dies between
two chunks, or in the middle of one, neither loses nor doubles anything.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Func, IntegerField
from django.db.models.functions import Now

from delivery import turns
from delivery.fan_out.model import FanOut
from delivery.hold import SUBSCRIPTION_DISABLED
from delivery.queue import WakeUp, publish_after_commit, wake_fan_out_after_commit
from delivery.states import Lane, State
from subscriptions.selectors import MATCHING, matching
from webhooks_project.arrays import array

# About 20 ms of the database: the first ones go out meanwhile, and a commit for each 500 costs little.
CHUNK_ROWS = 500

# In the database, so that 10,000 ids never come here.
KEEP = f"""
WITH matching AS MATERIALIZED (
    SELECT payload_format, array_agg(id) AS ids FROM subscriptions_subscription WHERE {MATCHING}
    GROUP BY payload_format
), kept AS (
    INSERT INTO delivery_fanout (id, event_id, payload_format, subscription_ids)
    SELECT uuidv7(), event.id, m.payload_format, m.ids
    FROM matching m CROSS JOIN unnest(%(events)s::uuid[]) AS event (id)
)
SELECT payload_format, cardinality(ids) FROM matching
"""  # noqa: S608 - parts of this project; values are parameters

# Who is disabled at this moment gets it held; the shared lock orders that against a recovery. Who was stopped
# since gets a delivery as well: the worker that claims it cancels it and says why.
CHUNK = """
WITH fan_out AS MATERIALIZED (
    SELECT e.id, e.organization_id, e.event_id, e.is_test, b.id AS body_id,
           f.subscription_ids[f.done + 1 : f.done + %(rows)s] AS chosen
    FROM delivery_fanout f
    JOIN delivery_event e ON e.id = f.event_id
    JOIN delivery_eventbody b ON b.event_id = f.event_id AND b.payload_format = f.payload_format
    WHERE f.id = %(id)s
), disabled AS MATERIALIZED (
    SELECT id FROM subscriptions_subscription
    WHERE id = ANY((SELECT chosen FROM fan_out)::bigint[]) AND is_active AND disabled_at IS NOT NULL FOR SHARE
)
INSERT INTO delivery_delivery (
    id, organization_id, event_id, body_id, subscription_id, url, webhook_id, is_test, once, lane, state,
    reason, attempts, claim_number, nudges, held_at, next_attempt_at, nudged_at
)
SELECT uuidv7(), f.organization_id, f.id, f.body_id, s.id, s.url, f.event_id, f.is_test, false, 'first',
       CASE WHEN d.id IS NULL THEN 'pending' ELSE 'held' END,
       CASE WHEN d.id IS NULL THEN '' ELSE %(disabled)s END, 0, 0, 0,
       CASE WHEN d.id IS NOT NULL THEN now() END,
       CASE WHEN d.id IS NULL THEN now() END, CASE WHEN d.id IS NULL THEN now() END
FROM fan_out f
CROSS JOIN unnest(f.chosen) AS chosen (id)
-- One by one from the index, whatever the statistics say.
CROSS JOIN LATERAL (SELECT id, url FROM subscriptions_subscription WHERE id = chosen.id LIMIT 1) AS s
LEFT JOIN disabled d ON d.id = s.id
RETURNING id, state
"""

MARK = """
UPDATE delivery_fanout SET done = done + %(rows)s, next_chunk_at = now() WHERE id = %(id)s
RETURNING done >= cardinality(subscription_ids)
"""

WAITING = """
SELECT count(DISTINCT event_id), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
FROM (SELECT event_id, created_at FROM delivery_fanout LIMIT %(most)s) AS waiting
"""


def keep(
    *, organization_id: int, event_type: str, workflow_id: str, not_to: int, event_ids: Sequence[UUID]
) -> dict[str, int]:
    """All who match at this moment are to be told of these events; how many they are, by payload format.

    In the transaction that makes the events; a worker is woken up after it.
    """
    parameters = matching(
        organization_id=organization_id, event_type=event_type, workflow_id=workflow_id, not_to=not_to
    )
    parameters |= {"events": array(event_ids)}
    with connection.cursor() as cursor:
        cursor.execute(KEEP, parameters)
        numbers = dict(cursor.fetchall())
    wake_fan_out_after_commit()
    return numbers


def carry_on(stop: Callable[[], bool] = lambda: False) -> float:
    """Chunks of all events that wait, in turn, until none is due; seconds until the next one is."""
    return turns.in_turn(FanOut.objects.all(), advance, what="fan-out", stop=stop)


@transaction.atomic
def advance(fan_out_id: UUID) -> bool:
    """The next chunk; False if it is not due or in somebody else's hands."""
    if settings.TRACING:
        from delivery import spans

        with spans.fan_out_chunk(fan_out_id):
            return _advance(fan_out_id)
    return _advance(fan_out_id)


def _advance(fan_out_id: UUID) -> bool:
    turns.end_if_idle()
    due = FanOut.objects.filter(pk=fan_out_id, next_chunk_at__lte=Now())
    if not due.select_for_update(skip_locked=True).only("pk"):
        return False
    parameters: dict[str, Any] = {"id": fan_out_id, "rows": CHUNK_ROWS, "disabled": SUBSCRIPTION_DISABLED}
    with connection.cursor() as cursor:
        cursor.execute(CHUNK, parameters)
        made = cursor.fetchall()
        cursor.execute(MARK, parameters)
        is_last = bool(cursor.fetchone()[0])
    if is_last:
        FanOut.objects.filter(pk=fan_out_id).delete()
    publish_after_commit([WakeUp(id_, 1, Lane.FIRST) for id_, state in made if state == State.PENDING])
    return True


def left(event_id: UUID) -> int:
    """So many recipients of the event have no delivery yet."""
    rows = FanOut.objects.filter(event_id=event_id)
    size = Func(F("subscription_ids"), function="cardinality", output_field=IntegerField())
    return sum(rows.values_list(size - F("done"), flat=True))


class Waiting(NamedTuple):
    """Events whose deliveries are not all made yet, and how long the oldest has waited."""

    events: int
    oldest_seconds: float


def waiting(*, most: int) -> Waiting:
    """Counts at most so many."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {"most": most})
        return Waiting(*cursor.fetchone())
