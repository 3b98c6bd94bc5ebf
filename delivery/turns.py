"""Long works in chunks, of replays and of events with many recipients: any process may do the next one.

A chunk is one transaction, and the lock on its row is the only claim; both end with their connection.
Chunks of all rows go in turn, so that a long work keeps nobody waiting.
"""

import logging
import math
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import close_old_connections, connection
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


class TurnsLoop:
    """A thread of every worker: one of its own, so that neither a backlog of messages nor a broker that is
    away holds its work up."""

    def __init__(
        self, name: str, work: Callable[[Callable[[], bool]], float], interval: Callable[[], float]
    ) -> None:
        """`work` is told when to stop, and says after how many seconds it wants to look again."""
        self._work = work
        self._interval = interval
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is work now."""
        self._woken.set()

    def stop(self) -> None:
        self._stopped.set()
        self._woken.set()

    def join(self, seconds: float) -> bool:
        """Wait for the chunk under way; False if it takes longer."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            wait = self._interval()
            self._woken.clear()
            try:
                close_old_connections()
                wait = min(wait, self._work(self._stopped.is_set))
            except DATABASE_AWAY as error:
                logger.warning("%s waits for the database error=%s", self._thread.name, str(error).strip())
                connection.close()
            except Exception:
                logger.exception("%s failed; it goes on", self._thread.name)
            if not self._stopped.is_set():
                self._woken.wait(wait)
        connection.close()
