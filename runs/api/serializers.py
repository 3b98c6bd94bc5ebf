"""Shapes of workflows, runs, steps and an executor's reports."""

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.api.fields import ImportedIdField
from runs.dialects import names as dialect_names
from runs.dialects import profiles
from runs.fields import OrderedJSONField
from runs.models import PUBLIC_ID_MAX_CHARACTERS, Run, Step, Workflow
from runs.states import RunStatus
from subscriptions.api.fields import (
    JSONObjectField,
    OwnersUrlField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
)
from subscriptions.api.serializers import RefusesUnknownFields, names
from subscriptions.api.target_fields import (
    CallbackSchemesField,
    HeadersField,
    OptionalTargetURLField,
    RetryScheduleField,
    TimeoutField,
)
from subscriptions.event_types import PayloadFormat, RetryPolicyName, SignatureScheme
from subscriptions.signing_secrets import callback_public_keys

OUTPUTS_MAX = 100
DEFAULT_DIALECT = "elan"
# Fields that only a key with the scope runs:import may set.
IMPORT_FIELDS = ("id", "version_id", "created_at")
SLUG = r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z"
EXTERNAL_ID = r"\A[\x21-\x7e]{1,128}\Z"


def by_dialect() -> list[dict[str, Any]]:
    """What a workflow may say depends on whose it is; without a word it is one of the native dialect."""
    return [
        {
            "required": [] if name == DEFAULT_DIALECT else ["dialect"],
            "properties": {
                "dialect": {"const": name},
                "payload_format": {"enum": [str(found) for found in profile.payload_formats]},
                **({"id": {"pattern": profile.workflow_ids.pattern}} if profile.workflow_ids.strict else {}),
                **(
                    {"version_id": {"pattern": profile.version_ids.pattern}}
                    if profile.version_ids.strict
                    else {}
                ),
            },
        }
        for name, profile in profiles().items()
    ]


class WorkflowInput(RefusesUnknownFields):
    """A workflow; each field on its own when updating it."""

    openapi_extra: ClassVar[dict[str, Any]] = {**RefusesUnknownFields.openapi_extra, "anyOf": by_dialect()}

    name = StrictCharField(max_length=255)
    slug = StrictCharField(
        max_length=PUBLIC_ID_MAX_CHARACTERS,
        required=False,
        validators=[RegexValidator(SLUG, "Letters, digits and . _ -, please.", code="bad_slug")],
    )
    dialect = StrictChoiceField(choices=dialect_names(), default=DEFAULT_DIALECT)
    outputs = serializers.DictField(
        child=StrictCharField(max_length=255), required=False, allow_null=True, allow_empty=True
    )
    webhook_url = OptionalTargetURLField()
    payload_format = StrictChoiceField(choices=names(PayloadFormat), required=False)
    signature_schemes = CallbackSchemesField()
    retry_policy = StrictChoiceField(choices=names(RetryPolicyName), required=False)
    retry_schedule = RetryScheduleField()
    timeout_seconds = TimeoutField(required=False)
    headers = HeadersField(required=False, allow_null=True)
    id = ImportedIdField(required=False)
    version_id = ImportedIdField(required=False)
    created_at = serializers.DateTimeField(required=False)

    def validate_outputs(self, outputs: dict[str, str] | None) -> dict[str, str] | None:
        if outputs is not None and len(outputs) > OUTPUTS_MAX:
            raise serializers.ValidationError(f"At most {OUTPUTS_MAX} outputs.", code="too_many")
        if outputs is not None and "" in outputs:
            raise serializers.ValidationError("An output needs a name.", code="blank")
        return outputs or None

    def validate_webhook_url(self, webhook_url: str | None) -> str:
        return webhook_url or ""


class WorkflowPatch(WorkflowInput):
    """What may change. The dialect and the id may not: runs of both are out in the world.

    `allow_downgrade`: back to an older version of a format, on which receivers may no longer count.
    """

    openapi_extra = RefusesUnknownFields.openapi_extra
    allow_downgrade = StrictBooleanField(required=False)
    dialect = None  # type: ignore[assignment]
    slug = None  # type: ignore[assignment]
    id = None  # type: ignore[assignment]
    created_at = None  # type: ignore[assignment]


