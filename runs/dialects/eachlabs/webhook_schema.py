"""The JSON Schema of eachlabs' webhooks. Pure."""

from collections.abc import Mapping

from delivery.webhook_schemas import ANYTHING, TEXT, TIME, Schema, record
from subscriptions.event_types import PayloadFormat

_STEP = record(
    "What a step gave.",
    {
        "step_id": TEXT,
        "status": TEXT,
        "output": ANYTHING,
        "primary": {**ANYTHING, "description": "The one of its outputs that counts most."},
        "metadata": {"type": "object"},
    },
    optional=("primary",),
)

EXECUTION: Schema = {
    **record(
        "eachlabs' execution: keys that do not apply are left out.",
        {
            "execution_id": TEXT,
            "workflow_id": TEXT,
            "bulk_id": {**TEXT, "format": "uuid"},
            "status": {"enum": ["completed", "failed", "cancelled"]},
            "started_at": TIME,
            "inputs": ANYTHING,
            "step_outputs": {"type": "object", "additionalProperties": _STEP},
            "output": ANYTHING,
            "error": {**TEXT, "description": "A class of errors, such as `ExecutionFailed`."},
            "error_cause": {**TEXT, "description": "A sentence, which names the step where one failed."},
        },
        optional=("bulk_id", "step_outputs", "output", "error", "error_cause"),
    ),
    "oneOf": [
        {"properties": {"status": {"const": "completed"}}, "required": ["step_outputs", "output"]},
        {"properties": {"status": {"const": "failed"}}, "required": ["error"]},
        {"properties": {"status": {"const": "cancelled"}}},
    ],
}

SCHEMAS: Mapping[str, tuple[str, Schema]] = {
    PayloadFormat.EACHLABS_EXECUTION: ("EachlabsWebhookBody", EXECUTION)
}
