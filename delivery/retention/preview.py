"""What a pass would delete, counted up to a bound, for people who want to know before."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError, connection

from delivery.retention import batches
from delivery.retention.policy import Policy
from delivery.stats.selectors import counted_until

# Rows of one kind of an organization: half a second at the most.
COUNT_MAX_ROWS = 100_000
NEVER = datetime.min.replace(tzinfo=UTC)
KINDS = ("attempts", "bodies", "deliveries", "events", "notices", "replays")

_EVENTS = f"""
SELECT e.id FROM delivery_event e
WHERE e.organization_id = %(organization)s AND e.id > %(cursor)s AND e.id < %(before)s AND {batches.IS_OVER}
LIMIT %(most)s
"""  # noqa: S608 - parts of this project; values are parameters
_WITH_EVENTS = {
    "events": f"SELECT 1 FROM ({_EVENTS}) AS old",  # noqa: S608 - as above
    "deliveries": f"""
        SELECT 1 FROM ({_EVENTS}) AS old JOIN delivery_delivery d ON d.event_id = old.id
    """,  # noqa: S608 - as above
    "attempts": f"""
        SELECT 1 FROM ({_EVENTS}) AS old JOIN delivery_delivery d ON d.event_id = old.id
        JOIN delivery_attempt a ON a.delivery_id = d.id
    """,  # noqa: S608 - as above
    "bodies": f"""
        SELECT 1 FROM ({_EVENTS}) AS old JOIN delivery_eventbody b ON b.event_id = old.id
    """,  # noqa: S608 - as above
    **{kind: f"SELECT 1 FROM {rows}" for kind, rows in batches.OLD_NOTES.items()},  # noqa: S608 - as above
}
_ATTEMPTS_ALONE = f"""
SELECT 1 FROM delivery_attempt a
WHERE a.organization_id = %(organization)s AND a.id < %(before)s AND {batches.IS_DONE_WITH}
"""  # noqa: S608 - as above


def preview(policy: Policy, now: datetime) -> Counter[str]:
    """Rows by kind, COUNT_MAX_ROWS at the most of each: that many are that many or more.

    Events whose deliveries have not all ended so long ago are left out, as they are left, and so is what the
    statistics have not counted.
    """
    counts: Counter[str] = Counter()
    if policy.events_days:
        until = now - timedelta(days=policy.events_days)
        # What ended before then has its attempts from before: no need to look at each.
        ended_before = min(until, counted_until() or NEVER)
        for kind, sql in _WITH_EVENTS.items():
            counts[kind] = _count(
                sql, policy, now, policy.events_days, ended_before=ended_before, until=until
            )
    # What goes alone goes sooner, so what goes with its event is part of it.
    if policy.bodies_alone_days:
        counts["bodies"] = _count(
            _WITH_EVENTS["bodies"],
            policy,
            now,
            policy.bodies_alone_days,
            ended_before="infinity",
            cursor=batches.marked(policy.organization_id),
        )
    if policy.attempts_alone_days:
        counts["attempts"] = _count(_ATTEMPTS_ALONE, policy, now, policy.attempts_alone_days)
    return counts


def _count(sql: str, policy: Policy, now: datetime, days: int, **values: Any) -> int:
    """Bounded in rows, and in time by the limit of each statement: what takes longer is many."""
    parameters = {
        "organization": policy.organization_id,
        "before": batches.before(now, days),
        "most": COUNT_MAX_ROWS,
        "cursor": batches.NOTHING,
        **values,
    }
    try:
        with batches.limited(), connection.cursor() as cursor:
            counted = f"SELECT count(*) FROM ({sql} LIMIT %(most)s) AS counted"  # noqa: S608 - as above
            cursor.execute(counted, parameters)
            return int(cursor.fetchone()[0])
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) not in batches.TOOK_TOO_LONG:
            raise
        return COUNT_MAX_ROWS
