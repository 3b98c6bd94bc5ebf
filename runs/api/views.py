"""Workflows and runs: the API that platforms call and executors report to."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.api.serializers import EventStory
from delivery.selectors import of_subject
from runs import selectors, services
from runs.api import serializers as shapes
from runs.api.shown import run_shown
from runs.creation import NewRun, run_create
from subscriptions.api.base import OrganizationViewSet, page, page_of, valid
from subscriptions.api.idempotency import idempotent
from subscriptions.api.serializers import RotateInput, RotateOutput
from subscriptions.api.views import PAGING
from subscriptions.models import Scope
from subscriptions.services import signing_secret_rotate


class RunsScopesViewSet(OrganizationViewSet):
    """Reading and writing runs and workflows; imported fields need a scope of their own."""

    read_scope = Scope.RUNS_READ
    write_scope = Scope.RUNS_WRITE

    def refuse_import(self, values: dict[str, Any]) -> None:
        given = [name for name in shapes.IMPORT_FIELDS if name in values]
        if given and not self.caller.may(Scope.RUNS_IMPORT):
            raise PermissionDenied(
                f"Setting {given[0]} needs the scope {Scope.RUNS_IMPORT}.", code="missing_scope"
            )


class WorkflowViewSet(RunsScopesViewSet):
    """What can be run, with the webhook settings of its runs."""

    @extend_schema(parameters=PAGING, responses=page_of("workflows", shapes.WorkflowOutput))
    def list(self, request: Request) -> Response:
        return page(
            request,
            "workflows",
            selectors.workflows(self.organization),
            shapes.WorkflowOutput,
            self.owners_view,
        )

    @extend_schema(request=shapes.WorkflowInput, responses={201: shapes.WorkflowOutput})
    @idempotent
    def create(self, request: Request) -> Response:
        values = valid(shapes.WorkflowInput, request.data)
        self.refuse_import(values)
        workflow = services.workflow_create(
            organization=self.organization,
            name=values.pop("name"),
            dialect=values.pop("dialect"),
            values=values,
        )
        return Response(
            shapes.WorkflowOutput(workflow, context=self.owners_view).data, status=status.HTTP_201_CREATED
        )

    @extend_schema(responses=shapes.WorkflowOutput)
    def retrieve(self, request: Request, workflow_id: str) -> Response:
        return Response(
            shapes.WorkflowOutput(
                selectors.workflow_get(self.organization, workflow_id), context=self.owners_view
            ).data
        )

    @extend_schema(request=shapes.WorkflowPatch(partial=True), responses=shapes.WorkflowOutput)
    def partial_update(self, request: Request, workflow_id: str) -> Response:
        """Only the given fields change; a change of outputs or webhook settings makes a new version."""
        selectors.workflow_get(self.organization, workflow_id)
        values = valid(shapes.WorkflowPatch, request.data, partial=True)
        self.refuse_import(values)
        workflow = services.workflow_update(
            organization=self.organization, workflow_id=workflow_id, values=values
        )
        return Response(shapes.WorkflowOutput(workflow, context=self.owners_view).data)

    @extend_schema(request=RotateInput, responses=RotateOutput)
    @idempotent
    def rotate_secret(self, request: Request, workflow_id: str) -> Response:
        """A secret of its own for this workflow's callbacks, instead of the organization's."""
        workflow = selectors.workflow_get(self.organization, workflow_id)
        values = valid(RotateInput, request.data)
        rotation = signing_secret_rotate(
            organization=self.organization, workflow_id=workflow.public_id, **values
        )
        return Response(RotateOutput(rotation).data)


class RunViewSet(RunsScopesViewSet):
    """Executions of workflows."""

    action_scopes: ClassVar[dict[str, str]] = {"webhooks": Scope.DELIVERIES_READ}

    @extend_schema(parameters=[*PAGING, shapes.RunFilter], responses=page_of("runs", shapes.RunSummary))
    def list(self, request: Request) -> Response:
        wanted = valid(shapes.RunFilter, request.query_params)
        if "workflow_id" in wanted:
            wanted["workflow__public_id"] = wanted.pop("workflow_id")
        rows = selectors.runs(self.organization).filter(**wanted)
        return page(
            request,
            "runs",
            rows.defer("input", "request", "output", "artifacts"),
            shapes.RunSummary,
            self.owners_view,
        )

    @extend_schema(request=shapes.RunInput, responses={200: shapes.RunWithSteps, 201: shapes.RunWithSteps})
    @idempotent
    def create(self, request: Request) -> Response:
        """A new queued run; 200 with the first one if its `external_id` is known."""
        values = valid(shapes.RunInput, request.data)
        self.refuse_import(values)
        values["workflow"] = selectors.workflow_get(self.organization, values.pop("workflow_id"))
        values["webhook_url"] = values.get("webhook_url") or ""
        new = NewRun(**values, api_key=self.caller.key)
        run, is_new = run_create(organization=self.organization, new=new)
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        steps = () if is_new else run.steps.order_by("index")
        return Response(run_shown(run, list(steps), **self.owners_view), status=code)

    @extend_schema(responses=shapes.RunWithSteps)
    def retrieve(self, request: Request, run_id: str) -> Response:
        run = selectors.run_get(self.organization, run_id)
        return Response(run_shown(run, list(run.steps.order_by("index")), **self.owners_view))

    @extend_schema(responses=inline_serializer("RunWebhooks", {"events": EventStory(many=True)}))
    def webhooks(self, request: Request, run_id: str) -> Response:
        """The run's events, each with its deliveries and their attempts."""
        run = selectors.run_get(self.organization, run_id)
        events = of_subject(self.organization, run.public_id)
        return Response({"events": EventStory(events, many=True).data})
