"""A platform's own events, one by one or by the hundred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from delivery import outbox
from delivery.models import Event
from subscriptions.models import Organization
from webhooks_project.errors import Conflict, DomainError


def custom_event(
    *, organization: Organization, event_type: str, data: Mapping[str, Any], event_id: str | None
) -> Event:
    """Report a platform's own event. The same event_id again answers with the first and sends nothing.

    Raises Conflict if that id was used for an event of another type.
    """
    new = outbox.NewEvent(
        organization=organization,
        event_type=event_type,
        occurred_at=timezone.now(),
        data=data,
        event_id=event_id,
    )
    try:
        with transaction.atomic():
            first = outbox.known(organization, event_id) if event_id else None
            event = first or outbox.append(new)
    except IntegrityError:
        # Two calls with the same id at once: the other one was first.
        first = outbox.known(organization, event_id) if event_id else None
        if first is None:
            raise
        event = first
    _refuse_another_type(event, event_type)
    return event


@dataclass(frozen=True, kw_only=True)
class CustomEvent:
    """What a platform reports of its own."""

    event_type: str
    data: Mapping[str, Any]
    event_id: str | None = None


def custom_events(
    *, organization: Organization, reported: Sequence[CustomEvent]
) -> list[Event | DomainError]:
    """The same for many in one transaction; in their order, each the event or why it was refused."""
    try:
        with transaction.atomic():
            return _report_together(organization, reported)
    except IntegrityError:
        # Another call reports one of them at this very moment.
        return [_report_alone(organization, one) for one in reported]


def _report_together(
    organization: Organization, reported: Sequence[CustomEvent]
) -> list[Event | DomainError]:
    named = outbox.known_among(organization, [one.event_id for one in reported if one.event_id])
    first = {one.event_id: one for one in reversed(reported) if one.event_id}
    fresh = [
        one
        for one in reported
        if not one.event_id or (one.event_id not in named and first[one.event_id] is one)
    ]
    now = timezone.now()
    made = outbox.append_many(
        [
            outbox.NewEvent(
                organization=organization,
                event_type=one.event_type,
                occurred_at=now,
                data=one.data,
                event_id=one.event_id,
            )
            for one in fresh
        ]
    )
    events = {id(one): event for one, event in zip(fresh, made, strict=True)}
    named |= {event.event_id: event for event in made}
    return [_told(events.get(id(one)) or named[one.event_id or ""], one) for one in reported]


def _report_alone(organization: Organization, one: CustomEvent) -> Event | DomainError:
    try:
        return custom_event(
            organization=organization, event_type=one.event_type, data=one.data, event_id=one.event_id
        )
    except DomainError as error:
        return error


def _told(event: Event, one: CustomEvent) -> Event | DomainError:
    try:
        _refuse_another_type(event, one.event_type)
    except Conflict as error:
        return error
    return event


def _refuse_another_type(event: Event, event_type: str) -> None:
    if event.type != event_type:
        raise Conflict(
            f"event_id {event.event_id!r} was used for a {event.type} event",
            field="event_id",
            code="event_id_taken",
        )
