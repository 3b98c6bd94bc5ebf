"""Custom events of the platform, one in a call or up to EVENTS_PER_BATCH_MAX."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from delivery import custom_events
from delivery.api import serializers as shapes
from delivery.api.lean import plain_event
from delivery.custom_events import CustomEvent
from delivery.database import DATABASE_AWAY
from delivery.models import Event
from subscriptions.api.base import OrganizationViewSet, valid
from subscriptions.api.idempotency import idempotent
from subscriptions.api.serializers import RefusesUnknownFields
from subscriptions.models import Scope
from webhooks_project.api_errors import FAULT, body, database_failed, validation_body
from webhooks_project.errors import DomainError


class EventBatchInput(RefusesUnknownFields):
    """Up to EVENTS_PER_BATCH_MAX events, each as in the single call; each is checked on its own."""

    events = serializers.ListField(
        child=serializers.JSONField(allow_null=True), allow_empty=False, min_length=1
    )

    def validate_events(self, events: list[Any]) -> list[Any]:
        if len(events) > settings.EVENTS_PER_BATCH_MAX:
            raise ValidationError(f"At most {settings.EVENTS_PER_BATCH_MAX} events.", code="too_many")
        return events


class EventBatchResult(serializers.Serializer[Any]):
    """`status` is that of the single call; with its answer where it was accepted, else `error`."""

    status = serializers.IntegerField()
    event_id = serializers.CharField(required=False)
    subscriptions = serializers.IntegerField(required=False)
    error = serializers.JSONField(required=False)


class EventBatchOutput(serializers.Serializer[Any]):
    """One result per event, in their order."""

    results = EventBatchResult(many=True)


class EventViewSet(OrganizationViewSet):
    """Custom events of the platform."""

    write_scope = Scope.RUNS_WRITE

    @extend_schema(request=shapes.EventInput, responses={202: shapes.EventAccepted})
    @idempotent
    def create(self, request: Request) -> Response:
        """Tell the organization's subscriptions; the same `event_id` again sends nothing."""
        values = valid(shapes.EventInput, request.data)
        event = custom_events.custom_event(
            organization=self.organization,
            event_type=values["event_type"],
            data=values["data"],
            event_id=values.get("event_id"),
        )
        return Response(shapes.EventAccepted(event).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=EventBatchInput, responses=EventBatchOutput)
    @idempotent
    def batch(self, request: Request) -> Response:
        """Many events in one call: each is accepted or refused on its own, answered in order."""
        said = valid(EventBatchInput, request.data)["events"]
        with _turn():
            return Response({"results": self._results(said)})

    def _results(self, said: list[Any]) -> list[dict[str, Any]]:
        shape = shapes.EventInput()
        results: list[dict[str, Any]] = [{} for _ in said]
        valid_ones: list[tuple[int, CustomEvent]] = []
        for place, one in enumerate(said):
            try:
                event = plain_event(self.organization, one) or CustomEvent(
                    organization=self.organization, **shape.run_validation(one)
                )
                valid_ones.append((place, event))
            except ValidationError as error:
                results[place] = {"status": 422, "error": validation_body(error.detail)}
        told = custom_events.custom_events([event for _, event in valid_ones])
        for (place, _), answer in zip(valid_ones, told, strict=True):
            results[place] = _result(answer)
        return results


# One core does all of a process's calls. Side by side, each of ten would be done when the last one is; in
# turn, the first is on its way to the receivers while the second is stored.
_one_at_a_time = Semaphore()
# Should one be held up by the database, the others are not.
TURN_SECONDS = 1.0


@contextmanager
def _turn() -> Iterator[None]:
    is_ours = _one_at_a_time.acquire(timeout=TURN_SECONDS)
    try:
        yield
    finally:
        if is_ours:
            _one_at_a_time.release()


def _result(answer: Event | Exception) -> dict[str, Any]:
    if isinstance(answer, DomainError):
        error = body(answer.detail, answer.error_code, answer.field)
        return {"status": answer.status, "error": error}
    if isinstance(answer, DATABASE_AWAY):
        away = database_failed(answer)
        return {"status": away.status_code, "error": away.data}
    if isinstance(answer, Exception):
        return {"status": 500, "error": body(FAULT, "internal_error")}
    return {"status": 202, "event_id": answer.event_id, "subscriptions": answer.recipients}
