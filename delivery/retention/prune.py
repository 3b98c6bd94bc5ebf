"""Goes through all organizations and deletes what is old enough, at a pace that leaves room for traffic.

Nothing of it is kept between two passes, but the mark of bodies: what a pass leaves behind, because it was
killed or because a delivery has not ended, the next one finds by its age again.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from delivery.retention import batches
from delivery.retention.model import RetentionMark
from delivery.retention.policy import Policy, policies

logger = logging.getLogger(__name__)

# A key of our own in PostgreSQL's space of advisory locks.
ADVISORY_LOCK = 7_205_020
# For so long beat's task goes on at the most; the next one, five minutes after this, does the rest.
TASK_SECONDS = 240.0


class OthersPrune(Exception):
    """Another process prunes at this moment."""


@dataclass
class Pace:
    """When to stop, and how long to wait between two batches."""

    stop: Callable[[], bool] = lambda: False
    pause: Callable[[float], object] = time.sleep
    #: rows a second; None: as the settings say
    rate: float | None = None
    #: in monotonic seconds
    until: float | None = None

    def is_over(self) -> bool:
        return self.stop() or (self.until is not None and time.monotonic() >= self.until)

    @property
    def rows_per_second(self) -> float:
        return self.rate or settings.RETENTION_ROWS_PER_SECOND

    def after(self, rows: int, seconds: float) -> None:
        """Never busier than half of the time: what is slow now has other things to do."""
        self.pause(max(rows / self.rows_per_second - seconds, seconds))


@dataclass
class Tally:
    """What a pass has deleted."""

    #: rows by kind
    deleted: Counter[str] = field(default_factory=Counter)
    is_done: bool = False


def prune(
    wanted: Iterable[Policy], pace: Pace, progress: Callable[[Tally], object] = lambda tally: None
) -> Tally:
    """One pass over these organizations. Raises OthersPrune."""
    tally = Tally()
    with _alone():
        now = _database_time()
        for policy in wanted:
            for step in batches.STEPS:
                _through(step, policy, now, pace, tally, progress)
        tally.is_done = not pace.is_over()
    if tally.deleted.total():
        counts = " ".join(f"{kind}={count}" for kind, count in sorted(tally.deleted.items()))
        logger.info("pruned %s done=%s", counts, tally.is_done)
    return tally


def prune_for_a_while(stop: Callable[[], bool]) -> None:
    """Beat's task: what has come of age since the last one, as the settings and organizations want it."""
    try:
        tally = prune(policies(), Pace(stop=stop, until=time.monotonic() + TASK_SECONDS))
    except OthersPrune:
        logger.info("another process prunes")
        return
    RetentionMark.objects.update_or_create(
        pk=1, defaults={"ended_at": Now()} | ({"done_at": Now()} if tally.is_done else {})
    )


def _through(
    step: batches.Step,
    policy: Policy,
    now: datetime,
    pace: Pace,
    tally: Tally,
    progress: Callable[[Tally], object],
) -> None:
    """All batches of one kind of an organization."""
    cursor, is_clean = batches.NOTHING, True
    while not pace.is_over():
        began = time.monotonic()
        batch = step(policy, now, cursor)
        if batch is None:
            return
        cursor, is_clean = batch.cursor, is_clean and batch.is_clean
        if step is batches.bodies and is_clean:
            batches.mark(policy.organization_id, cursor)
        tally.deleted += batch.deleted
        progress(tally)
        pace.after(batch.deleted.total(), time.monotonic() - began)


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time; whoever dies leaves the lock with its connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK])
        ((is_ours,),) = cursor.fetchall()
    if not is_ours:
        raise OthersPrune
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])


def _database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now
