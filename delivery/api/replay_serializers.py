"""Shapes of replays."""

from dataclasses import fields
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from delivery.models import Replay
from delivery.replays.filter import ANSWERS, ReplayFilter
from delivery.replays.model import REPLAY_KEY_MAX_CHARACTERS, ReplayState
from delivery.replays.plan import RATE_MIN_PER_SECOND, NewReplay
from delivery.states import ENDED
from subscriptions.api.fields import (
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictFloatField,
    StrictIntegerField,
    StrictUUIDField,
)
from subscriptions.api.serializers import RefusesUnknownFields, names
from subscriptions.event_types import NAME_MAX_CHARACTERS
from subscriptions.models import Organization
from webhooks_project.errors import InvalidInput

FILTERS = [field.name for field in fields(ReplayFilter)]
IDS_MAX = 1_000
LARGEST_EXACT = 2**53 - 1


class FilterInput(RefusesUnknownFields):
    """Which ended deliveries: all that is given must match."""

    states = serializers.ListField(
        child=StrictChoiceField(choices=sorted(ENDED)), required=False, allow_empty=False, min_length=1
    )
    subscription_id = StrictIntegerField(required=False, min_value=1, max_value=LARGEST_EXACT)
    event_types = serializers.ListField(
        child=StrictCharField(max_length=NAME_MAX_CHARACTERS),
        required=False,
        allow_empty=False,
        min_length=1,
        max_length=100,
    )
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    answers = serializers.ListField(
        child=StrictChoiceField(choices=ANSWERS), required=False, allow_empty=False, min_length=1
    )
    run_id = StrictCharField(required=False, max_length=128)
    delivery_ids = serializers.ListField(
        child=StrictUUIDField(), required=False, allow_empty=False, min_length=1, max_length=IDS_MAX
    )


@extend_schema_field(
    {"type": "number", "minimum": RATE_MIN_PER_SECOND, "maximum": settings.REPLAY_RATE_MAX_PER_SECOND}
)
class RateField(StrictFloatField):
    """New deliveries per second."""


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": settings.REPLAY_DELIVERIES_MAX})
class LimitField(StrictIntegerField):
    """At most so many deliveries."""


class ReplaysInput(FilterInput):
    """The filter, and how to replay what it finds. `dry_run`: only count."""

    openapi_extra: ClassVar[dict[str, Any]] = {
        **FilterInput.openapi_extra,
        "anyOf": [{"required": [name]} for name in FILTERS],
    }

    include_delivered = StrictBooleanField(required=False)
    new_ids = StrictBooleanField(required=False)
    limit = LimitField(required=False, min_value=1, max_value=LARGEST_EXACT)
    rate_per_second = RateField(required=False)
    replay_key = StrictCharField(required=False, max_length=REPLAY_KEY_MAX_CHARACTERS)
    dry_run = StrictBooleanField(required=False)


def new_replay(organization: Organization, values: dict[str, Any]) -> NewReplay:
    """What the validated values ask for. Raises InvalidInput."""
    filters = {name: values[name] for name in FILTERS if name in values}
    if not filters:
        raise InvalidInput(f"at least one filter is needed: {', '.join(FILTERS)}", code="no_filter")
    lists = {name: tuple(value) for name, value in filters.items() if isinstance(value, list)}
    how = {name: values[name] for name in values if name not in filters and name != "dry_run"}
    return NewReplay(
        organization=organization,
        filter=ReplayFilter(**(filters | lists)),
        deliveries_max=settings.REPLAY_DELIVERIES_MAX,
        **how,
    )


class ReplayStateFilter(serializers.Serializer[Any]):
    """The filter of the list of replays."""

    state = StrictChoiceField(choices=names(ReplayState), required=False)


class ReplayOutput(serializers.ModelSerializer[Replay]):
    """A replay and how far it has come; `matched` is null where counting took too long."""

    filter = FilterInput(read_only=True)
    state = StrictChoiceField(choices=names(ReplayState))
    skipped = serializers.DictField(child=serializers.IntegerField())

    class Meta:
        model = Replay
        fields = (
            "id state replay_key filter include_delivered new_ids limit rate_per_second matched examined "
            "replayed skipped created_at updated_at finished_at"
        ).split()

    def to_representation(self, replay: Replay) -> dict[str, Any]:
        # As it was stored: only what was given.
        return {**super().to_representation(replay), "filter": replay.filter}


class ForecastOutput(serializers.Serializer[Any]):
    """What a replay would do now: how many by the state they ended in, and how many not and why."""

    matched = serializers.IntegerField()
    replayable = serializers.IntegerField()
    by_state = serializers.DictField(child=serializers.IntegerField())
    skipped = serializers.DictField(child=serializers.IntegerField())
