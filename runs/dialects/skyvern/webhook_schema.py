"""The JSON Schema of Skyvern's webhooks. Pure."""

from collections.abc import Mapping

from delivery.webhook_schemas import ANYTHING, TEXT, TEXT_OR_NULL, Schema, record
from subscriptions.event_types import PayloadFormat

_NAIVE = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$"
# Without an offset it is no `date-time`.
_TIME: Schema = {"type": "string", "pattern": _NAIVE, "description": "UTC, without saying so."}
_TIME_OR_NULL: Schema = {**_TIME, "type": ["string", "null"]}

_FILE = record(
    "A file that the run downloaded.",
    {
        "url": TEXT,
        "checksum": TEXT_OR_NULL,
        "filename": TEXT_OR_NULL,
        "file_size": {"type": ["integer", "null"]},
        "modified_at": TEXT_OR_NULL,
        "artifact_id": TEXT_OR_NULL,
    },
)
_ERROR = record("An error with a code.", {"error_code": TEXT, "reasoning": TEXT})

RUN = record(
    "Skyvern's run; numbers that are whole are written as integers.",
    {
        "run_id": TEXT,
        "run_type": {**TEXT, "description": "`workflow_run`, or the kind of task."},
        "status": {"enum": ["completed", "failed", "terminated", "timed_out", "canceled"]},
        "output": ANYTHING,
        "downloaded_files": {"type": "array", "items": _FILE},
        "recording_url": TEXT_OR_NULL,
        "screenshot_urls": {"type": ["array", "null"], "items": TEXT, "minItems": 1, "maxItems": 3},
        "failure_reason": TEXT_OR_NULL,
        "app_url": TEXT_OR_NULL,
        "created_at": _TIME,
        "modified_at": _TIME,
        "queued_at": _TIME,
        "started_at": _TIME_OR_NULL,
        "finished_at": _TIME_OR_NULL,
        "errors": {"type": "array", "items": _ERROR},
        "step_count": {"type": "integer", "minimum": 0},
        "browser_session_id": TEXT_OR_NULL,
    },
)

SCHEMAS: Mapping[str, tuple[str, Schema]] = {PayloadFormat.SKYVERN_RUN: ("SkyvernWebhookBody", RUN)}
