"""Fields of what is sent where and when, which subscriptions and workflows share.

`subscriptions/rules.py` judges them; here the OpenAPI document is told what can be said of it there.
"""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from subscriptions.api.fields import StrictCharField, StrictChoiceField, StrictFloatField
from subscriptions.event_types import CALLBACK_SCHEMES, CATALOGUE, EVERY_EVENT, SignatureScheme
from subscriptions.event_types import NAME_MAX_CHARACTERS as EVENT_TYPE_MAX_CHARACTERS
from subscriptions.models import URL_MAX_CHARACTERS
from subscriptions.rules import (
    RATE_LIMIT_MIN_PER_SECOND,
    RETRY_STEP_MAX_SECONDS,
    RETRY_STEPS_MAX,
    TIMEOUT_MIN_SECONDS,
)

Schema = dict[str, Any]

URL: Schema = {
    "type": "string",
    "format": "uri",
    "pattern": "^https?://",
    "maxLength": URL_MAX_CHARACTERS,
    "description": "https, to a public address, unless the operator of the service allows more.",
}
CUSTOM_EVENT_TYPE: Schema = {
    "type": "string",
    "pattern": r"^(?!(workflow|subscription)(\.|$))[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$",
    "maxLength": EVENT_TYPE_MAX_CHARACTERS,
}


def schemes_schema(schemes: list[str]) -> Schema:
    """Some of these, each once, or `none` alone."""
    signing = [scheme for scheme in schemes if scheme != SignatureScheme.NONE]
    items = {"type": "string", "enum": signing}
    return {
        "anyOf": [
            {"type": "array", "items": items, "minItems": 1, "uniqueItems": True},
            {"type": "array", "items": {"const": str(SignatureScheme.NONE)}, "minItems": 1, "maxItems": 1},
        ]
    }


@extend_schema_field(URL)
class TargetURLField(StrictCharField):
    """Where webhooks go."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=URL_MAX_CHARACTERS, **kwargs)


@extend_schema_field({"anyOf": [URL, {"const": ""}]})
class OptionalTargetURLField(TargetURLField):
    """The same, or nothing: left out, null or empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, allow_null=True, **kwargs)


@extend_schema_field({"anyOf": [{"enum": [EVERY_EVENT, *CATALOGUE]}, CUSTOM_EVENT_TYPE]})
class EventTypeField(StrictCharField):
    """One of the catalogue, `*` for all of them, or a platform's own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=EVENT_TYPE_MAX_CHARACTERS, **kwargs)


@extend_schema_field(CUSTOM_EVENT_TYPE)
class CustomEventTypeField(EventTypeField):
    """A platform's own."""


@extend_schema_field(
    {
        "type": "object",
        "propertyNames": {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}$"},
        "additionalProperties": {
            "type": "string",
            "pattern": "^[\\x20-\\x7e]*$",
            "maxLength": settings.SUBSCRIPTION_HEADER_VALUE_MAX_CHARACTERS,
        },
        "maxProperties": settings.SUBSCRIPTION_HEADERS_MAX,
        "description": "Names to values. Headers that the service sets itself are refused.",
    }
)
class HeadersField(serializers.DictField):
    """Custom headers; written, never read back."""

    child = StrictCharField(allow_blank=True, trim_whitespace=False)


class AnySchemesField(serializers.ListField):
    """Signature schemes."""

    child = StrictChoiceField(choices=[scheme.value for scheme in SignatureScheme])

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_empty=False, **kwargs)


@extend_schema_field(schemes_schema([scheme.value for scheme in SignatureScheme]))
class CallbackSchemesField(AnySchemesField):
    """Those of a callback."""


@extend_schema_field(
    schemes_schema([scheme.value for scheme in SignatureScheme if scheme not in CALLBACK_SCHEMES])
)
class SubscriptionSchemesField(AnySchemesField):
    """Those of a subscription."""


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "number", "minimum": 0, "maximum": RETRY_STEP_MAX_SECONDS},
        "maxItems": RETRY_STEPS_MAX,
    }
)
class RetryScheduleField(serializers.ListField):
    """Seconds between attempts."""

    child = StrictFloatField()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)


@extend_schema_field(
    {
        "type": "number",
        "minimum": TIMEOUT_MIN_SECONDS,
        "maximum": settings.DELIVERY_TIMEOUT_MAX_SECONDS,
    }
)
class TimeoutField(StrictFloatField):
    """The total deadline of one attempt, in seconds."""


@extend_schema_field(
    {
        "type": "number",
        "minimum": RATE_LIMIT_MIN_PER_SECOND,
        "maximum": settings.SUBSCRIPTION_RATE_LIMIT_MAX_PER_SECOND,
    }
)
class RateLimitField(StrictFloatField):
    """The most requests per second, evenly spaced, over all workers; null: no limit."""
