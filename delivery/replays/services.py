"""What people may ask of replays: of one delivery, of chosen ones, of all that match a filter.

A replay is a new delivery of the same event that points at the old one. Of one delivery it is an
explicit wish; of many it leaves out what has succeeded since, unless that is asked for.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from delivery import selectors
from delivery.models import Delivery
from delivery.replays.chunks import insert_copies, keep_events, one_at_a_time
from delivery.replays.filter import Skip, judged
from delivery.replays.model import UNFINISHED, Replay, ReplayState
from delivery.replays.plan import NewReplay, TooManyToCount, check, matched
from delivery.states import ENDED
from subscriptions import audit
from subscriptions.models import Organization
from webhooks_project.errors import Conflict

_TEXTS = {
    Skip.PRUNED: "its body is no longer kept",
    Skip.STOPPED: "its subscription is deleted, disabled or not active",
    Skip.OPEN: "another delivery of its event to the same target is still open",
    Skip.REPEATED: "an earlier one of the same event and target was chosen, too",
}


def replay(*, organization: Organization, delivery_id: UUID, new_id: bool = False) -> Delivery:
    """Send an ended delivery's bytes again, whether or not they have arrived by now.

    The receiver sees the same `webhook-id`, or a new one on request. Raises NotFound, Conflict: also
    while another delivery of the event to the same target is open, so that asking twice sends once.
    """
    with transaction.atomic():
        one_at_a_time(organization.pk)
        keep_events([delivery_id])
        old = selectors.delivery_get(organization, delivery_id, lock=True)
        alone = Q(pk=old.pk)
        refusal = _refusal(judged(Delivery.objects.filter(alone), alone, again=True, began_at=None).get())
        if refusal:
            raise Conflict(refusal, code="not_replayable")
        (copy,) = insert_copies([old.pk], new_ids=new_id)
        audit.record(
            "delivery.replayed",
            old.pk,
            organization=organization,
            after={"replayed_as": str(copy), "new_id": new_id},
        )
        return selectors.delivery_get(organization, copy)


def replay_chosen(deliveries: Collection[Delivery]) -> dict[UUID, str | None]:
    """Replay those of them that can be, all at once; for each why it was not, or None.

    Chosen one by one, so what was delivered since is replayed, too; of several for the same event
    and target the first is.
    """
    with transaction.atomic():
        one_at_a_time(None)
        ids = [delivery.pk for delivery in deliveries]
        keep_events(ids)
        among = Q(pk__in=ids)
        rows = judged(Delivery.objects.filter(among), among, again=True, began_at=None).order_by("pk")
        refusals = {row.pk: _refusal(row) for row in rows}
        chosen = [row for row in rows if refusals[row.pk] is None]
        insert_copies([row.pk for row in chosen], new_ids=False)
        audit.record_all("delivery.replayed", [(row.pk, row.organization_id) for row in chosen])
    return refusals


def _refusal(row: Any) -> str | None:
    """Why a judged row cannot be replayed, though somebody wants just this one."""
    if row.state not in ENDED:
        return f"the delivery is {row.state}: it has not ended yet"
    return _TEXTS[Skip(row.skip)] if row.skip else None


def replay_create(new: NewReplay, *, count_seconds: float | None) -> tuple[Replay, bool]:
    """A replay that the workers begin with at once, and whether it is new: a known key gets its first one.

    What matches is counted for at most `count_seconds` (None: however long it takes). Raises
    InvalidInput, NotFound, and Conflict: a key that was used for something else, or too many at once.
    """
    check(new)
    try:
        with transaction.atomic():
            known = _known(new)
            if known is not None:
                return known, False
            _refuse_too_many(new)
            made = _insert(new)
            try:
                made.matched = matched(new, made.created_at, count_seconds=count_seconds)
            except TooManyToCount:
                # A bound all the same, that its owner can see.
                made.limit = new.limit or new.deliveries_max
            made.save(update_fields=["matched", "limit"])
            asked = ("replay_key", "filter", "include_delivered", "new_ids", "limit", "rate_per_second")
            facts = {name: getattr(made, name) for name in (*asked, "matched")}
            audit.record("replay.created", made.pk, organization=made.organization_id, after=facts)
    except IntegrityError:
        # Two calls with the same key at once: the other one was first.
        known = _known(new)
        if known is None:
            raise
        return known, False
    return made, True


def _insert(new: NewReplay) -> Replay:
    made = Replay.objects.create(
        organization=new.organization,
        replay_key=new.replay_key,
        filter=new.filter.as_json(),
        include_delivered=new.again,
        new_ids=new.new_ids,
        limit=new.limit,
        rate_per_second=new.rate_per_second or settings.REPLAY_RATE_DEFAULT_PER_SECOND,
        cursor=new.filter.starts_after,
    )
    made.refresh_from_db()
    return made


def _known(new: NewReplay) -> Replay | None:
    if new.replay_key is None:
        return None
    known = Replay.objects.filter(organization=new.organization, replay_key=new.replay_key).first()
    if known is not None and not new.is_same_as(known):
        raise Conflict(
            f"replay_key {new.replay_key!r} was used for another replay",
            field="replay_key",
            code="replay_key_taken",
        )
    return known


def _refuse_too_many(new: NewReplay) -> None:
    """Two calls at once may both pass: the bound keeps one customer from using up the workers' time."""
    if new.organization is None:
        return
    most = settings.REPLAYS_UNFINISHED_PER_ORGANIZATION_MAX
    unfinished = Replay.objects.filter(organization=new.organization, state__in=sorted(UNFINISHED))
    if unfinished.count() >= most:
        raise Conflict(f"{most} replays are unfinished already; cancel one", code="too_many_replays")


def replay_pause(replay: Replay) -> Replay:
    return _moved(replay, "replay.paused", ReplayState.PAUSED, of=(ReplayState.RUNNING,))


def replay_resume(replay: Replay) -> Replay:
    return _moved(
        replay, "replay.resumed", ReplayState.RUNNING, of=(ReplayState.PAUSED,), next_chunk_at=Now()
    )


def replay_cancel(replay: Replay) -> Replay:
    """Nothing more is replayed; the copies that were made go on."""
    return _moved(replay, "replay.cancelled", ReplayState.CANCELLED, of=tuple(UNFINISHED), finished_at=Now())


@transaction.atomic
def _moved(
    replay: Replay, action: str, to: ReplayState, *, of: tuple[ReplayState, ...], **values: Any
) -> Replay:
    """Compare and set; asking for the present state changes nothing. Raises Conflict after an end."""
    rows = Replay.objects.filter(pk=replay.pk)
    moved = rows.filter(state__in=of).update(state=to, updated_at=Now(), **values)
    before = {"state": replay.state}
    replay.refresh_from_db()
    if moved:
        owner = replay.organization_id
        audit.record(action, replay.pk, organization=owner, before=before, after={"state": to})
    elif replay.state != to:
        raise Conflict(f"the replay is {replay.state} already", code="replay_ended")
    return replay
