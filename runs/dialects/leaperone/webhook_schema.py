"""The JSON Schema of LEAPERone's webhooks. Pure."""

from collections.abc import Mapping

from delivery.webhook_schemas import TEXT, Schema, record
from subscriptions.event_types import PayloadFormat

_IMAGES: Schema = {
    "type": "array",
    "items": record("An image that the task made.", {"id": TEXT, "url": TEXT}),
}

TASK: Schema = {
    **record(
        "LEAPERone's task: keys that do not apply are left out.",
        {"id": TEXT, "status": {"enum": ["completed", "failed"]}, "images": _IMAGES, "error": TEXT},
        optional=("images", "error"),
    ),
    "oneOf": [
        {"properties": {"status": {"const": "completed"}}, "required": ["images"]},
        {"properties": {"status": {"const": "failed"}}, "required": ["error"]},
    ],
}

SCHEMAS: Mapping[str, tuple[str, Schema]] = {PayloadFormat.LEAPERONE: ("LeaperoneWebhookBody", TASK)}