class WorkflowOutput(serializers.ModelSerializer[Workflow]):
    """A workflow with the settings of its current version; of custom headers the names only."""

    id = serializers.CharField(source="public_id")
    version_id = serializers.CharField(source="version.public_id")
    outputs = serializers.JSONField(source="version.outputs", allow_null=True)
    webhook_url = OwnersUrlField(source="version.full_webhook_url")
    payload_format = serializers.CharField(source="version.payload_format")
    signature_schemes = serializers.ListField(
        source="version.signature_schemes", child=serializers.CharField()
    )
    retry_policy = serializers.CharField(source="version.retry_policy")
    retry_schedule = serializers.ListField(
        source="version.retry_schedule", child=serializers.FloatField(), allow_null=True
    )
    timeout_seconds = serializers.FloatField(source="version.timeout_seconds")
    headers = serializers.ListField(source="version.header_names", child=serializers.CharField())
    public_keys = serializers.SerializerMethodField(
        help_text="Of the scheme standard_webhooks_ed25519: its own, else the organization's."
    )

    class Meta:
        model = Workflow
        fields = (
            "id name slug dialect version_id outputs webhook_url payload_format signature_schemes "
            "retry_policy retry_schedule timeout_seconds headers public_keys created_at updated_at"
        ).split()

    def get_public_keys(self, workflow: Workflow) -> list[str]:
        assert workflow.version is not None
        if SignatureScheme.STANDARD_WEBHOOKS_ED25519 not in workflow.version.signature_schemes:
            return []
        # Read once for a whole list: all workflows of a page are one organization's.
        shared: dict[str, Any] = self.context  # type: ignore[assignment]  # the view's own
        if "public_keys" not in shared:
            shared["public_keys"] = callback_public_keys(workflow.organization_id)
        found = shared["public_keys"]
        return list(found.get(workflow.public_id) or found.get("", []))


class RunInput(RefusesUnknownFields):
    """A new run. `external_id` is the caller's own: the same one again gives the same run."""

    workflow_id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS)
    input = JSONObjectField(required=False, allow_null=True)
    webhook_url = OptionalTargetURLField()
    external_id = StrictCharField(
        required=False,
        allow_null=True,
        validators=[RegexValidator(EXTERNAL_ID, "Printable ASCII without blanks, please.", code="bad_id")],
    )
    id = ImportedIdField(required=False)
    created_at = serializers.DateTimeField(required=False)


class RunFilter(serializers.Serializer[Any]):
    """Filters of the list of runs."""

    status = StrictChoiceField(choices=names(RunStatus), required=False)
    workflow_id = StrictCharField(required=False, max_length=PUBLIC_ID_MAX_CHARACTERS)
    external_id = StrictCharField(required=False, max_length=128)


class OutputSerializer(serializers.ModelSerializer[Any]):
    """Shows columns of ordered JSON as JSON."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        OrderedJSONField: serializers.JSONField,
    }


class StepOutput(OutputSerializer):
    """A step as it stands."""

    class Meta:
        model = Step
        fields = (
            "key name index status input output primary metadata artifacts error started_at ended_at"
        ).split()


class RunOutput(OutputSerializer):
    """A run as it stands."""

    id = serializers.CharField(source="public_id")
    workflow_id = serializers.CharField(source="workflow.public_id")
    version_id = serializers.CharField(source="version.public_id")
    webhook_url = OwnersUrlField(source="full_webhook_url")

    class Meta:
        model = Run
        fields = (
            "id external_id workflow_id version_id kind status progress executor_id webhook_url input "
            "request output error artifacts created_at started_at ended_at updated_at"
        ).split()


class RunSummary(RunOutput):
    """A run in a list: without what it was given and made, which may be megabytes each."""

    class Meta(RunOutput.Meta):
        fields = [f for f in RunOutput.Meta.fields if f not in ("input", "request", "output", "artifacts")]


class RunWithSteps(RunOutput):
    """The same with its steps, in the order of their starts."""

    steps = serializers.SerializerMethodField()

    class Meta(RunOutput.Meta):
        fields = [*RunOutput.Meta.fields, "steps"]

    @extend_schema_field(StepOutput(many=True))
    def get_steps(self, run: Run) -> list[dict[str, Any]]:
        return list(StepOutput(run.steps.order_by("index"), many=True).data)
