"""The JSON Schema of Leap's webhooks. Pure."""

from collections.abc import Mapping

from delivery.webhook_schemas import ANYTHING, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, Schema, record
from subscriptions.event_types import PayloadFormat


def _run(output: str) -> Schema:
    return record(
        "Leap's run: ten keys, always all of them.",
        {
            "id": TEXT,
            "version_id": TEXT,
            "status": {"enum": ["completed", "failed", "cancelled"]},
            "created_at": TIME,
            "started_at": TIME_OR_NULL,
            "ended_at": {**TIME_OR_NULL, "description": "Null also for a run that has failed."},
            "workflow_id": TEXT,
            "error": {**TEXT_OR_NULL, "description": "Null unless the run has failed."},
            "input": ANYTHING,
            "output": {**ANYTHING, "description": output},
        },
    )


SCHEMAS: Mapping[str, tuple[str, Schema]] = {
    PayloadFormat.LEAP_V1: (
        "LeapV1WebhookBody",
        _run("The full output of every step by its key, in their order; null unless it has completed."),
    ),
    PayloadFormat.LEAP_V2: (
        "LeapV2WebhookBody",
        _run("The outputs that the workflow's author configured; null unless it has completed."),
    ),
}
