"""Deletes what is old enough, a batch in a transaction of its own.

A batch is found by key, which is ordered by time, within one organization. Whoever makes a new delivery of
an old event (a replay) locks the event first; here events are locked for good, skipping what others have in
their hands, and only then it is asked whether all that belongs to them has ended. So nothing comes
between that look and the deletion, nothing live is touched, and nobody waits longer than a batch takes.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction

from delivery.retention.model import BodiesMark
from delivery.retention.policy import Policy
from subscriptions.ids import first_uuid7
from webhooks_project.arrays import array

logger = logging.getLogger(__name__)

# Keys are by the clocks of those who made them.
CLOCKS_APART = timedelta(hours=1)
NOTHING = UUID(int=0)
# PostgreSQL's codes for a statement or a lock that took too long, and for a deadlock.
TOOK_TOO_LONG = frozenset({"57014", "55P03", "40P01"})
# By keys, whatever is known of the tables: a batch is small, and they are not. And by the organization's own:
# who has most of the rows may have none of the old ones, so reading all in order must not look cheaper.
LIMITS = """
SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '1s'; SET LOCAL random_page_cost = 0;
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off
"""

OLD_EVENTS = """
SELECT id, recipients FROM delivery_event
WHERE organization_id = %(organization)s AND id > %(cursor)s AND id < %(before)s ORDER BY id LIMIT %(rows)s
"""
LOCK = "SELECT id FROM delivery_event WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED"
# A delivery that has not ended is one that ends in the far future. In no words of the index of what is
# unfinished: of an event there are few deliveries, unfinished there may be very many.
IS_OVER = """
NOT EXISTS (
    SELECT 1 FROM delivery_delivery d
    WHERE d.event_id = e.id AND coalesce(d.finished_at, 'infinity') >= %(ended_before)s
) AND NOT EXISTS (SELECT 1 FROM delivery_fanout f WHERE f.event_id = e.id)
"""
# What is not counted yet would be missing in the statistics for ever. The mark only grows, and nothing is
# written below it any more (delivery/stats/roll_up.py).
COUNTED_UNTIL = "coalesce((SELECT counted_until FROM delivery_statsmark WHERE id = 1), '-infinity')"
IS_COUNTED = f"""
NOT EXISTS (
    SELECT 1 FROM delivery_delivery d JOIN delivery_attempt a ON a.delivery_id = d.id
    WHERE d.event_id = e.id AND a.created_at >= {COUNTED_UNTIL}
)
"""  # noqa: S608 - parts of this file
OVER = f"SELECT e.id FROM unnest(%(ids)s::uuid[]) AS e (id) WHERE {IS_OVER}"  # noqa: S608 - as above
OVER_AND_COUNTED = f"{OVER} AND {IS_COUNTED}"
DELETES = {
    "attempts": "DELETE FROM delivery_attempt WHERE delivery_id = ANY(ARRAY("
    "SELECT id FROM delivery_delivery WHERE event_id = ANY(%(ids)s::uuid[])))",
    "deliveries": "DELETE FROM delivery_delivery WHERE event_id = ANY(%(ids)s::uuid[])",
    "bodies": "DELETE FROM delivery_eventbody WHERE event_id = ANY(%(ids)s::uuid[])",
    "events": "DELETE FROM delivery_event WHERE id = ANY(%(ids)s::uuid[])",
}

OLD_ATTEMPTS = """
SELECT id FROM delivery_attempt
WHERE organization_id = %(organization)s AND id > %(cursor)s AND id < %(before)s ORDER BY id LIMIT %(rows)s
"""
IS_DONE_WITH = f"""
a.created_at < {COUNTED_UNTIL} AND NOT EXISTS (
    SELECT 1 FROM delivery_delivery d
    WHERE d.id = a.delivery_id AND coalesce(d.finished_at, 'infinity') = 'infinity'
)
"""  # noqa: S608 - as above
DELETE_ATTEMPTS = f"""
DELETE FROM delivery_attempt a WHERE a.id = ANY(%(ids)s::uuid[]) AND {IS_DONE_WITH}
"""  # noqa: S608 - parts of this file; values are parameters


# What tells of events and goes as late as they do. Few rows.
OLD_NOTES = {
    "notices": "subscriptions_notice WHERE organization_id = %(organization)s AND created_at < %(until)s",
    "replays": "delivery_replay WHERE organization_id = %(organization)s AND finished_at < %(until)s",
}


class Batch(NamedTuple):
    """What was looked at and deleted."""

    #: rows by kind
    deleted: Counter[str]
    #: everything up to here has been looked at
    cursor: UUID
    #: nothing older is left behind
    is_clean: bool


Step = Callable[[Policy, datetime, UUID], Batch | None]


def events(policy: Policy, now: datetime, cursor: UUID) -> Batch | None:
    """The next old events of the organization after the cursor, with all that belongs to them, where all of
    it has ended so long ago; None where there are none.
    """
    if not policy.events_days:
        return None
    ended_before = now - timedelta(days=policy.events_days)
    found = _some(OLD_EVENTS, policy, before(now, policy.events_days), cursor)
    ids = [id_ for id_, _ in _up_to_rows(found)]
    return _deleted(ids, lambda: _delete_over(OVER_AND_COUNTED, ids, ended_before, *DELETES)) if ids else None


def bodies(policy: Policy, now: datetime, cursor: UUID) -> Batch | None:
    """The bodies alone of the next old events after the cursor, where nothing needs them any more."""
    if not policy.bodies_alone_days:
        return None
    if cursor == NOTHING:
        cursor = marked(policy.organization_id)
    ids = [id_ for id_, _ in _some(OLD_EVENTS, policy, before(now, policy.bodies_alone_days), cursor)]
    return _deleted(ids, lambda: _delete_over(OVER, ids, "infinity", "bodies")) if ids else None


def attempts(policy: Policy, now: datetime, cursor: UUID) -> Batch | None:
    """The next old attempts after the cursor, of deliveries that have ended."""
    if not policy.attempts_alone_days:
        return None
    ids = [id_ for (id_,) in _some(OLD_ATTEMPTS, policy, before(now, policy.attempts_alone_days), cursor)]

    def delete() -> tuple[Counter[str], bool]:
        count = _execute(DELETE_ATTEMPTS, {"ids": array(ids)})
        return Counter(attempts=count), count == len(ids)

    return _deleted(ids, delete) if ids else None


def notes(policy: Policy, now: datetime, cursor: UUID) -> Batch | None:
    """The next old mails, and replays that have ended; None when there are no more."""
    if not policy.events_days:
        return None
    values = {
        "organization": policy.organization_id,
        "until": now - timedelta(days=policy.events_days),
        "rows": settings.RETENTION_BATCH_ROWS,
    }
    counts: Counter[str] = Counter()
    with limited():
        for kind, rows in OLD_NOTES.items():
            table = rows.partition(" ")[0]
            some = f"SELECT id FROM {rows} LIMIT %(rows)s FOR UPDATE SKIP LOCKED"  # noqa: S608 - of this file
            sql = f"DELETE FROM {table} WHERE id IN ({some})"  # noqa: S608 - as above
            counts[kind] = _execute(sql, values)
    return Batch(counts, cursor, is_clean=True) if counts.total() else None


STEPS: tuple[Step, ...] = (attempts, bodies, events, notes)


def before(now: datetime, days: int) -> UUID:
    """Below the key of all that is younger."""
    return first_uuid7(int((now - timedelta(days=days) - CLOCKS_APART).timestamp() * 1000))


def marked(organization_id: int) -> UUID:
    """Up to here the organization's bodies are gone."""
    known = BodiesMark.objects.filter(pk=organization_id).first()
    return NOTHING if known is None else known.up_to


