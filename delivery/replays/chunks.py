"""Carries replays out, chunk by chunk: any process may do the next one, whatever became of the last.

A chunk is one transaction: it inserts the copies and moves the replay's cursor and counters, so a
process that dies between two chunks, or in the middle of one, neither loses nor doubles anything.
The lock on the replay's row is the only claim; it ends with its connection.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Max, Q, TextField
from django.db.models.functions import Cast, Now

from delivery import turns
from delivery.models import Delivery
from delivery.outbox import EVENT_ID_PREFIX
from delivery.queue import WakeUp, publish_after_commit
from delivery.replays.filter import ReplayFilter, Skip, judged
from delivery.replays.model import Replay, ReplayState
from delivery.states import Lane

logger = logging.getLogger(__name__)

# Per chunk: what is read of the index, and what matches of it. Both bound the time for which a
# person's "pause" waits for the lock: about 0.2 s.
SCANNED_ROWS_MAX = 20_000
EXAMINED_ROWS_MAX = 1_000
# A key of our own in PostgreSQL's space of advisory locks.
ADVISORY_LOCK = 7_205_019
LARGEST_INT4 = 2**31 - 1

# In the database, for a chunk's worth of objects costs a worker ten times as much. The copies go
# where their subscriptions point now.
COPY = """
INSERT INTO delivery_delivery (
    id, organization_id, event_id, body_id, subscription_id, callback, url, webhook_id, replay_of_id,
    replay_id, is_test, once, lane, state, reason, attempts, claim_number, nudges
)
SELECT uuidv7(), d.organization_id, d.event_id, d.body_id, d.subscription_id, d.callback,
       coalesce(s.url, d.url),
       CASE WHEN %(new_ids)s THEN %(prefix)s || replace(uuidv7()::text, '-', '') ELSE d.webhook_id END,
       d.id, %(replay_id)s::uuid, d.is_test, d.once, 'replay', 'pending', '', 0, 0, 0
FROM unnest(%(originals)s::uuid[]) WITH ORDINALITY AS o (id, place)
JOIN delivery_delivery d ON d.id = o.id
JOIN delivery_eventbody b ON b.id = d.body_id
LEFT JOIN subscriptions_subscription s ON s.id = d.subscription_id
ORDER BY o.place
RETURNING id
"""
# The retention locks an event before it deletes what belongs to it (delivery/retention/batches.py).
KEEP = """
SELECT FROM delivery_event
WHERE id IN (SELECT event_id FROM delivery_delivery WHERE id = ANY(%(originals)s)) ORDER BY id FOR KEY SHARE
"""


def carry_on(stop: Callable[[], bool] = lambda: False) -> float:
    """Chunks of all running replays, in turn, until none is due; seconds until the next one is."""
    return turns.in_turn(Replay.objects.filter(state=ReplayState.RUNNING), advance, what="replay", stop=stop)


def seconds_until_due(replay_id: UUID) -> float:
    """Until the next chunk of this replay; infinite if it is not running."""
    return turns.seconds_until_due(_running(replay_id))


def _running(replay_id: UUID) -> Any:
    return Replay.objects.filter(pk=replay_id, state=ReplayState.RUNNING)


@transaction.atomic
def advance(replay_id: UUID) -> bool:
    """The next chunk of the replay; False if it is not due, not running or in somebody else's hands."""
    turns.end_if_idle()
    locked = _running(replay_id).filter(next_chunk_at__lte=Now()).select_for_update(skip_locked=True)
    replay: Replay | None = locked.first()
    if replay is None:
        return False
    one_at_a_time(replay.organization_id)
    chunk = _chunk(replay)
    copies = insert_copies(chunk.chosen, new_ids=replay.new_ids, replay_id=replay.pk)
    chunk.skipped[Skip.PRUNED] += len(chunk.chosen) - len(copies)
    _note(replay, chunk, replayed=len(copies))
    return True


class Chunk(NamedTuple):
    chosen: list[UUID]
    skipped: Counter[str]
    #: everything up to here has been looked at
    cursor: UUID
    is_last: bool


