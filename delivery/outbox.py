"""Puts an event, its bodies and its deliveries into the caller's transaction.

They commit together with the change of state that caused them, or not at all (promise 1). The
recipients are the subscriptions that match at this moment. Wake-ups follow after the commit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from delivery import formats
from delivery.callbacks import Callback
from delivery.hold import SUBSCRIPTION_DISABLED
from delivery.models import Delivery, Event, EventBody
from delivery.queue import WakeUp, publish_after_commit
from delivery.states import Lane, State
from subscriptions.models import Organization, Subscription
from subscriptions.selectors import matching, still_disabled

EVENT_ID_PREFIX = "evt_"
HELD: dict[str, Any] = {
    "state": State.HELD,
    "reason": SUBSCRIPTION_DISABLED,
    "held_at": Now(),
    "next_attempt_at": None,
    "nudged_at": None,
}


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


def append(new: NewEvent, *, callback: Callback | None = None) -> Event:
    """Record the event for everyone who asked. Must run inside the transaction of its cause."""
    assert connection.in_atomic_block, "an event commits together with its cause"
    return _store(new, _recipients(new), callback=callback)


def append_if_wanted(new: NewEvent) -> Event | None:
    """The same for an event that is worth a row only if someone asked for it."""
    assert connection.in_atomic_block, "an event commits together with its cause"
    subscriptions = _recipients(new)
    return _store(new, subscriptions) if subscriptions else None


def append_for(new: NewEvent, subscription: Subscription) -> tuple[Event, Delivery]:
    """Record an event for one subscription, whatever it subscribes to: one attempt, no retries."""
    assert connection.in_atomic_block, "an event commits together with its cause"
    event = _store(new, [subscription], once=True)
    return event, Delivery.objects.get(event=event)


def _recipients(new: NewEvent) -> list[Subscription]:
    """Who asked for it, at this moment."""
    return list(
        matching(organization_id=new.organization.pk, event_type=new.event_type, workflow_id=new.source)
    )


def _store(
    new: NewEvent,
    subscriptions: Sequence[Subscription],
    *,
    callback: Callback | None = None,
    once: bool = False,
) -> Event:
    event = Event(
        organization=new.organization,
        type=new.event_type,
        source=new.source,
        subject=new.subject,
        is_test=new.is_test,
        recipients=len(subscriptions) + (callback is not None),
        occurred_at=new.occurred_at,
    )
    event.event_id = new.event_id or f"{EVENT_ID_PREFIX}{event.id.hex}"
    event.save(force_insert=True)
    formats_needed = {s.payload_format for s in subscriptions}
    if callback is not None:
        formats_needed.add(callback.payload_format)
    bodies = _freeze(new, event, formats_needed)

    common: dict[str, Any] = {
        "organization": new.organization,
        "event": event,
        "webhook_id": event.event_id,
        "is_test": new.is_test,
        "once": once,
    }
    held = set() if once else _held(subscriptions)
    deliveries = [
        Delivery(
            subscription=s,
            url=s.url,
            body=bodies[s.payload_format],
            **common,
            **(HELD if s.pk in held else {}),
        )
        for s in subscriptions
    ]
    if callback is not None:
        deliveries.append(
            Delivery(
                callback=callback.as_row(), url=callback.url, body=bodies[callback.payload_format], **common
            )
        )
    Delivery.objects.bulk_create(deliveries)
    publish_after_commit([WakeUp(d.id, 1, Lane.FIRST) for d in deliveries if d.state != State.HELD])
    return event


def _held(subscriptions: Sequence[Subscription]) -> set[int]:
    """Those who are disabled: what they would get is kept until a person recovers it."""
    disabled = [s.pk for s in subscriptions if s.disabled_at is not None]
    return still_disabled(disabled) if disabled else set()


def _freeze(new: NewEvent, event: Event, formats_needed: set[str]) -> dict[str, EventBody]:
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
    bodies = [
        EventBody(event=event, payload_format=name, body=formats.render(name, message))
        for name in sorted(formats_needed)
    ]
    EventBody.objects.bulk_create(bodies)
    return {body.payload_format: body for body in bodies}


def known(organization: Organization, event_id: str) -> Event | None:
    """The event that this organization has already reported under this id."""
    return Event.objects.filter(organization=organization, event_id=event_id).first()