def mark(organization_id: int, up_to: UUID) -> None:
    BodiesMark.objects.update_or_create(pk=organization_id, defaults={"up_to": up_to})


def _some(sql: str, policy: Policy, before: UUID, cursor: UUID) -> list[tuple[Any, ...]]:
    with limited(), connection.cursor() as sql_cursor:
        sql_cursor.execute(
            sql,
            {
                "organization": policy.organization_id,
                "cursor": cursor,
                "before": before,
                "rows": settings.RETENTION_BATCH_ROWS,
            },
        )
        found: list[tuple[Any, ...]] = sql_cursor.fetchall()
        return found


def _up_to_rows(found: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The beginning: as many events as have a batch's worth of recipients, and one at least."""
    rows = 0
    for row in found:
        if rows and rows + row[1] > settings.RETENTION_BATCH_ROWS:
            return
        rows += row[1] + 1
        yield row


def _deleted(ids: Sequence[UUID], delete: Callable[[], tuple[Counter[str], bool]]) -> Batch:
    """One that takes too long is left to the next pass: there is traffic, and nothing here is urgent."""
    try:
        with limited():
            counts, is_clean = delete()
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) not in TOOK_TOO_LONG:
            raise
        logger.warning("a batch of the retention took too long; left for later first=%s", ids[0])
        counts, is_clean = Counter(), False
    return Batch(counts, ids[-1], is_clean)


def _delete_over(
    asked: str, ids: Sequence[UUID], ended_before: datetime | str, *kinds: str
) -> tuple[Counter[str], bool]:
    """Of these events those that nobody else has locked and that are over, as is `asked`."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, {"ids": array(ids)})
        ours = [id_ for (id_,) in cursor.fetchall()]
        # A statement of its own, after the lock: it sees what was committed before we had it.
        cursor.execute(asked, {"ids": array(ours), "ended_before": ended_before})
        over = [id_ for (id_,) in cursor.fetchall()]
    if not over:
        return Counter(), False
    counts = Counter({kind: _execute(DELETES[kind], {"ids": array(over)}) for kind in kinds})
    return counts, len(over) == len(ids)


@contextmanager
def limited() -> Iterator[None]:
    """A short transaction: who needs a row of ours must not wait for it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LIMITS)
        yield


def _execute(sql: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)
