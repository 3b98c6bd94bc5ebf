"""JSON Schemas of what receivers get, for the OpenAPI document: envelopes, data of our own events. Pure.

Receivers must bear fields that come later, so nothing here forbids more of them; the tests do.
"""

from collections.abc import Callable, Mapping
from typing import Any

from subscriptions.event_types import (
    CATALOGUE,
    SUBSCRIPTION_DISABLED,
    SUBSCRIPTION_FAILING,
    DisabledReason,
    PayloadFormat,
)

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
# Whatever a caller or executor gave: any JSON value.
ANYTHING: Schema = {}
CUSTOM_TYPE: Schema = {
    "type": "string",
    "pattern": r"^(?!workflow\.|subscription\.)[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$",
    "description": "A type of the platform's own, as it was given to `POST /v1/events`.",
}


def record(description: str, properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object that has all of these, but for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": required,
    }


def elan_event(event_type: Schema, data: Schema) -> Schema:
    return record(
        "The envelope of ELAN AI Bridge, a subscription's format unless it names another.",
        {
            "event_id": {
                **TEXT,
                "description": "That of the header `webhook-id`, but for a replay's new id.",
            },
            "event_type": event_type,
            "workflow_id": {**TEXT_OR_NULL, "description": "Null for events that belong to no workflow."},
            "organization_id": TEXT,
            "timestamp": {**TIME, "description": "When it happened, in whole seconds of UTC."},
            "data": data,
        },
    )


def standard(event_type: Schema, data: Schema) -> Schema:
    return record(
        "The body that Standard Webhooks recommends.",
        {
            "type": event_type,
            "timestamp": {**TIME, "description": "When it happened, with six fractional digits, in UTC."},
            "data": data,
        },
    )


#: formats that carry every event
ENVELOPES: Mapping[str, Callable[[Schema, Schema], Schema]] = {
    PayloadFormat.ELAN_EVENT: elan_event,
    PayloadFormat.STANDARD: standard,
}

_SUBSCRIPTION: Mapping[str, Schema] = {
    "subscription_id": {"type": "integer"},
    "name": TEXT,
    "url": {**TEXT, "description": "Values of its query are masked."},
    "failing_since": TIME_OR_NULL,
}
# What else each of our own events tells.
_MORE: Mapping[str, Mapping[str, Schema]] = {
    SUBSCRIPTION_DISABLED: {"reason": {"enum": [str(reason) for reason in DisabledReason]}},
    SUBSCRIPTION_FAILING: {
        "last_status_code": {"type": ["integer", "null"]},
        "last_error_class": {**TEXT, "description": "Why, such as `http_status` or `timeout`."},
    },
}
_SUBSCRIPTION_EXAMPLE: Mapping[str, Any] = {
    "subscription_id": 17,
    "name": "Orders",
    "url": "https://hooks.example.com/in?token=***",
    "failing_since": "2026-01-28T07:12:41.503812+00:00",
}
_MORE_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    SUBSCRIPTION_DISABLED: {"reason": str(DisabledReason.FAILING)},
    SUBSCRIPTION_FAILING: {"last_status_code": 503, "last_error_class": "http_status"},
}

#: what the service tells of itself
OPERATIONAL = tuple(name for name in CATALOGUE if name.startswith("subscription."))


def operational_data(event_type: str) -> Schema:
    return record("The subscription that this is about.", {**_SUBSCRIPTION, **_MORE.get(event_type, {})})


def operational_example(event_type: str) -> Mapping[str, Any]:
    return {**_SUBSCRIPTION_EXAMPLE, **_MORE_EXAMPLES.get(event_type, {})}
