"""JSON Schemas of what is told of runs and steps, for the OpenAPI document. Pure."""

from collections.abc import Mapping

from delivery.webhook_schemas import (
    ANYTHING,
    TEXT,
    TIME,
    TIME_OR_NULL,
    Schema,
    record,
)
from runs.dialects.eachlabs import webhook_schema as eachlabs
from runs.dialects.leap import webhook_schema as leap
from runs.dialects.leaperone import webhook_schema as leaperone
from runs.dialects.skyvern import webhook_schema as skyvern
from runs.states import RunStatus, StepStatus

ERROR: Schema = {
    **record(
        "Why it failed, in the executor's words.",
        {"message": TEXT, "code": TEXT, "cause": TEXT, "step": TEXT, "category": TEXT},
        optional=("code", "cause", "step", "category"),
    ),
    "type": ["object", "null"],
}

RUN_DATA = record(
    "A run as it was when the event happened.",
    {
        "run_id": TEXT,
        "status": {"enum": [str(status) for status in RunStatus]},
        "started_at": TIME_OR_NULL,
        "ended_at": TIME_OR_NULL,
        "input": ANYTHING,
        "output": {**ANYTHING, "description": "Null unless the run has completed."},
        "error": ERROR,
    },
)
STEP_DATA = record(
    "A step as it was when the event happened.",
    {
        "run_id": TEXT,
        "step_id": {**TEXT, "description": "The step's key."},
        "step_name": TEXT,
        "step_index": {"type": "integer", "minimum": 0},
        "status": {"enum": [str(status) for status in StepStatus]},
        "started_at": TIME,
        "ended_at": TIME_OR_NULL,
        "input": ANYTHING,
        "output": ANYTHING,
        "error": ERROR,
    },
)

#: formats of the source systems, which tell only of the end of a run: the name of the schema, and it
OF_RUNS: Mapping[str, tuple[str, Schema]] = {
    **leap.SCHEMAS,
    **leaperone.SCHEMAS,
    **skyvern.SCHEMAS,
    **eachlabs.SCHEMAS,
}
