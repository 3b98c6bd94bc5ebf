"""Leap's API: run a workflow, look at the run."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from runs.creation import NewRun
from runs.dialects.leap.payloads import run_body
from runs.dialects.leap.profile import PROFILE
from runs.dialects.leap.serializers import LeapRunInput
from runs.dialects.profile import IdForm
from runs.dialects.views import DialectViewSet, as_sent
from subscriptions.api.idempotency import idempotent
from webhooks_project.errors import InvalidInput

RUN_ID = OpenApiParameter(
    "run_id", {"type": "string", "pattern": PROFILE.run_ids.pattern}, OpenApiParameter.PATH
)


class RunViewSet(DialectViewSet):
    """Runs as Leap shows them: the same object that the webhook carries."""

    dialect = PROFILE.name

    @extend_schema(request=LeapRunInput, responses={200: dict})
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Queue a run; its webhook comes when it has completed or failed."""
        values = self.read(LeapRunInput, request)
        check_form(values["workflow_id"], PROFILE.workflow_ids, "workflow_id")
        new = NewRun(
            workflow=self.workflow(values["workflow_id"]),
            input=values.get("input"),
            webhook_url=values.get("webhook_url") or "",
            id=values.get("id"),
            created_at=values.get("created_at"),
            api_key=self.caller.key,
        )
        return as_sent(run_body, self.create_run(new))

    @extend_schema(parameters=[RUN_ID], responses={200: dict})
    def retrieve(self, request: Request, run_id: str) -> HttpResponse:
        check_form(run_id, PROFILE.run_ids, "workflow_run_id")
        return as_sent(run_body, self.run(run_id))


def check_form(given: str, form: IdForm, field: str) -> None:
    if not form.matches(given):
        raise InvalidInput(f"{field} must start with {form.prefix}_", field=field, code="bad_id")
