"""What eachlabs' callers send, and what they are answered."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from runs.api.fields import ImportedIdField
from subscriptions.api.base import PageQuery
from subscriptions.api.fields import JSONObjectField, StrictCharField, StrictUUIDField
from subscriptions.api.target_fields import OptionalTargetURLField
from subscriptions.rules import SECRET_MAX_CHARACTERS

IMPORTS = "Only for keys that import."
# It becomes the value of a header as it stands.
PRINTABLE = r"\A[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z"


class EachlabsCallback(serializers.Serializer[Any]):
    """Who is told of the end. Unknown fields are ignored, as the original does."""

    webhook_url = OptionalTargetURLField()
    webhook_secret = StrictCharField(
        max_length=SECRET_MAX_CHARACTERS,
        required=False,
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        help_text="Sent along as X-Webhook-Secret.",
        validators=[
            RegexValidator(PRINTABLE, "Printable ASCII without blanks around it.", code="bad_secret")
        ],
    )
    created_at = serializers.DateTimeField(required=False, help_text=IMPORTS)


class EachlabsVersionTriggerInput(EachlabsCallback):
    """One execution of the version that the address names."""

    inputs = JSONObjectField(required=False, allow_null=True)
    id = ImportedIdField(required=False)


class EachlabsTriggerInput(EachlabsVersionTriggerInput):
    """One execution of the newest version, or of the one named."""

    version_id = StrictCharField(max_length=128, required=False, allow_null=True, allow_blank=True)


class EachlabsVersionBulkInput(EachlabsCallback):
    """Up to ten executions; each of `inputs` is an object."""

    inputs = serializers.ListField(child=serializers.JSONField(allow_null=True), min_length=1, max_length=10)
    bulk_id = StrictUUIDField(required=False, help_text=IMPORTS)
    ids = serializers.ListField(child=StrictCharField(max_length=128), required=False, help_text=IMPORTS)


class EachlabsBulkInput(EachlabsVersionBulkInput):
    """The same of the newest version, or of the one named."""

    version_id = StrictCharField(max_length=128, required=False, allow_null=True, allow_blank=True)


class EachlabsQueued(serializers.Serializer[Any]):
    """`status` is `queued`."""

    execution_id = serializers.CharField()
    status = serializers.CharField()


class EachlabsTriggered(EachlabsQueued):
    """The same with the moment of the trigger."""

    started_at = serializers.DateTimeField()


class EachlabsBulkItem(serializers.Serializer[Any]):
    """A queued execution, or `status` `failed` and the `message` that says why it was refused."""

    execution_id = serializers.CharField(required=False)
    status = serializers.CharField()
    started_at = serializers.DateTimeField(required=False)
    message = serializers.CharField(required=False)


class EachlabsBulk(serializers.Serializer[Any]):
    """One item per input, in their order."""

    bulk_id = serializers.UUIDField()
    executions = EachlabsBulkItem(many=True)


class EachlabsStepOutput(serializers.Serializer[Any]):
    """What a step made."""

    step_id = serializers.CharField()
    status = serializers.CharField()
    output = serializers.JSONField(allow_null=True)
    primary = serializers.JSONField(required=False)
    metadata = serializers.DictField()


class EachlabsExecution(serializers.Serializer[Any]):
    """The webhook's body: outputs once it has completed, error and cause once it has failed."""

    execution_id = serializers.CharField()
    workflow_id = serializers.CharField()
    bulk_id = serializers.UUIDField(required=False)
    status = serializers.CharField(help_text="queued, running, completed, failed or cancelled")
    started_at = serializers.DateTimeField()
    inputs = serializers.DictField()
    step_outputs = serializers.DictField(child=EachlabsStepOutput(), required=False)
    output = serializers.JSONField(required=False, allow_null=True)
    error = serializers.CharField(required=False)
    error_cause = serializers.CharField(required=False)


class EachlabsExecutionQuery(PageQuery):
    """Which executions to list."""

    bulk_id = serializers.UUIDField(required=False)


class EachlabsExecutionSummary(serializers.Serializer[Any]):
    """A row of the list."""

    execution_id = serializers.CharField()
    flow_id = serializers.CharField()
    flow_name = serializers.CharField()
    version_id = serializers.CharField()
    status = serializers.CharField()
    started_at = serializers.DateTimeField(required=False)
    ended_at = serializers.DateTimeField(required=False)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


# The answer of a list is this one object, not an array of them.
@extend_schema_serializer(many=False)
class EachlabsExecutions(serializers.Serializer[Any]):
    """`offset` is that of the next page, left out on the last one."""

    executions = EachlabsExecutionSummary(many=True)
    offset = serializers.IntegerField(required=False)
    total_count = serializers.IntegerField()


class EachlabsError(serializers.Serializer[Any]):
    """Every error is one sentence."""

    error = serializers.CharField()


class EachlabsWebhook(serializers.Serializer[Any]):
    """A webhook of an execution: where it goes, and its body as a text."""

    execution_id = serializers.CharField(allow_null=True)
    url = serializers.CharField()
    request = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField())
    source = serializers.CharField()  # type: ignore[assignment]  # a declared field, not the attribute
    created_at = serializers.DateTimeField()


# The answer of a list is this one object, not an array of them.
@extend_schema_serializer(many=False)
class EachlabsWebhooks(serializers.Serializer[Any]):
    """A page of them, newest first."""

    webhooks = EachlabsWebhook(many=True)
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class EachlabsAttempt(serializers.Serializer[Any]):
    """`status`: PENDING, SUCCESS or FAILED."""

    status = serializers.CharField()
    status_code = serializers.IntegerField(allow_null=True)
    response = serializers.CharField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class EachlabsWebhookStory(EachlabsWebhook):
    """The same with its attempts, oldest first."""

    attempts = EachlabsAttempt(many=True)
