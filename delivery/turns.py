"""Long works in chunks, of replays and of events with many recipients: any process may do the next one.

A chunk is one transaction, and the lock on its row is the only claim; both end with their connection.
Chunks of all rows go in turn, so that a long work keeps nobody waiting.
"""

import logging
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Min, QuerySet
from django.db.models.functions import Now

from delivery.database import DATABASE_AWAY

logger = logging.getLogger(__name__)

# A row whose chunk fails by a fault of ours must not keep the others waiting.
FAULT_PAUSE_SECONDS = 60
# Until another process is done with the chunk that is next.
OTHERS_CHUNK_SECONDS = 0.05
# The server itself ends the transaction of a process whose machine vanished.
IDLE_MAX_MILLISECONDS = 30_000


def in_turn(
    rows: "QuerySet[Any]", advance: Callable[[UUID], bool], *, what: str, stop: Callable[[], bool]
) -> float:
    """Chunks of all of the rows until none is due; seconds until the next one is.

    `advance` does a row's next chunk; False if that is not due or in somebody else's hands.
    """
    due = rows.filter(next_chunk_at__lte=Now()).order_by("next_chunk_at").values_list("pk", flat=True)
    while not stop() and (pk := due.first()) is not None:
        try:
            if not advance(pk):
                return OTHERS_CHUNK_SECONDS
        except DATABASE_AWAY:
            raise
        except Exception:
            logger.exception("%s fails; it goes on later id=%s", what, pk)
            rows.filter(pk=pk).update(next_chunk_at=Now() + timedelta(seconds=FAULT_PAUSE_SECONDS))
    return seconds_until_due(rows)


def seconds_until_due(rows: "QuerySet[Any]") -> float:
    """Until the next chunk of any of the rows; infinite if there are none."""
    wait: timedelta | None = rows.aggregate(wait=Min("next_chunk_at") - Now())["wait"]
    return math.inf if wait is None else max(0.0, wait.total_seconds())


def end_if_idle() -> None:
    """At the beginning of a chunk."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = %s", [IDLE_MAX_MILLISECONDS])
