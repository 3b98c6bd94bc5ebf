"""What Skyvern's callers send. Fields that are not named here are kept with the run, not refused."""

from typing import Any, ClassVar

from rest_framework import serializers

from runs.api.fields import ImportedIdField
from runs.models import PUBLIC_ID_MAX_CHARACTERS
from subscriptions.api.fields import (
    JSONObjectField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictIntegerField,
)
from subscriptions.models import URL_MAX_CHARACTERS

# Engine -> type of the run. `skyvern-1.0` is Skyvern's default.
RUN_TYPES = {
    "skyvern-1.0": "task_v1",
    "skyvern-2.0": "task_v2",
    "skyvern-3.0": "task_v3",
    "openai-cua": "openai_cua",
    "anthropic-cua": "anthropic_cua",
    "ui-tars": "ui_tars",
    "yutori-navigator": "yutori_navigator",
}
DEFAULT_ENGINE = "skyvern-1.0"
PUBLISHING_ENGINE = "skyvern-2.0"


def text(**options: Any) -> StrictCharField:
    return StrictCharField(required=False, allow_null=True, allow_blank=True, **options)


class SkyvernRunInput(serializers.Serializer[Any]):
    """What tasks and workflow runs share."""

    title = text()
    webhook_url = text(max_length=URL_MAX_CHARACTERS)
    browser_session_id = text(max_length=PUBLIC_ID_MAX_CHARACTERS)
    #: the run that starts this one; a child tells nobody
    parent_workflow_run_id = text(max_length=PUBLIC_ID_MAX_CHARACTERS)
    id = ImportedIdField(required=False)
    created_at = serializers.DateTimeField(required=False)


class SkyvernTaskInput(SkyvernRunInput):
    """`POST /v1/run/tasks`."""

    prompt = StrictCharField()
    url = text()
    engine = StrictChoiceField(choices=list(RUN_TYPES), default=DEFAULT_ENGINE)
    max_steps = StrictIntegerField(required=False, allow_null=True)
    publish_workflow = StrictBooleanField(required=False)
    #: the workflow run that this task belongs to
    workflow_run_id = text(max_length=PUBLIC_ID_MAX_CHARACTERS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("publish_workflow"):
            attrs["engine"] = PUBLISHING_ENGINE
        return attrs


class SkyvernWorkflowRunInput(SkyvernRunInput):
    """`POST /v1/run/agents` and, its older name, `POST /v1/run/workflows`: `agent_id` or `workflow_id`."""

    agent_id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS, required=False)
    workflow_id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS, required=False)
    parameters = JSONObjectField(required=False, allow_null=True)
    openapi_extra: ClassVar[dict[str, Any]] = {
        "anyOf": [{"required": ["agent_id"]}, {"required": ["workflow_id"]}]
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["workflow_id"] = attrs.get("agent_id") or attrs.get("workflow_id")
        if not attrs["workflow_id"]:
            raise serializers.ValidationError({"workflow_id": ["This field is required."]}, code="required")
        return attrs


class SkyvernRetryInput(serializers.Serializer[Any]):
    """`POST /v1/runs/{id}/retry_webhook`: another URL than the run's, if wanted."""

    openapi_extra: ClassVar[dict[str, Any]] = {"type": ["object", "null"]}

    webhook_url = text(max_length=URL_MAX_CHARACTERS)


class SkyvernRetryOutput(serializers.Serializer[Any]):
    """What was sent again, and what came back."""

    run_id = serializers.CharField()
    run_type = serializers.CharField()
    default_webhook_url = serializers.CharField(allow_null=True)
    target_webhook_url = serializers.CharField(allow_null=True)
    payload = serializers.CharField(allow_null=True)
    headers = serializers.DictField(child=serializers.CharField())
    status_code = serializers.IntegerField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    response_body = serializers.CharField(allow_null=True)
    error = serializers.CharField(allow_null=True)
