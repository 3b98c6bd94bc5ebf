"""Claims deliveries: the lease and the fence.

A claim succeeds only while the row still expects the attempt that the message names, is due by the
database's clock, and nobody holds a live lease. It changes no column that an index uses, so
PostgreSQL keeps it a heap-only update.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from delivery import tally
from webhooks_project.arrays import array
from webhooks_project.statements import Statement

# 5 s after the first lost claim, which a crash may explain, up to 20 s before the fifth.
SUSPECTS_SPREAD_SECONDS = 5.0

CLAIM = Statement(
    "runhooks_claim",
    """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(attempts)s::int[]) AS asked (id, attempt)
), claimed AS (
    UPDATE delivery_delivery AS d
    SET claim_number = d.claim_number + 1,
        claims_lost = d.claims_lost + 1,
        lease_until = now() + interval '1 second' * (%(margin)s + coalesce(
            (d.callback ->> 'timeout_seconds')::float8,
            (SELECT s.timeout_seconds FROM subscriptions_subscription s WHERE s.id = d.subscription_id),
            %(timeout)s)
            -- A suspect comes back at a moment of its own, so that it ends nobody else's worker again.
            + d.claims_lost * random() * %(spread)s)
    FROM asked
    WHERE d.id = asked.id
      AND d.attempts = asked.attempt - 1
      -- In no words of an index: on tables without statistics the planner would rather compare all rows that
      -- are due with all that are asked for.
      AND coalesce(d.finished_at, 'infinity') = 'infinity'
      AND d.next_attempt_at <= now()
      AND (d.lease_until IS NULL OR d.lease_until <= now())
    RETURNING d.id, d.organization_id, d.event_id, d.body_id, d.subscription_id, d.callback,
              d.webhook_id, d.is_test, d.once, d.lane, d.reason, d.attempts, d.claim_number,
              d.claims_lost - 1 AS claims_lost, d.lease_until - now() AS lease
)
SELECT c.id, c.organization_id, c.subscription_id, c.callback, c.webhook_id, c.is_test, c.once, c.lane,
       c.attempts + 1 AS attempt, c.claim_number, extract(epoch FROM c.lease)::float8 AS lease_seconds,
       c.claims_lost, c.reason, now() AS claimed_at, e.event_id, e.type AS event_type, e.occurred_at, b.body,
       s.version AS subscription_version, s.is_active, s.deleted_at, s.disabled_at, s.failing_since,
       s.failing_told_at, s.last_told_at
FROM claimed c
JOIN delivery_event e ON e.id = c.event_id
JOIN delivery_eventbody b ON b.id = c.body_id
LEFT JOIN subscriptions_subscription s ON s.id = c.subscription_id
""",
)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A delivery that this worker, and for the time of the lease only this worker, may send."""

    id: UUID
    organization_id: int
    subscription_id: int | None
    callback: Mapping[str, Any] | None
    webhook_id: str
    is_test: bool
    once: bool
    lane: str
    #: why it waited
    reason: str
    attempt: int
    claim_number: int
    lease_seconds: float
    #: claims before this one that nobody recorded anything for
    claims_lost: int
    #: by the database's clock, as all times that decide something
    claimed_at: datetime
    event_id: str
    event_type: str
    occurred_at: datetime
    body: bytes
    subscription_version: int | None
    is_active: bool | None
    deleted_at: datetime | None
    disabled_at: datetime | None
    failing_since: datetime | None
    failing_told_at: datetime | None
    last_told_at: datetime | None


def claim(delivery_id: UUID, attempt: int) -> Claimed | None:
    """The delivery for its attempt number `attempt` (from 1), or None: a stale, doubled or early message."""
    return next(iter(claim_many([(delivery_id, attempt)])), None)


def claim_many(asked: Iterable[tuple[UUID, int]]) -> list[Claimed]:
    """The same for many at once; whatever is not to be attempted now is missing from the answer."""
    # One order for all, so that two that ask for the same rows wait instead of deadlocking.
    ordered = sorted(set(asked))
    parameters: dict[str, Any] = {
        "ids": array(id_ for id_, _ in ordered),
        "attempts": array(attempt for _, attempt in ordered),
        "margin": settings.DELIVERY_LEASE_MARGIN_SECONDS,
        "timeout": settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS,
        "spread": SUSPECTS_SPREAD_SECONDS,
    }
    found = [_claimed(row) for row in CLAIM.run(parameters)]
    tally.add(tally.LEASES_TAKEN_OVER, sum(claimed.claims_lost > 0 for claimed in found))
    return found


def _claimed(values: dict[str, Any]) -> Claimed:
    callback = values["callback"]
    values["callback"] = json.loads(callback) if isinstance(callback, str) else callback
    values["body"] = bytes(values["body"])
    return Claimed(**values)
