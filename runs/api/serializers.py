"""Shapes of workflows, runs, steps and an executor's reports."""

import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.dialects import names as dialect_names
from runs.models import PUBLIC_ID_MAX_CHARACTERS, Run, Step, Workflow
from runs.states import RunStatus
from subscriptions.api.fields import JSONObjectField, StrictCharField, StrictFloatField
from subscriptions.api.serializers import RefusesUnknownFields, names
from subscriptions.event_types import PayloadFormat, RetryPolicyName, SignatureScheme

OUTPUTS_MAX = 100
ARTIFACTS_MAX = 200
ARTIFACT_KINDS = ("image", "file", "screenshot", "recording", "link")
# Fields that only a key with the scope runs:import may set.
IMPORT_FIELDS = ("id", "version_id", "created_at")
_EXTERNAL_ID = re.compile(r"[\x21-\x7e]{1,128}")


class WorkflowInput(RefusesUnknownFields):
    """A workflow; each field on its own when updating it."""

    name = StrictCharField(max_length=255)
    dialect = serializers.ChoiceField(choices=dialect_names(), default="elan")
    outputs = serializers.DictField(
        child=StrictCharField(max_length=255), required=False, allow_null=True, allow_empty=True
    )
    webhook_url = StrictCharField(max_length=2048, required=False, allow_blank=True)
    payload_format = serializers.ChoiceField(choices=names(PayloadFormat), required=False)
    signature_schemes = serializers.ListField(
        child=serializers.ChoiceField(choices=names(SignatureScheme)), required=False, allow_empty=False
    )
    retry_policy = serializers.ChoiceField(choices=names(RetryPolicyName), required=False)
    retry_schedule = serializers.ListField(child=StrictFloatField(), required=False, allow_null=True)
    timeout_seconds = StrictFloatField(required=False)
    id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS, required=False)
    version_id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS, required=False)
    created_at = serializers.DateTimeField(required=False)

    def validate_outputs(self, outputs: dict[str, str] | None) -> dict[str, str] | None:
        if outputs is not None and len(outputs) > OUTPUTS_MAX:
            raise serializers.ValidationError(f"At most {OUTPUTS_MAX} outputs.", code="too_many")
        return outputs or None


class WorkflowPatch(WorkflowInput):
    """What may change. The dialect and the id may not: runs of both are out in the world."""

    dialect = None  # type: ignore[assignment]
    id = None  # type: ignore[assignment]
    created_at = None  # type: ignore[assignment]


class WorkflowOutput(serializers.ModelSerializer[Workflow]):
    """A workflow with the settings of its current version."""

    id = serializers.CharField(source="public_id")
    version_id = serializers.CharField(source="version.public_id")
    outputs = serializers.JSONField(source="version.outputs", allow_null=True)
    webhook_url = serializers.CharField(source="version.webhook_url")
    payload_format = serializers.CharField(source="version.payload_format")
    signature_schemes = serializers.ListField(
        source="version.signature_schemes", child=serializers.CharField()
    )
    retry_policy = serializers.CharField(source="version.retry_policy")
    retry_schedule = serializers.ListField(
        source="version.retry_schedule", child=serializers.FloatField(), allow_null=True
    )
    timeout_seconds = serializers.FloatField(source="version.timeout_seconds")

    class Meta:
        model = Workflow
        fields = (
            "id name dialect version_id outputs webhook_url payload_format signature_schemes "
            "retry_policy retry_schedule timeout_seconds created_at updated_at"
        ).split()


class RunInput(RefusesUnknownFields):
    """A new run. `external_id` is the caller's own: the same one again gives the same run."""

    workflow_id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS)
    input = JSONObjectField(required=False, allow_null=True)
    webhook_url = StrictCharField(max_length=2048, required=False, allow_blank=True, allow_null=True)
    external_id = StrictCharField(max_length=128, required=False, allow_null=True)
    id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS, required=False)
    created_at = serializers.DateTimeField(required=False)

    def validate_external_id(self, external_id: str | None) -> str | None:
        if external_id is not None and not _EXTERNAL_ID.fullmatch(external_id):
            raise serializers.ValidationError("Printable ASCII without blanks, please.", code="bad_id")
        return external_id


class RunFilter(serializers.Serializer[Any]):
    """Filters of the list of runs."""

    status = serializers.ChoiceField(choices=names(RunStatus), required=False)
    workflow_id = StrictCharField(required=False, max_length=PUBLIC_ID_MAX_CHARACTERS)
    external_id = StrictCharField(required=False, max_length=128)


class StepOutput(serializers.ModelSerializer[Step]):
    """A step as it stands."""

    class Meta:
        model = Step
        fields = (
            "key name index status input output primary metadata artifacts error started_at ended_at"
        ).split()


class RunOutput(serializers.ModelSerializer[Run]):
    """A run as it stands."""

    id = serializers.CharField(source="public_id")
    workflow_id = serializers.CharField(source="workflow.public_id")
    version_id = serializers.CharField(source="version.public_id")

    class Meta:
        model = Run
        fields = (
            "id external_id workflow_id version_id status progress executor_id webhook_url input output "
            "error artifacts created_at started_at ended_at updated_at"
        ).split()


class RunWithSteps(RunOutput):
    """The same with its steps, in the order of their starts."""

    steps = serializers.SerializerMethodField()

    class Meta(RunOutput.Meta):
        fields = [*RunOutput.Meta.fields, "steps"]

    def get_steps(self, run: Run) -> list[dict[str, Any]]:
        return list(StepOutput(run.steps.order_by("index"), many=True).data)


class Artifact(RefusesUnknownFields):
    """Something that a run or step made."""

    kind = serializers.ChoiceField(choices=ARTIFACT_KINDS)
    id = StrictCharField(max_length=255, required=False, allow_null=True)
    url = StrictCharField(max_length=4096)
    filename = StrictCharField(max_length=255, required=False, allow_null=True)
    size = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**53)
    checksum = StrictCharField(max_length=255, required=False, allow_null=True)
    modified_at = StrictCharField(max_length=64, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return dict(attrs)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {
                    name: {"type": "string"} for name in ("message", "code", "cause", "step", "category")
                },
                "required": ["message"],
            },
        ]
    }
)
class ErrorField(serializers.Field[Any, Any, Any, Any]):
    """A text, or an object with `message` and optionally `code`, `cause`, `step`, `category`, all texts."""

    default_error_messages = {
        "invalid": "A text, or an object with message and optionally code, cause, step and category.",
    }
    OPTIONAL = ("code", "cause", "step", "category")

    def to_internal_value(self, data: Any) -> dict[str, str]:
        error = {"message": data} if isinstance(data, str) else data
        if not isinstance(error, dict) or "message" not in error:
            self.fail("invalid")
        allowed = {"message", *self.OPTIONAL}
        if set(error) - allowed or not all(
            value is None or isinstance(value, str) for value in error.values()
        ):
            self.fail("invalid")
        if not error["message"]:
            self.fail("invalid")
        return {name: error[name] for name in ("message", *self.OPTIONAL) if error.get(name) is not None}

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
