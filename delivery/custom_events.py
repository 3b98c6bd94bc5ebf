"""A platform's own events: one, a call's batch, or those of calls that came at the same time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from delivery import outbox
from delivery.database import is_away, once_more_after_deadlock, was_deadlock
from delivery.models import Event
from subscriptions.models import Organization
from webhooks_project.errors import Conflict, DomainError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CustomEvent:
    """What a platform reports of its own."""

    organization: Organization
    event_type: str
    data: Mapping[str, Any]
    event_id: str | None = None

    @property
    def name(self) -> outbox.EventName | None:
        """What tells it from all others, if the platform gave it an id."""
        return (self.organization.pk, self.event_id) if self.event_id else None


def custom_event(
    *, organization: Organization, event_type: str, data: Mapping[str, Any], event_id: str | None
) -> Event:
    """Report a platform's own event. The same event_id again answers with the first and sends nothing.

    Raises Conflict if that id was used for an event of another type.
    """
    return _report(
        CustomEvent(organization=organization, event_type=event_type, data=data, event_id=event_id)
    )


def custom_events(reported: Sequence[CustomEvent]) -> list[Event | Exception]:
    """The same for many, all stored at once; in their order, each the event or why it was not stored.

    What it raises has left nothing of any of them, unless the database went away meanwhile.
    """
    try:
        return _report_together(reported)
    except IntegrityError:
        # Another call reports one of them at this very moment, or an organization is gone.
        return _report_one_by_one(reported)
    except OperationalError as error:
        if not was_deadlock(error):
            raise
        return _report_one_by_one(reported)


def _report(one: CustomEvent) -> Event:
    try:
        event = once_more_after_deadlock(lambda: _first_or_new(one))
    except IntegrityError:
        # Two calls with the same id at once: the other one was first.
        first = _first(one)
        if first is None:
            raise
        event = first
    _refuse_another_type(event, one.event_type)
    return event


def _first_or_new(one: CustomEvent) -> Event:
    with transaction.atomic():
        return _first(one) or outbox.append(_new(one))


def _report_together(reported: Sequence[CustomEvent]) -> list[Event | Exception]:
    named = outbox.known_among([one.name for one in reported if one.name])
    first = {one.name: one for one in reversed(reported)}
    fresh = [one for one in reported if not one.name or (one.name not in named and first[one.name] is one)]
    made = outbox.append_all([_new(one) for one in fresh])
    events = {id(one): event for one, event in zip(fresh, made, strict=True)}
    named |= {one.name: event for one, event in zip(fresh, made, strict=True) if one.name}
    return [_told(events.get(id(one)) or named[one.name or (0, "")], one) for one in reported]


def _report_one_by_one(reported: Sequence[CustomEvent]) -> list[Event | Exception]:
    """Some may be stored when one fails, so each has an answer of its own, whatever happens."""
    answers: list[Event | Exception] = []
    away: Exception | None = None
    for one in reported:
        answer = away or _report_alone(one)
        if isinstance(answer, Exception) and is_away(answer):
            away = answer
        answers.append(answer)
    return answers


def _report_alone(one: CustomEvent) -> Event | Exception:
    try:
        return _report(one)
    except DomainError as error:
        return error
    except Exception as error:
        logger.exception("an event of organization %s could not be stored", one.organization.public_id)
        return error


def _new(one: CustomEvent) -> outbox.NewEvent:
    return outbox.NewEvent(
        organization=one.organization,
        event_type=one.event_type,
        occurred_at=timezone.now(),
        data=one.data,
        event_id=one.event_id,
    )


def _first(one: CustomEvent) -> Event | None:
    return outbox.known_among([one.name]).get(one.name) if one.name else None


def _told(event: Event, one: CustomEvent) -> Event | Exception:
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
