"""Keeps the rate of subscriptions that have a limit: between the claim and the request.

Who finds no place soon gives the delivery back. No attempt is used up, and it comes back at a moment of its
own, so that a backlog is not claimed again and again.
"""

import time
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from delivery.cancel import CHUNK_ROWS
from delivery.claim import Claimed
from delivery.database import on_live_connection
from delivery.recorder import postpone
from delivery.states import Lane
from subscriptions import paces
from subscriptions.models import Subscription
from subscriptions.paces import Wish

# Why a delivery waits that was claimed and given back unsent.
RATE_LIMITED = "rate_limited"

# A millionth of the wait that is left: at once, in the same order. The new limit then decides.
BRING_FORWARD = """
UPDATE delivery_delivery SET next_attempt_at = now() + (next_attempt_at - now()) * 1e-6
WHERE id IN (
    SELECT id FROM delivery_delivery
    WHERE subscription_id = %(subscription_id)s AND reason = 'rate_limited' AND finished_at IS NULL
      AND next_attempt_at > now() + interval '1 second'
    ORDER BY next_attempt_at LIMIT %(rows)s FOR UPDATE
)
"""
WAITING = """
SELECT count(*) FROM (
    SELECT 1 FROM delivery_delivery
    WHERE reason = 'rate_limited' AND finished_at IS NULL
      AND (%(subscription_id)s::bigint IS NULL OR subscription_id = %(subscription_id)s)
    LIMIT %(most)s
) AS waiting
"""

# Whoever gets no place so soon comes back.
SOON_SECONDS = 0.5
# A wait takes from the time that is left to record: of the lease's margin never more than this part.
OF_THE_MARGIN = 0.25


def wish_of(claimed: Claimed, per_second: float, *, may_wait: bool = True) -> Wish:
    """What is asked for a delivery to a subscription with that limit."""
    assert claimed.subscription_id is not None, "only subscriptions have limits"
    # A person waits for the answer to a test event: it goes at once, and what comes after it waits for it.
    is_back = claimed.is_test or claimed.reason == RATE_LIMITED
    # The requeuer wakes up at once what was due since its last look.
    longest = SOON_SECONDS + (settings.REQUEUE_INTERVAL_SECONDS if is_back else 0)
    longest = min(longest, OF_THE_MARGIN * settings.DELIVERY_LEASE_MARGIN_SECONDS)
    return Wish(
        subscription_id=claimed.subscription_id,
        per_second=per_second,
        longest_wait_seconds=longest if may_wait else 0.0,
        is_back=is_back,
        is_replay=claimed.lane == Lane.REPLAY,
    )


def wait_seconds(claimed: Claimed, reserved: float) -> float:
    """Until the request may go, or below zero until it is to come back; `reserved` is what its wish got."""
    return 0.0 if claimed.is_test else reserved


def may_go(claimed: Claimed, per_second: float | None) -> bool:
    """In a thread of its own: wait for the request's place. False: it is given back and must not go."""
    if per_second is None:
        return True
    seconds = wait_seconds(claimed, *paces.reserve([wish_of(claimed, per_second)]))
    if seconds < 0:
        on_live_connection(lambda: postpone(claimed, RATE_LIMITED, -seconds))
        return False
    time.sleep(seconds)
    return True


def bring_forward_after_commit(*, subscription: Subscription, **_: Any) -> None:
    """Receiver of the signal `rate_limit_raised`, inside its transaction."""
    transaction.on_commit(lambda: bring_forward(subscription.pk), robust=True)


def bring_forward(subscription_id: int) -> None:
    """What waits for a limit of before comes back now, in chunks that commit on their own."""
    parameters = {"subscription_id": subscription_id, "rows": CHUNK_ROWS}
    with connection.cursor() as cursor:
        while True:
            cursor.execute(BRING_FORWARD, parameters)
            if cursor.rowcount < CHUNK_ROWS:
                return


def waiting_count(*, most: int, subscription_id: int | None = None) -> int:
    """Deliveries that wait for their subscription's limit: for this one, or for any; at most so many."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {"subscription_id": subscription_id, "most": most})
        return int(cursor.fetchone()[0])
