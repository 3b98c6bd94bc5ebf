"""Judges the rows: what is late or stuck, what waits for a person, and whether its secrets can be opened.

Every count stops at a bound and every row is found through an index, so that a sick table with
millions of rows is looked at as fast as a healthy one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from django.conf import settings
from django.db import connection

from delivery.doctor.finding import Finding, error, ok, span, warning
from delivery.fan_out import chunks as fan_out
from delivery.hold import WORKER_LOST
from delivery.models import Delivery, SlowReceiver
from delivery.states import Lane
from subscriptions import encrypted
from subscriptions.models import Notice, Subscription
from subscriptions.notices import can_send
from subscriptions.secrets import UndecryptableSecret, decrypt

COUNTED_MAX = 10_000
# In a lane that is not empty the tenth nudge comes hours after the first.
NUDGES_IN_VAIN = 10
# Longer than a wake-up waits in a queue that moves.
LEASE_OVER_SECONDS = 1_800
NOTICE_TRIES_IN_VAIN = 3
SECRETS_TRIED = 25
NAMED_MAX = 5

LATE = """
SELECT lane.name, late.rows, late.seconds
FROM unnest(%(lanes)s) AS lane (name)
CROSS JOIN LATERAL (
    SELECT count(*) AS rows, extract(epoch FROM now() - min(due.next_attempt_at))::float8 AS seconds
    FROM (
        SELECT d.next_attempt_at FROM delivery_delivery d
        WHERE d.finished_at IS NULL AND d.lane = lane.name AND d.next_attempt_at <= now()
          AND (d.lease_until IS NULL OR d.lease_until <= now())
        ORDER BY d.next_attempt_at
        LIMIT %(most)s
    ) AS due
) AS late
"""

STUCK = """
SELECT count(*) FROM (
    SELECT 1 FROM delivery_delivery
    WHERE finished_at IS NULL AND lane = ANY(%(lanes)s)
      AND next_attempt_at <= now() - interval '1 second' * %(late)s
      AND (lease_until IS NULL OR lease_until <= now())
      AND (nudges >= %(nudges)s OR lease_until <= now() - interval '1 second' * %(lease_over)s)
    LIMIT %(most)s
) AS stuck
"""


HELD = """
SELECT reason, count(*) FROM (
    SELECT reason FROM delivery_delivery WHERE state = 'held' LIMIT %(most)s
) AS held
GROUP BY reason
"""


def due_by_lane() -> dict[str, tuple[int, float]]:
    """Rows of each lane that are due and in nobody's hands, up to COUNTED_MAX; the oldest one's seconds."""
    with connection.cursor() as cursor:
        cursor.execute(LATE, {"lanes": [str(lane) for lane in Lane], "most": COUNTED_MAX})
        return {lane: (rows, seconds or 0.0) for lane, rows, seconds in cursor.fetchall()}


def late() -> Iterator[Finding]:
    """The oldest due row of each lane."""
    for lane, (rows, seconds) in due_by_lane().items():
        yield judge_lateness(lane, rows, seconds)


def judge_lateness(lane: str, rows: int, seconds: float) -> Finding:
    id_ = f"due.{lane}"
    if not rows:
        return ok(id_, "nothing is due")
    what = f"{counted(rows, 'delivery is', 'deliveries are')} due, the oldest for {span(seconds)}"
    if seconds <= settings.DUE_LATE_WARNING_SECONDS:
        return ok(id_, what)
    level = error if seconds > settings.DUE_LATE_ERROR_SECONDS else warning
    return level(
        id_,
        what,
        f"Add workers for {Lane(lane).queue} or raise their --concurrency; see which receivers are slow.",
    )


def fan_outs() -> Iterator[Finding]:
    """Events whose deliveries workers have to make."""
    events, seconds = fan_out.waiting(most=COUNTED_MAX)
    if not events:
        yield ok("events.fan_out", "no event waits for its fan-out")
        return
    what = f"{counted(events, 'event waits', 'events wait')} for fan-out, the oldest for {span(seconds)}"
    if seconds <= settings.DUE_LATE_WARNING_SECONDS:
        yield ok("events.fan_out", what)
        return
    yield warning(
        "events.fan_out", what, "Look for errors of the fan-out in the workers' logs, or add workers."
    )


def stuck_count() -> int:
    """Rows woken up again and again, or left by a worker long ago and taken up by none."""
    with connection.cursor() as cursor:
        cursor.execute(
            STUCK,
            {
                "lanes": [str(lane) for lane in Lane],
                "late": settings.DUE_LATE_WARNING_SECONDS,
                "nudges": NUDGES_IN_VAIN,
                "lease_over": LEASE_OVER_SECONDS,
                "most": COUNTED_MAX,
            },
        )
        return int(cursor.fetchone()[0])


def stuck() -> Iterator[Finding]:
    rows = stuck_count()
    if not rows:
        yield ok("deliveries.stuck", "none is stuck")
        return
    yield error(
        "deliveries.stuck",
        f"{counted(rows, 'delivery is', 'deliveries are')} woken up in vain, or left and taken up by nobody",
        "Look for errors in the workers' logs; the admin lists them by state. They are not lost.",
    )


def held_by_reason() -> dict[str, int]:
    """Deliveries that wait for a person, by why they do; up to COUNTED_MAX."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, {"most": COUNTED_MAX})
        return dict(cursor.fetchall())


