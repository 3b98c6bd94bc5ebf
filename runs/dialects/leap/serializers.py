"""What Leap's callers send."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.dialects.leap.profile import PROFILE
from subscriptions.api.fields import JSONObjectField, StrictCharField
from subscriptions.api.serializers import RefusesUnknownFields
from subscriptions.api.target_fields import OptionalTargetURLField


@extend_schema_field({"type": "string", "pattern": PROFILE.workflow_ids.pattern})
class WorkflowIdField(StrictCharField):
    """`wkf_…`."""


@extend_schema_field({"type": "string", "pattern": PROFILE.run_ids.pattern})
class RunIdField(StrictCharField):
    """`rnp_…`, only for keys that import."""


class LeapRunInput(RefusesUnknownFields):
    """`POST /v1/runs`."""

    workflow_id = WorkflowIdField()
    webhook_url = OptionalTargetURLField()
    input = JSONObjectField(required=False, allow_null=True)
    id = RunIdField(required=False)
    created_at = serializers.DateTimeField(required=False)
