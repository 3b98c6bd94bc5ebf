"""Shapes of deliveries, their attempts, the log of seed 001, and custom events."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from delivery.models import Attempt, Delivery, Event
from delivery.states import State
from subscriptions.api.fields import (
    JSONObjectField,
    ShownUrlField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
)
from subscriptions.api.serializers import RefusesUnknownFields, names
from subscriptions.api.target_fields import CustomEventTypeField
from subscriptions.event_types import NAME_MAX_CHARACTERS, is_custom_name

# `webhook-id` is joined with full stops when it is signed, so an id must not hold one.
EVENT_ID = r"\A[A-Za-z0-9_-]{1,64}\Z"


class LogOutput(serializers.ModelSerializer[Attempt]):
    """One attempt, as seed 001's delivery logs show it."""

    attempt = serializers.IntegerField(source="number")
    url = ShownUrlField()
    status = serializers.SerializerMethodField()
    error_message = serializers.SerializerMethodField()
    next_retry_at = serializers.DateTimeField(allow_null=True)

    class Meta:
        model = Attempt
        fields = (
            "id subscription_id event_id event_type url attempt status status_code response_body "
            "error_message duration_ms is_test created_at next_retry_at"
        ).split()

    def get_status(self, attempt: Attempt) -> str:
        return "success" if attempt.success else "failed"

    def get_error_message(self, attempt: Attempt) -> str | None:
        return attempt.error_message or None


class PhasesOutput(serializers.Serializer[Any]):
    """Milliseconds of an attempt's phases, one after the other; null: it did not come by it."""

    dns = serializers.FloatField(allow_null=True)
    connect = serializers.FloatField(allow_null=True)
    tls = serializers.FloatField(allow_null=True)
    wait = serializers.FloatField(allow_null=True, help_text="From the request to the head of its answer.")
    read = serializers.FloatField(allow_null=True)


class AttemptOutput(LogOutput):
    """The same with everything that is on record."""

    delivery_id = serializers.UUIDField()
    phases_ms = serializers.SerializerMethodField()

    class Meta(LogOutput.Meta):
        fields = [
            *LogOutput.Meta.fields,
            *"delivery_id error_class phases_ms request_headers response_headers late".split(),
        ]

    @extend_schema_field(PhasesOutput(allow_null=True))
    def get_phases_ms(self, attempt: Attempt) -> dict[str, float | None] | None:
        """Null where nothing was sent, and of a refused target."""
        measured = attempt.measured
        if measured is None:
            return None
        return {name: spent and spent / 1000 for name, spent in measured._asdict().items()}


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    """One event for one target."""

    event_id = serializers.CharField(source="event.event_id")
    event_type = serializers.CharField(source="event.type")
    url = ShownUrlField()
    body_kept = serializers.BooleanField(
        read_only=True, help_text="False: what was sent has been deleted by its age; no replay is possible."
    )

    class Meta:
        model = Delivery
        fields = (
            "id event_id event_type webhook_id subscription_id url state reason attempts "
            "last_status_code is_test replay_of lane created_at next_attempt_at finished_at body_kept"
        ).split()


class DeliveryStory(DeliveryOutput):
    """A delivery with its attempts, oldest first."""

    attempt_log = AttemptOutput(many=True)

    class Meta(DeliveryOutput.Meta):
        fields = [*DeliveryOutput.Meta.fields, "attempt_log"]


class EventStory(serializers.ModelSerializer[Event]):
    """An event with its deliveries and their attempts."""

    deliveries = DeliveryStory(many=True)

    class Meta:
        model = Event
        fields = ["event_id", "type", "occurred_at", "created_at", "recipients", "is_test", "deliveries"]


class DeliveryFilter(serializers.Serializer[Any]):
    """Filters of the list of deliveries."""

    state = StrictChoiceField(choices=names(State), required=False)
    subscription_id = serializers.IntegerField(required=False)
    event_type = StrictCharField(required=False, max_length=NAME_MAX_CHARACTERS)
    event_id = StrictCharField(required=False, max_length=64)


class LogFilter(serializers.Serializer[Any]):
    """The filter of seed 001's logs."""

    event_type = StrictCharField(required=False, max_length=NAME_MAX_CHARACTERS)


class ReplayInput(RefusesUnknownFields):
    """`new_id`: let the receiver take it for a new event."""

    new_id = StrictBooleanField(required=False)


class TestOutput(serializers.Serializer[Any]):
    """What became of a test event."""

    event_id = serializers.CharField()
    delivery_id = serializers.UUIDField()
    success = serializers.BooleanField(allow_null=True)
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)


class EventInput(RefusesUnknownFields):
    """A custom event of the platform."""

    event_type = CustomEventTypeField()
    data = JSONObjectField()  # type: ignore[assignment]  # a declared field, not the property
    event_id = StrictCharField(
        required=False,
        validators=[RegexValidator(EVENT_ID, "1 to 64 letters, digits, _ or -.", code="bad_id")],
    )

    def validate_event_type(self, name: str) -> str:
        if not is_custom_name(name):
            raise serializers.ValidationError(
                "A custom type is dotted letters, digits and _ outside 'workflow.' and 'subscription.'.",
                code="unknown_event_type",
            )
        return name


class EventAccepted(serializers.Serializer[Any]):
    """The event's id and how many deliveries it made."""

    event_id = serializers.CharField()
    subscriptions = serializers.IntegerField(source="recipients")


class RecoverInput(RefusesUnknownFields):
    """From when on: what was held earlier stays held."""

    since = serializers.DateTimeField()


class RecoverOutput(serializers.Serializer[Any]):
    """How many deliveries go out now."""

    recovered = serializers.IntegerField()
