"""Shapes of an executor's reports about runs and steps."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.states import Move
from subscriptions.api.fields import JSONObjectField, StrictCharField, StrictChoiceField, StrictIntegerField
from subscriptions.api.serializers import RefusesUnknownFields

# What executors call their steps.
STEP_KEY = r"[A-Za-z0-9_.:-]{1,128}"
ARTIFACTS_MAX = 200
ERROR_DETAILS = ("code", "cause", "step", "category")
ARTIFACT_KINDS = ("image", "file", "screenshot", "recording", "link")


class Artifact(RefusesUnknownFields):
    """Something that a run or step made."""

    kind = StrictChoiceField(choices=ARTIFACT_KINDS)
    id = StrictCharField(max_length=255, required=False, allow_null=True)
    url = StrictCharField(max_length=4096)
    filename = StrictCharField(max_length=255, required=False, allow_null=True)
    size = StrictIntegerField(required=False, allow_null=True, min_value=0, max_value=2**53)
    checksum = StrictCharField(max_length=255, required=False, allow_null=True)
    modified_at = StrictCharField(max_length=64, required=False, allow_null=True)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "object",
                "properties": {
                    "message": {"type": "string", "minLength": 1},
                    **{name: {"type": ["string", "null"]} for name in ERROR_DETAILS},
                },
                "required": ["message"],
                "additionalProperties": False,
            },
        ]
    }
)
class ErrorField(serializers.Field[Any, Any, Any, Any]):
    """A text, or an object with `message` and optionally `code`, `cause`, `step`, `category`, all texts."""

    default_error_messages = {
        "invalid": "A text, or an object with message and optionally code, cause, step and category.",
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        error = {"message": data} if isinstance(data, str) else data
        if not isinstance(error, dict) or "message" not in error:
            self.fail("invalid")
        allowed = {"message", *ERROR_DETAILS}
        if set(error) - allowed or not all(
            value is None or isinstance(value, str) for value in error.values()
        ):
            self.fail("invalid")
        if not error["message"]:
            self.fail("invalid")
        return {name: error[name] for name in ("message", *ERROR_DETAILS) if error.get(name) is not None}

    def to_representation(self, value: Any) -> Any:
        return value


class ReportInput(RefusesUnknownFields):
    """What every report may say."""

    occurred_at = serializers.DateTimeField(required=False)


class StartInput(ReportInput):
    """`executor_id`: a second start by another executor is refused."""

    executor_id = StrictCharField(max_length=128, required=False)


class ProgressInput(ReportInput):
    """A word for what the run is doing, such as `uploading`."""

    progress = StrictCharField(max_length=64)


class CompleteInput(ReportInput):
    """The run's result."""

    output = serializers.JSONField(required=False, allow_null=True)
    artifacts = serializers.ListField(child=Artifact(), required=False, max_length=ARTIFACTS_MAX)


class FailInput(ReportInput):
    """Why the run failed."""

    error = ErrorField()
    artifacts = serializers.ListField(child=Artifact(), required=False, max_length=ARTIFACTS_MAX)


class EndInput(FailInput):
    """Ends that may say why."""

    error = ErrorField(required=False)


class StepFields(ReportInput):
    """What a step's report may carry."""

    name = StrictCharField(max_length=255, required=False)
    input = serializers.JSONField(required=False, allow_null=True)
    output = serializers.JSONField(required=False, allow_null=True)
    primary = serializers.JSONField(required=False, allow_null=True)
    metadata = JSONObjectField(required=False, allow_null=True)
    artifacts = serializers.ListField(child=Artifact(), required=False, max_length=ARTIFACTS_MAX)


class StepFailInput(StepFields):
    """Why the step failed."""

    error = ErrorField()


RUN_SHAPES: Mapping[Move, type[ReportInput]] = {
    Move.START: StartInput,
    Move.PAUSE: ReportInput,
    Move.PROGRESS: ProgressInput,
    Move.COMPLETE: CompleteInput,
    Move.FAIL: FailInput,
    Move.TERMINATE: EndInput,
    Move.TIME_OUT: EndInput,
    Move.CANCEL: EndInput,
}
STEP_SHAPES: Mapping[Move, type[ReportInput]] = {
    Move.START: StepFields,
    Move.COMPLETE: StepFields,
    Move.FAIL: StepFailInput,
}