def held() -> Iterator[Finding]:
    by_reason = held_by_reason()
    parked = by_reason.pop(WORKER_LOST, 0)
    rows = sum(by_reason.values())
    if rows:
        yield warning(
            "deliveries.held",
            f"{counted(rows, 'delivery is', 'deliveries are')} held for disabled subscriptions",
            "Have the receivers mended and the subscriptions enabled, then recover what is held.",
        )
    else:
        yield ok("deliveries.held", "none is held")
    if parked:
        yield warning(
            "deliveries.parked",
            f"{counted(parked, 'delivery was', 'deliveries were')} parked: workers ended while they sent it",
            "See the log of those workers (memory?); then select them in the admin: send, or cancel.",
        )
    else:
        yield ok("deliveries.parked", "none is parked")


def slow_count() -> int:
    """Slow receivers, of all organizations."""
    return SlowReceiver.objects.all()[:COUNTED_MAX].count()


def put_aside_count() -> int:
    """Deliveries that wait in the slow lane, due or not; up to COUNTED_MAX."""
    return Delivery.objects.filter(finished_at=None, lane=Lane.SLOW)[:COUNTED_MAX].count()


def slow() -> Iterator[Finding]:
    rows = slow_count()
    if not rows:
        yield ok("receivers.slow", "no receiver is slow")
        return
    names = list(SlowReceiver.objects.order_by("since").values_list("receiver", flat=True)[:NAMED_MAX])
    more = ", …" if rows > len(names) else ""
    yield warning(
        "receivers.slow",
        f"{counted(rows, 'receiver keeps', 'receivers keep')} timing out: {', '.join(names)}{more}; "
        f"{counted(put_aside_count(), 'delivery waits', 'deliveries wait')} for them",
        "Their owners have to mend them; they come back by themselves. The admin says since when.",
    )


def disabled_count() -> int:
    return Subscription.objects.filter(disabled_at__isnull=False, deleted_at=None)[:COUNTED_MAX].count()


def disabled() -> Iterator[Finding]:
    rows = disabled_count()
    what = counted(rows, "subscription", "subscriptions")
    if not rows:
        yield ok("subscriptions.disabled", "the service has disabled none")
        return
    yield warning(
        "subscriptions.disabled",
        f"the service has disabled {what}: gone (410) or failing for days",
        "The admin lists them with the reason. Their owners were told; they or you enable them again.",
    )


def notices() -> Iterator[Finding]:
    unsent = Notice.objects.filter(next_try_at__isnull=False)
    rows = unsent[:COUNTED_MAX].count()
    vain = unsent.filter(tries__gte=NOTICE_TRIES_IN_VAIN)
    if rows and not can_send():
        yield warning(
            "notices.unsent",
            f"{counted(rows, 'mail waits', 'mails wait')}: there is no mail server",
            "Set EMAIL_HOST, or tell the organizations yourself: the admin shows the notices.",
        )
    elif failed := vain[:COUNTED_MAX].count():
        reason = vain.order_by("-id").values_list("error", flat=True)[0]
        yield warning(
            "notices.unsent",
            f"{counted(failed, 'mail', 'mails')} could not be sent: {reason or 'no reason noted'}",
            "Correct the EMAIL_ settings or the address; they are tried again by themselves for days.",
        )
    else:
        yield ok("notices.unsent", f"{counted(rows, 'mail waits', 'mails wait')}" if rows else "none waits")


def secrets() -> Iterator[Finding]:
    """A sample: the oldest, which an exchange of keys forgets first, and the newest."""
    tried, closed = 0, Counter[str]()
    for column in encrypted.columns():
        for token in _sample(column):
            tried += 1
            try:
                decrypt(token)
            except UndecryptableSecret:
                closed[str(column)] += 1
    if closed:
        yield error(
            "secrets.decryptable",
            f"ENCRYPTION_KEYS open {tried - closed.total()} of {tried} stored secrets that were tried; "
            f"not all of {', '.join(closed)}",
            "Bring the old key back, at the end of ENCRYPTION_KEYS: who needs it gets nothing.",
        )
        return
    yield ok("secrets.decryptable", f"ENCRYPTION_KEYS open all {tried} stored secrets that were tried")


def _sample(column: encrypted.EncryptedColumn) -> Iterator[str]:
    """Of the first and of the last rows by key: a big table's other rows are not looked at."""
    rows = column.model._default_manager
    for order in ("pk", "-pk"):
        edge = rows.order_by(order).values("pk")[:COUNTED_MAX]
        found = rows.filter(column.filled, column.in_use(), pk__in=edge).order_by(order)
        for value in found.values_list(column.column, flat=True)[:SECRETS_TRIED]:
            yield from encrypted.tokens_of(value)


def counted(rows: int, one: str, many: str) -> str:
    more = " or more" if rows >= COUNTED_MAX else ""
    return f"{rows:,}{more} {one if rows == 1 else many}"


#: by the id that is used when the check itself fails
CHECKS: Mapping[str, Callable[[], Iterator[Finding]]] = {
    "due": late,
    "events.fan_out": fan_outs,
    "deliveries.stuck": stuck,
    "deliveries.held": held,
    "receivers.slow": slow,
    "subscriptions.disabled": disabled,
    "notices.unsent": notices,
    "secrets.decryptable": secrets,
}
