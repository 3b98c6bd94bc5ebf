"""Puts an event, its bodies and its deliveries into the caller's transaction.

They commit together with the change of state that caused them, or not at all (promise 1). The
recipients are the subscriptions that match at this moment. Wake-ups follow after the commit. Of an
event with many recipients only who they are is written; workers make the deliveries (`fan_out/`).
"""

import json
from collections.abc import Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from delivery import formats
from delivery.callbacks import Callback
from delivery.fan_out import chunks as fan_out
from delivery.models import Delivery, Event
from delivery.outbox_rows import Bodies, Row, Story, insert
from delivery.queue import WakeUp, publish_after_commit
from delivery.states import Lane
from subscriptions.ids import uuid7
from subscriptions.models import Organization, Subscription
from subscriptions.selectors import NOBODY, Recipient, recipient, recipients, still_disabled
from webhooks_project.arrays import array
from webhooks_project.statements import Statement

EVENT_ID_PREFIX = "evt_"

# What tells an event from all others: the organization, and the id that it has there.
EventName = tuple[int, str]


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """What happened. `detail` is for the payload formats of the layer above."""

    organization: Organization
    event_type: str
    occurred_at: datetime
    data: Mapping[str, Any]
    source: str = ""
    subject: str = ""
    detail: Any = None
    event_id: str | None = None
    is_test: bool = False
    #: the subscription that it is about: not told, whatever it asked for
    not_to: int = NOBODY


def append(new: NewEvent, *, callback: Callback | None = None) -> Event:
    """Record the event for everyone who asked. Must run inside the transaction of its cause."""
    assert connection.in_atomic_block, "an event commits together with its cause"
    id_ = uuid7()
    return _store(new, id_, _audience_of(new, id_), callback=callback)


def append_all(news: Sequence[NewEvent]) -> list[Event]:
    """The same for events that have no cause but themselves; one statement stores them all.

    It is a transaction of its own, which saves two round trips, unless something has to commit with it: who
    is told later, or the lock that orders what is held against a recovery.
    """
    ids = [uuid7() for _ in news]
    alike: dict[Asked, list[UUID]] = {}
    for id_, new in zip(ids, news, strict=True):
        alike.setdefault(_asked(new), []).append(id_)
    found = {asked: _found(asked) for asked in alike}
    is_plain = not connection.in_atomic_block and all(map(_is_plain, found.values()))
    with nullcontext() if is_plain else transaction.atomic():
        audiences = {asked: _audience(asked, found[asked], alike[asked]) for asked in alike}
        stories = [_story(new, id_, audiences[_asked(new)]) for id_, new in zip(ids, news, strict=True)]
        _keep(stories)
    return [story.event for story in stories]


def append_for(new: NewEvent, subscription: Subscription) -> tuple[Event, Delivery]:
    """Record an event for one subscription, whatever it subscribes to: one attempt, no retries."""
    assert connection.in_atomic_block, "an event commits together with its cause"
    event = _store(new, uuid7(), Audience([recipient(subscription)], {}), once=True)
    return event, Delivery.objects.get(event=event)


class Audience(NamedTuple):
    """Who asked for an event."""

    at_once: Sequence[Recipient]
    #: how many there are by payload format, if they are too many for that
    later: Mapping[str, int]
    #: those at once who are disabled: what they would get is kept until a person recovers it
    held: Set[int] = frozenset()

    @property
    def size(self) -> int:
        return len(self.at_once) + sum(self.later.values())


class Asked(NamedTuple):
    """What decides who is told of an event."""

    organization_id: int
    event_type: str
    workflow_id: str
    not_to: int


def _asked(new: NewEvent) -> Asked:
    return Asked(new.organization.pk, new.event_type, new.source, new.not_to)


def _found(asked: Asked) -> list[Recipient]:
    """Who asked for it at this moment; one more than are told at once, if there are more."""
    return recipients(**asked._asdict(), most=settings.FAN_OUT_AT_ONCE_MAX + 1)


def _is_plain(found: Sequence[Recipient]) -> bool:
    return len(found) <= settings.FAN_OUT_AT_ONCE_MAX and all(r.disabled_at is None for r in found)


def _audience(asked: Asked, found: Sequence[Recipient], ids: Sequence[UUID]) -> Audience:
    """Of the events with these ids. Too many are noted down for the workers."""
    if len(found) > settings.FAN_OUT_AT_ONCE_MAX:
        return Audience([], fan_out.keep(**asked._asdict(), event_ids=ids))
    disabled = [r.id for r in found if r.disabled_at is not None]
    return Audience(found, {}, still_disabled(disabled) if disabled else frozenset())