def _chunk(replay: Replay) -> Chunk:
    """What the next chunk is to send: at most a second's worth of the rate, or one delivery."""
    wanted = ReplayFilter.from_json(replay.filter)
    here = Q(pk__gt=replay.cursor)
    scanned = Delivery.objects.filter(here, wanted.scope(replay.organization_id)).order_by("pk")
    # As text, which sorts alike: PostgreSQL has no max(uuid).
    scanned = scanned.annotate(text=Cast("pk", TextField()))
    window = scanned[:SCANNED_ROWS_MAX].aggregate(last=Max("text"), count=Count("pk"))
    rows_most = EXAMINED_ROWS_MAX
    if replay.limit is not None:
        rows_most = min(rows_most, replay.limit - replay.examined)
    if window["last"] is None or rows_most <= 0:
        return Chunk([], Counter(), replay.cursor, is_last=True)
    began_at, again = replay.created_at, replay.include_delivered
    among = wanted.condition(replay.organization_id, ended_before=began_at, again=again)
    rows = Delivery.objects.filter(among, here, pk__lte=window["last"]).order_by("pk")
    judged_rows = judged(rows, among, again=again, began_at=began_at)
    found: list[tuple[UUID, str]] = list(judged_rows.values_list("pk", "skip")[:rows_most])
    copies_most = max(1, int(replay.rate_per_second))
    taken = _up_to(found, copies_most)
    saw_all = len(taken) == len(found) and len(found) < rows_most
    return Chunk(
        chosen=[id_ for id_, skip in taken if not skip],
        skipped=Counter(skip for _, skip in taken if skip),
        cursor=UUID(window["last"]) if saw_all else taken[-1][0],
        is_last=saw_all and window["count"] < SCANNED_ROWS_MAX,
    )


def _up_to(found: list[tuple[UUID, str]], copies_most: int) -> list[tuple[UUID, str]]:
    """The beginning of the rows, up to the one that fills the chunk."""
    copies = 0
    for position, (_, skip) in enumerate(found, start=1):
        copies += not skip
        if copies == copies_most:
            return found[:position]
    return found


def _note(replay: Replay, chunk: Chunk, *, replayed: int) -> None:
    """Counters, cursor, and when the rate allows the next chunk."""
    replay.cursor = chunk.cursor
    replay.replayed += replayed
    replay.examined += replayed + chunk.skipped.total()
    replay.skipped = dict(Counter(replay.skipped) + chunk.skipped)
    pause = timedelta(seconds=replayed / replay.rate_per_second)
    values: dict[str, Any] = {"next_chunk_at": Now() + pause}
    if chunk.is_last:
        values |= {"state": ReplayState.DONE, "finished_at": Now()}
        logger.info(
            "replay done replay=%s replayed=%d examined=%d", replay.pk, replay.replayed, replay.examined
        )
    Replay.objects.filter(pk=replay.pk).update(
        cursor=replay.cursor,
        replayed=replay.replayed,
        examined=replay.examined,
        skipped=replay.skipped,
        updated_at=Now(),
        **values,
    )


def insert_copies(originals: Sequence[UUID], *, new_ids: bool, replay_id: UUID | None = None) -> list[UUID]:
    """New deliveries of the same bytes, each pointing at its original; their ids, in the same order.

    What the retention has deleted meanwhile, or the bytes of, is left out.
    `replay_id`: the replay of many that makes them.
    """
    if not originals:
        return []
    keep_events(originals)
    with connection.cursor() as cursor:
        how: dict[str, Any] = {"new_ids": new_ids, "prefix": EVENT_ID_PREFIX, "replay_id": replay_id}
        cursor.execute(COPY, how | {"originals": list(originals)})
        copies = [id_ for (id_,) in cursor.fetchall()]
    publish_after_commit([WakeUp(id_, 1, Lane.REPLAY) for id_ in copies])
    return copies


def keep_events(originals: Sequence[UUID]) -> None:
    """Until the transaction ends nothing of these deliveries' events is deleted.

    Later statements see what was deleted before. Take it before any lock on a delivery.
    """
    with connection.cursor() as cursor:
        cursor.execute(KEEP, {"originals": list(originals)})


def one_at_a_time(organization_id: int | None) -> None:
    """Until the transaction ends, nobody else decides what of the organization (None: of all) to replay.

    Each statement sees what was committed before it, so what is decided after this sees all copies.
    Take it before any lock on a delivery.
    """
    with connection.cursor() as cursor:
        if organization_id is None:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        else:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [ADVISORY_LOCK])
            key = [ADVISORY_LOCK, organization_id % LARGEST_INT4]
            cursor.execute("SELECT pg_advisory_xact_lock(%s::int, %s::int)", key)
