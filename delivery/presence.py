"""Workers say that they live: a row of each, renewed every few seconds, taken away when it stops.

Asking them over the broker (`celery inspect`) takes seconds and fails just when it matters; the
rows can be read while the broker is away, and show which worker fell silent and when.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Now

from delivery import tally
from delivery.models import Worker
from delivery.states import Lane

INTERVAL_SECONDS = 5.0
FORGOTTEN_HOURS = 24

SAY = """
INSERT INTO delivery_worker AS w
    (name, host, process_id, queues, concurrency, clock_ahead_seconds, idle_seconds, under_way, given_back,
     done, started_at, seen_at)
VALUES (%(name)s, %(host)s, %(process_id)s, %(queues)s, %(concurrency)s,
        %(clock)s - extract(epoch FROM clock_timestamp()), %(idle)s, %(under_way)s, %(given_back)s,
        %(done)s, now(), now())
ON CONFLICT (name) DO UPDATE
SET host = excluded.host, process_id = excluded.process_id, queues = excluded.queues,
    concurrency = excluded.concurrency, clock_ahead_seconds = excluded.clock_ahead_seconds,
    idle_seconds = excluded.idle_seconds, under_way = excluded.under_way, given_back = excluded.given_back,
    done = excluded.done, seen_at = excluded.seen_at,
    -- The same name in another process: it was started again.
    started_at = CASE WHEN (w.host, w.process_id) = (excluded.host, excluded.process_id)
        THEN w.started_at ELSE excluded.started_at END
"""

FORGET = "DELETE FROM delivery_worker WHERE seen_at < now() - interval '1 hour' * %s"
LEAVE = "DELETE FROM delivery_worker WHERE name = %s AND host = %s AND process_id = %s"


class Load(NamedTuple):
    """What a worker's pool is busy with; Celery's own pools do not say."""

    under_way: int | None = None
    #: deliveries given back unsent since it started, by reason
    given_back: Mapping[str, int] | None = None


class Presence:
    """What this worker process says of itself. Used by one thread."""

    def __init__(
        self,
        name: str,
        queues: Callable[[], Iterable[str]],
        concurrency: int,
        received_at: Callable[[], float] = time.monotonic,
        load: Callable[[], Load] = Load,
    ) -> None:
        self._name = name
        self._queues = queues
        self._concurrency = concurrency
        #: when it last received a message, in monotonic seconds
        self._received_at = received_at
        self._load = load
        self._host = socket.gethostname()
        self._said_at: float | None = None

    def say_if_due(self) -> bool:
        """Renew the row, unless that was done a moment ago; also forgets who has long been silent."""
        now = time.monotonic()
        if self._said_at is not None and now - self._said_at < INTERVAL_SECONDS:
            return False
        load = self._load()
        with connection.cursor() as cursor:
            cursor.execute(
                SAY,
                {
                    "name": self._name,
                    "host": self._host,
                    "process_id": os.getpid(),
                    # Read anew: queues can be added and cancelled while it runs.
                    "queues": sorted(self._queues()),
                    "concurrency": self._concurrency,
                    "clock": time.time(),
                    "idle": max(0.0, now - self._received_at()),
                    "under_way": load.under_way,
                    "given_back": None if load.given_back is None else json.dumps(load.given_back),
                    "done": json.dumps(tally.counts()),
                },
            )
            cursor.execute(FORGET, [FORGOTTEN_HOURS])
        self._said_at = now
        return True

    def leave(self) -> None:
        """From now on it takes no messages."""
        with connection.cursor() as cursor:
            cursor.execute(LEAVE, [self._name, self._host, os.getpid()])


def seen() -> list[tuple[Worker, float]]:
    """Every worker that is remembered, with the seconds since it was last seen."""
    silent = ExpressionWrapper(Now() - F("seen_at"), output_field=DurationField())
    return [
        (row, row.silent.total_seconds()) for row in Worker.objects.annotate(silent=silent).order_by("name")
    ]


def alive_count() -> int:
    return _alive().count()


def sender_count() -> int:
    """Workers that live and take deliveries: those that share the limits of requests."""
    return _alive().filter(queues__overlap=[lane.queue for lane in Lane]).count()


def _alive() -> QuerySet[Worker]:
    return Worker.objects.filter(seen_at__gt=Now() - timedelta(seconds=settings.WORKER_SILENT_SECONDS))