def _audience_of(new: NewEvent, id_: UUID) -> Audience:
    asked = _asked(new)
    return _audience(asked, _found(asked), [id_])


class Outbox:
    """Events of one transaction: each with its bodies and recipients as of when it is appended, all written
    together by `write`, in one statement.
    """

    def __init__(self) -> None:
        assert connection.in_atomic_block, "an event commits together with its cause"
        self._stories: list[Story] = []
        self._audiences: dict[Asked, Audience] = {}

    def append(
        self, new: NewEvent, *, callback: Callback | None = None, only_if_wanted: bool = False
    ) -> None:
        """`only_if_wanted`: it is worth a row only if someone asked for it."""
        id_ = uuid7()
        audience = self._audience(new, id_)
        if audience.size or not only_if_wanted:
            self._stories.append(_story(new, id_, audience, callback=callback))

    def write(self) -> None:
        if self._stories:
            _keep(self._stories)

    def _audience(self, new: NewEvent, id_: UUID) -> Audience:
        """Asked for once for all events alike, but for those whose recipients are noted down one by one."""
        asked = _asked(new)
        known = self._audiences.get(asked)
        if known is None or known.later:
            known = self._audiences[asked] = _audience(asked, _found(asked), [id_])
        return known


def _store(
    new: NewEvent,
    id_: UUID,
    audience: Audience,
    *,
    callback: Callback | None = None,
    once: bool = False,
) -> Event:
    story = _story(new, id_, audience, callback=callback, once=once)
    _keep([story])
    return story.event


def _story(
    new: NewEvent, id_: UUID, audience: Audience, *, callback: Callback | None = None, once: bool = False
) -> Story:
    wanted_by = audience.at_once
    event = Event(
        id=id_,
        organization=new.organization,
        type=new.event_type,
        source=new.source,
        subject=new.subject,
        is_test=new.is_test,
        recipients=audience.size + (callback is not None),
        occurred_at=new.occurred_at,
    )
    event.event_id = new.event_id or f"{EVENT_ID_PREFIX}{event.id.hex}"
    formats_needed = {r.payload_format for r in wanted_by} | set(audience.later)
    if callback is not None:
        formats_needed.add(callback.payload_format)
    bodies = _freeze(new, event, formats_needed)
    rows = [
        Row(uuid7(), bodies[r.payload_format][0], r.url, r.id, None, r.id in audience.held) for r in wanted_by
    ]
    if callback is not None:
        body_id = bodies[callback.payload_format][0]
        rows.append(Row(uuid7(), body_id, callback.url, None, json.dumps(callback.as_row()), False))
    if settings.TRACING:
        from delivery import spans

        spans.event_stored(event)
    return Story(event, bodies, rows, once)


def _keep(stories: Sequence[Story]) -> None:
    """Write them, and wake the workers after the commit."""
    if stories:
        insert(stories)
    rows = [row for story in stories for row in story.rows]
    publish_after_commit([WakeUp(row.id, 1, Lane.FIRST) for row in rows if not row.held])


def _freeze(new: NewEvent, event: Event, formats_needed: set[str]) -> Bodies:
    """Each needed format, rendered once: every attempt and replay sends these bytes (promise 3)."""
    message = formats.Message(
        event_id=event.event_id,
        event_type=new.event_type,
        organization_id=new.organization.public_id,
        source=new.source,
        subject=new.subject,
        occurred_at=new.occurred_at,
        data=new.data,
        detail=new.detail,
    )
    return {name: (uuid7(), formats.render(name, message)) for name in sorted(formats_needed)}


KNOWN = Statement(
    "runhooks_known_events",
    """
SELECT e.id, asked.*, e.type, e.recipients
FROM unnest(%(organizations)s::bigint[], %(event_ids)s::text[]) AS asked (organization_id, event_id)
-- One by one from the index, whatever the statistics say.
CROSS JOIN LATERAL (
    SELECT id, type, recipients FROM delivery_event
    WHERE organization_id = asked.organization_id AND event_id = asked.event_id LIMIT 1) AS e
""",
)


def known_among(names: Sequence[EventName]) -> dict[EventName, Event]:
    """Those that have been reported before, with what the answer to a call tells of them."""
    if not names:
        return {}
    organizations, event_ids = zip(*names, strict=True)
    asked = {"organizations": array(organizations), "event_ids": array(event_ids)}
    found = [Event(**row) for row in KNOWN.run(asked)]
    return {(event.organization_id, event.event_id): event for event in found}
