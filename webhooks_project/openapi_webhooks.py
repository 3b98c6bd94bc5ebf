"""The section `webhooks` of the OpenAPI document: what receivers get, per event type and payload format."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from delivery.webhook_schemas import CUSTOM_TYPE, ENVELOPES, OPERATIONAL, TEXT, Schema, operational_data
from runs import samples
from runs.webhook_schemas import OF_RUNS, RUN_DATA, STEP_DATA
from subscriptions.event_types import (
    BY_NAME_ONLY,
    CATALOGUE,
    RUN_ENDED,
    STEP_COMPLETED,
    STEP_FAILED,
    STEP_STARTED,
)

TAG = "received"
CUSTOM = "custom"
STEP_EVENTS = (STEP_STARTED, STEP_COMPLETED, STEP_FAILED)

_ONLY = " Only with the signature scheme `{}`."
HEADERS: Mapping[str, tuple[str, str]] = {
    "WebhookId": (
        "webhook-id",
        "The event's id, the same for all attempts and replays, unless a replay asked for a new one: "
        "deduplicate by it.",
    ),
    "WebhookTimestamp": ("webhook-timestamp", "When this attempt was signed, in Unix seconds."),
    "WebhookSignature": (
        "webhook-signature",
        "`v1,…` (HMAC-SHA256) and `v1a,…` (ed25519) of Standard Webhooks, separated by blanks. Only with the "
        "signature schemes `standard_webhooks` and `standard_webhooks_ed25519`.",
    ),
    "XWebhookSignature": (
        "X-Webhook-Signature",
        "Lower-case hex HMAC-SHA256 of the body under the subscription's `secret`."
        + _ONLY.format("hmac_sha256_hex"),
    ),
    "XWebhookSecret": (
        "X-Webhook-Secret",
        "The secret that was given with the run." + _ONLY.format("shared_secret"),
    ),
    "XSkyvernSignature": (
        "x-skyvern-signature",
        "Lower-case hex HMAC-SHA256 of the body under the API key that created the run."
        + _ONLY.format("skyvern"),
    ),
    "XSkyvernTimestamp": ("x-skyvern-timestamp", "Unix seconds." + _ONLY.format("skyvern")),
}
ALWAYS = ("WebhookId", "WebhookTimestamp")
ANSWERS = {
    "2XX": {"description": "Taken. Answer at once and work later: the delivery is done."},
    "410": {"description": "Nobody wants these any more: the subscription is disabled."},
    "429": {
        "description": "Too much at a time: tried again when `Retry-After` says, or by the retry policy."
    },
    "default": {
        "description": "Anything else, redirects among it, is a failure: tried again by the retry policy."
    },
}
_SAYS: Mapping[str, str] = {
    "workflow.queued": "A run was created.",
    "workflow.started": "An executor has taken a run up.",
    "workflow.completed": "A run ended well.",
    "workflow.failed": "A run failed, was terminated or timed out.",
    "workflow.cancelled": "A run was cancelled.",
    "workflow.step.started": "A step of a run started.",
    "workflow.step.completed": "A step of a run ended well.",
    "workflow.step.failed": "A step of a run failed.",
    "subscription.disabled": "The service disabled a subscription: its receiver is gone or failed for days.",
    "subscription.failing": "The receiver of a subscription has failed for a while.",
    "subscription.recovered": "The receiver of a subscription that was failing answers again.",
}


def add_webhooks(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook: the section, and the schemas and headers that it refers to."""
    schemas = result["components"]["schemas"]
    result["components"].setdefault("parameters", {}).update(_headers())
    result["webhooks"] = {name: {"post": operation} for name, operation in _operations(schemas)}
    return result


def _headers() -> dict[str, Any]:
    return {
        name: {
            "name": header,
            "in": "header",
            "required": name in ALWAYS,
            "description": description,
            "schema": TEXT,
        }
        for name, (header, description) in HEADERS.items()
    }


def _operations(schemas: dict[str, Schema]) -> Iterator[tuple[str, dict[str, Any]]]:
    for event_type in CATALOGUE:
        yield event_type, _of_event(event_type, schemas)
    yield CUSTOM, _of_event(CUSTOM, schemas)
    for payload_format, (name, schema) in OF_RUNS.items():
        _add(schemas, name, schema)
        yield (
            str(payload_format),
            _operation(
                str(payload_format),
                f"The end of a run in the format `{payload_format}`.",
                "To callbacks, and to subscriptions to " + ", ".join(f"`{end}`" for end in RUN_ENDED) + ".",
                _reference(name),
                {end.rpartition(".")[2]: _example(end, payload_format) for end in RUN_ENDED},
            ),
        )


def _of_event(event_type: str, schemas: dict[str, Schema]) -> dict[str, Any]:
    """In both formats that carry every event; which of them a subscription has is its `payload_format`."""
    names = {}
    for payload_format, envelope in ENVELOPES.items():
        names[payload_format] = f"{_pascal(event_type)}{_pascal(str(payload_format))}"
        kind = CUSTOM_TYPE if event_type == CUSTOM else {"const": event_type}
        _add(schemas, names[payload_format], envelope(kind, _data(event_type)))
    sample = samples.CUSTOM_TYPE if event_type == CUSTOM else event_type
    return _operation(
        event_type,
        _SAYS.get(event_type, "An event of the platform's own, as it was given to `POST /v1/events`."),
        _who(event_type),
        {"oneOf": [_reference(name) for name in names.values()]},
        {str(payload_format): _example(sample, payload_format) for payload_format in names},
    )


def _add(schemas: dict[str, Schema], name: str, schema: Schema) -> None:
    assert name not in schemas, f"{name} is a schema of the API's"
    schemas[name] = schema


def _who(event_type: str) -> str:
    if event_type in BY_NAME_ONLY:
        return "To subscriptions that name it; `*` does not stand for it."
    return "To subscriptions that name it or `*`."


def _data(event_type: str) -> Schema:
    if event_type == CUSTOM:
        return {"type": "object", "description": "As it was given."}
    if event_type in OPERATIONAL:
        return operational_data(event_type)
    return STEP_DATA if event_type in STEP_EVENTS else RUN_DATA


def _operation(
    name: str, summary: str, description: str, schema: Schema, examples: dict[str, Any]
) -> dict[str, Any]:
    return {
        "operationId": f"webhook_{name.replace('.', '_')}",
        "summary": summary,
        "description": description,
        "tags": [TAG],
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{header}"} for header in HEADERS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        },
        "responses": ANSWERS,
    }


def _example(event_type: str, payload_format: str) -> dict[str, Any]:
    return {"value": json.loads(samples.body(event_type, payload_format))}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace(".", "_").split("_"))
